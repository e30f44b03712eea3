"""The boxes that a relying party knows: one public document each (`box.jwks.json` of `vouchbox provision`).

Pure but for reading the files. A document is a JWK set (RFC 7517) with the box's audience, its ueid and the
public key to which references are sealed. Private key members refuse to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError
from vouchbox.relying_party.formats import from_base64url, topic_root

DOCUMENT_LIMIT = 64 * 1024
_LATTICE_BYTES = 1184
_CURVE_BYTES = 32


class _Jwk(Struct, frozen=True, forbid_unknown_fields=True):
    kty: str
    crv: str
    x: str
    alg: str
    kid: Annotated[str, Meta(min_length=1, max_length=64)]
    y: str | None = None
    use: Literal["sig"] | None = None
    exp: Annotated[int, Meta(ge=0)] | None = None


class _Seal(Struct, frozen=True):
    kem: Literal["MLKEM768-X25519"]
    kdf: Literal["HKDF-SHA256"]
    aead: Literal["AES-256-GCM"]
    public: str


class _Document(Struct, frozen=True):
    keys: Annotated[tuple[_Jwk, ...], Meta(min_length=1, max_length=8)]
    audience: str
    ueid: Annotated[str, Meta(min_length=23, max_length=44)]
    seal: _Seal


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm it may be used with (RFC 8725, 3.1).

    `expires` (Unix seconds) stands in a retired key: from then on nothing that it signed counts.
    """

    alg: str
    key: OKPKey | ECKey
    expires: int | None = None

    def valid(self, now: float) -> bool:
        """Whether its signatures count at Unix time `now`."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class Box:
    """A known box. `audience` is `vouchbox:<site>/<device>`; `keys` goes by `kid`."""

    audience: str
    ueid: str
    keys: Mapping[str, VerificationKey]
    seal: hpke.MLKEM768X25519PublicKey

    @property
    def topic(self) -> str:
        """Root of its MQTT topics."""
        return topic_root(self.audience)


Boxes = Mapping[str, Box]
"""Boxes by audience."""


def parse(data: bytes, where: str) -> Box:
    """The box that the document in `data` describes; raises ConfigError that names `where`."""
    if len(data) > DOCUMENT_LIMIT:
        raise ConfigError(f"{where} is too large", f"keep it under {DOCUMENT_LIMIT} bytes")
    try:
        document = msgspec.json.decode(data, type=_Document)
        seal = _seal_key(from_base64url(document.seal.public))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        kind = type(problem).__name__
        raise ConfigError(f"{where} is no box document ({kind})", "get box.jwks.json from the box") from None
    if not topic_root(document.audience):
        raise ConfigError(f"{where} names no box", "get box.jwks.json from the box")
    keys = {jwk.kid: _key(jwk, where) for jwk in document.keys}
    return Box(document.audience, document.ueid, keys, seal)


def load(path: Path) -> Boxes:
    """The boxes in the file `path`, or in every `*.json` of the folder `path`; raises ConfigError."""
    try:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        boxes = [parse(file.read_bytes(), str(file)) for file in files]
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "give box documents") from None
    return {box.audience: box for box in boxes}


def _seal_key(raw: bytes) -> hpke.MLKEM768X25519PublicKey:
    if len(raw) != _LATTICE_BYTES + _CURVE_BYTES:
        raise ValueError("wrong length")
    return hpke.MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(raw[:_LATTICE_BYTES]),
        x25519.X25519PublicKey.from_public_bytes(raw[_LATTICE_BYTES:]),
    )


def _key(jwk: _Jwk, where: str) -> VerificationKey:
    members = {
        name: value
        for name, value in msgspec.structs.asdict(jwk).items()
        if value is not None and name != "exp"
    }
    try:
        match (jwk.kty, jwk.crv, jwk.alg):
            case ("OKP", "Ed25519", "Ed25519"):
                return VerificationKey("Ed25519", OKPKey.import_key(members), jwk.exp)
            case ("EC", "P-256", "ES256"):
                return VerificationKey("ES256", ECKey.import_key(members), jwk.exp)
    except (JoseError, ValueError):
        raise ConfigError(f"{where} has a damaged key", "get box.jwks.json from the box again") from None
    raise ConfigError(f"{where} has a key of another kind", "only Ed25519 and ES256 are used")
