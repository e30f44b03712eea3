"""Open, compare and re-seal templates: HPKE (RFC 9180) around a small msgpack map of int8 numbers.

Pure: bytes and keys in, values out. One template against one; there is no search over many, by design. A
clear template exists only inside the caller's few lines: the ledger keeps the sealed form. The suite is
MLKEM768-X25519 (0x647a), HKDF-SHA256, AES-256-GCM, base mode, the context in `info`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Literal

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from msgspec import Meta, Struct

from vouchbox.errors import SealError, VerdictInvalid
from vouchbox.relying_party.boxes import Box
from vouchbox.relying_party.evidence import Verdict
from vouchbox.relying_party.formats import (
    FLEET_FORMAT,
    NAME,
    TEMPLATE_FORMAT,
    reference_context,
    template_context,
)

MESSAGE_LIMIT = 2 * 1024
TEMPLATE_LIMIT = 512
"""Bytes of a template message and of a clear template, at most."""
DIMENSION = 128

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class SealedTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload on the template topic. `box` is the ueid, `jti` the verdict's. One of the fleet's format is
    opened by the fleet's boxes only: keep it, and send it back as it came."""

    box: Annotated[str, Meta(max_length=64)]
    party: Annotated[str, Meta(pattern=NAME)]
    jti: Annotated[str, Meta(max_length=64)]
    purpose: Annotated[str, Meta(pattern=NAME)]
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)]
    sealed: Annotated[bytes, Meta(min_length=1, max_length=MESSAGE_LIMIT)]
    format: Literal["vouchbox-template-v1", "vouchbox-fleet-template-v1"] = TEMPLATE_FORMAT

    @property
    def is_fleets(self) -> bool:
        """Whether only boxes of the fleet can open it."""
        return self.format == FLEET_FORMAT


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A clear template: 128 int8 `values`, comparable only within one party, epoch and model."""

    party: Annotated[str, Meta(pattern=NAME)]
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)]
    model: Annotated[bytes, Meta(min_length=32, max_length=32)]
    scale: Annotated[float, Meta(gt=0.0, le=1.0)]
    values: Annotated[bytes, Meta(min_length=DIMENSION, max_length=DIMENSION)]
    format: Literal["vouchbox-template-v1"] = TEMPLATE_FORMAT

    def __repr__(self) -> str:
        return f"Template(party={self.party!r}, epoch={self.epoch})"


def parse(payload: bytes) -> SealedTemplate:
    """The template message in `payload`; raises SealError for anything that is none."""
    if len(payload) > MESSAGE_LIMIT:
        raise SealError("the template message is too large", f"none has more than {MESSAGE_LIMIT} bytes")
    try:
        return msgspec.msgpack.decode(payload, type=SealedTemplate)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SealError("this is no sealed template", "pass the message as it was received") from None


def check(payload: bytes, verdict: Verdict) -> SealedTemplate:
    """The template message in `payload`, when it is the one that `verdict` announced.

    Raises SealError when malformed, VerdictInvalid when the verdict speaks of another one, or of none.
    """
    message = parse(payload)
    claim = verdict.said.template
    if claim is None or claim.sha256 != sha256(payload).hexdigest():
        raise VerdictInvalid("the verdict does not vouch for this template", "discard the template")
    named = (message.box, message.party, message.jti, message.purpose, message.epoch)
    if named != (verdict.ueid, verdict.party, verdict.jti, verdict.said.purpose, claim.epoch):
        raise VerdictInvalid("template and verdict disagree", "report this as a defect")
    if message.is_fleets != (claim.readers == "fleet"):
        raise VerdictInvalid("template and verdict disagree on who can open it", "report this as a defect")
    return message


def unseal(message: SealedTemplate, key: hpke.MLKEM768X25519PrivateKey) -> bytes:
    """The clear template's bytes; raises SealError for another key, another context or a changed byte."""
    if message.is_fleets:
        raise SealError("only the boxes of the fleet can open this template", "send it back as it came")
    context = template_context(message.box, message.party, message.jti, message.purpose)
    try:
        clear = _SUITE.decrypt(message.sealed, key, info=context)
    except (InvalidTag, ValueError):
        raise SealError(
            "the template does not open", "use the seal key that the box has registered"
        ) from None
    template = decode(clear)
    if (template.party, template.epoch) != (message.party, message.epoch):
        raise SealError("the template is not what its message says", "enrol again")
    return clear


def decode(clear: bytes) -> Template:
    """The template in `clear`; raises SealError for anything that is none."""
    if len(clear) > TEMPLATE_LIMIT:
        raise SealError("the template is too large", "enrol again")
    try:
        return msgspec.msgpack.decode(clear, type=Template)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SealError("this is no opened template", "open it first with `vouchbox open`") from None


def similarity(first: Template, second: Template) -> float:
    """Cosine, -1..1, of two templates; raises SealError when party, epoch or model differ."""
    if (first.party, first.epoch, first.model) != (second.party, second.epoch, second.model):
        raise SealError("the templates belong to different parties, epochs or models", "enrol again")
    a = np.frombuffer(first.values, np.int8).astype(np.int64)
    b = np.frombuffer(second.values, np.int8).astype(np.int64)
    lengths = float(a @ a) * float(b @ b)
    return float(a @ b) / lengths**0.5 if lengths > 0.0 else 0.0


def reference(clear: bytes, box: Box, *, party: str, jti: str, nonce: str) -> bytes:
    """`clear` sealed to `box` for the one match request with this `jti` and `nonce`; raises SealError."""
    decode(clear)
    try:
        return _SUITE.encrypt(clear, box.seal, info=reference_context(box.ueid, party, jti, nonce))
    except ValueError:
        raise SealError("sealing failed", "get box.jwks.json from the box again") from None
