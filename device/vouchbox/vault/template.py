"""Protect an embedding and compare protected templates (after ISO/IEC 24745): rotate, quantize, encode.

A key per relying party and epoch selects an orthogonal transform, so cosines within one party and epoch
survive, and templates of two parties or epochs can't be linked without the fleet's secret. This gives
unlinkability and renewability while the secret stays in the fleet. It is no encryption: sealing.py does
that. Pure: numbers in, bytes out. The transform uses only additions, one multiplication and index moves
in a fixed order, so it is the same to the last bit on every machine and numpy version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta, Struct
from numpy.typing import NDArray

from vouchbox.errors import SealError
from vouchbox.messages import EMBEDDING_BYTES
from vouchbox.vault.formats import NAME, TEMPLATE_FORMAT

DIMENSION = EMBEDDING_BYTES // 4
SECRET_BYTES = 32
TEMPLATE_LIMIT = 512
"""Bytes of an encoded template, at most."""

_ROUNDS = 3
_SIGN_BYTES = DIMENSION // 8
_ORDER_BYTES = DIMENSION * 8
_NORM_TOLERANCE = 0.05
_NORMAL = 0.08838834764831845
"""1 over the square root of 128; a literal, because a library's power function may differ in the last bit."""


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A protected template; this very struct as a msgpack map is what gets sealed.

    `model` is the SHA-256 of the embedding model's file (32 bytes), `values` 128 int8 numbers, `scale` what
    one step is worth. Templates compare only when party, epoch and model are equal.
    """

    party: Annotated[str, Meta(pattern=NAME)]
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)]
    model: Annotated[bytes, Meta(min_length=32, max_length=32)]
    scale: Annotated[float, Meta(gt=0.0, le=1.0)]
    values: Annotated[bytes, Meta(min_length=DIMENSION, max_length=DIMENSION)]
    format: Literal["vouchbox-template-v1"] = TEMPLATE_FORMAT


@dataclass(frozen=True, slots=True)
class Rotation:
    """One party's transform in one epoch: three rounds of sign change, reordering and Walsh-Hadamard."""

    party: str
    epoch: int
    signs: tuple[NDArray[np.float64], ...]
    orders: tuple[NDArray[np.intp], ...]


def rotation(secret: bytes, party: str, epoch: int) -> Rotation:
    """The transform of `party` in `epoch`, derived from the fleet's 32-byte `secret` (HKDF, RFC 5869)."""
    if len(secret) != SECRET_BYTES:
        raise SealError("the template secret has the wrong length", f"give {SECRET_BYTES} bytes")
    step = _SIGN_BYTES + _ORDER_BYTES
    context = f"vouchbox-rotation-v1\n{party}\n{epoch}".encode()
    stream = HKDF(SHA256(), length=_ROUNDS * step, salt=None, info=context).derive(secret)
    signs, orders = [], []
    for start in range(0, _ROUNDS * step, step):
        bits = np.unpackbits(np.frombuffer(stream, np.uint8, _SIGN_BYTES, start))
        signs.append(1.0 - 2.0 * bits.astype(np.float64))
        words = np.frombuffer(stream, "<u8", DIMENSION, start + _SIGN_BYTES)
        orders.append(np.argsort(words, kind="stable"))
    return Rotation(party, epoch, tuple(signs), tuple(orders))


def rotate(vector: NDArray[np.float64], by: Rotation) -> NDArray[np.float64]:
    """`vector` (128) turned by an orthogonal transform: lengths and angles stay."""
    turned = vector
    for signs, order in zip(by.signs, by.orders, strict=True):
        turned = _walsh_hadamard((turned * signs)[order])
    return turned


def _walsh_hadamard(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    out = vector.copy()
    width = 1
    while width < DIMENSION:
        pairs = out.reshape(-1, 2, width)
        out = np.stack((pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]), axis=1).reshape(-1)
        width *= 2
    return out * _NORMAL


def protect(embedding: bytes, model: bytes, by: Rotation) -> Template:
    """The template of `embedding` (128 little-endian float32, L2 norm 1 within 5 %).

    Raises SealError when the embedding is none: wrong length, not finite, or far from unit length.
    """
    if len(embedding) != EMBEDDING_BYTES:
        raise SealError("the embedding has the wrong length", "use the embedding model of the manifest")
    vector = np.frombuffer(embedding, "<f4").astype(np.float64)
    if not np.isfinite(vector).all() or abs(float(np.linalg.norm(vector)) - 1.0) > _NORM_TOLERANCE:
        raise SealError("the embedding is not of unit length", "use the embedding model of the manifest")
    turned = rotate(vector, by)
    scale = float(np.abs(turned).max()) / 127.0
    values = np.rint(turned / scale).astype(np.int8)
    return Template(by.party, by.epoch, model, scale, values.tobytes())


def cosine(first: Template, second: Template) -> float:
    """Similarity -1..1 of two templates; raises SealError when party, epoch or model differ."""
    if (first.party, first.epoch, first.model) != (second.party, second.epoch, second.model):
        raise SealError("the templates belong to different parties, epochs or models", "enrol again")
    a = np.frombuffer(first.values, np.int8).astype(np.int64)
    b = np.frombuffer(second.values, np.int8).astype(np.int64)
    lengths = float(a @ a) * float(b @ b)
    return float(a @ b) / lengths**0.5 if lengths > 0.0 else 0.0


def encode(template: Template) -> bytes:
    """The bytes that get sealed: a msgpack map of the fields of Template."""
    return msgspec.msgpack.encode(template)


def decode(data: bytes) -> Template:
    """The template in `data`; raises SealError for anything that is none."""
    if len(data) > TEMPLATE_LIMIT:
        raise SealError("the template is too large", "enrol again")
    try:
        return msgspec.msgpack.decode(data, type=Template)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SealError("the template is malformed", "enrol again") from None
