"""The box's secrets: the signing key, the seal key and the template secret, read from files.

A secret file that anyone but its owner may read is refused, and so is one of an unexpected kind. Secrets
leave this module only as objects that sign, open or derive; no error and no log names their values. Who
needs a signature knows the Signer protocol alone, so that a key in hardware can take the file's place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError
from msgspec import Struct

from vouchbox.errors import KeyStoreError, SealError
from vouchbox.vault import sealing
from vouchbox.vault.formats import from_base64url
from vouchbox.vault.template import SECRET_BYTES

SIGNING_FILE = "signing.jwk"
SIGNING_PEM_FILE = "signing.pem"
SEAL_FILE = "seal.key"
TEMPLATE_FILE = "template.key"
IDENTITY_FILE = "identity.json"

_FILE_LIMIT = 16 * 1024
_PROVISION = "run `vouchbox provision`"


class Signer(Protocol):
    """A key that can sign: in a file here, in a token later. `alg` and `kid` go into the header."""

    @property
    def alg(self) -> str:
        """Ed25519 or ES256."""

    @property
    def kid(self) -> str:
        """The key's thumbprint (RFC 7638)."""

    def public_jwk(self) -> dict[str, Any]:
        """The public key with `alg`, `kid` and `use` (RFC 7517)."""

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """A compact JWS with `typ` kind over the claims as JSON."""


class FileSigner:
    """A signing key in memory, read from a JWK or a PKCS#8 PEM file."""

    def __init__(self, key: jwk.OKPKey | jwk.ECKey) -> None:
        self._key = key
        self.alg = algorithm_of(key)
        self.kid = key.thumbprint()

    def public_jwk(self) -> dict[str, Any]:
        """See Signer."""
        public = self._key.as_dict(private=False)
        members: dict[str, Any] = {name: public[name] for name in ("kty", "crv", "x", "y") if name in public}
        return {**members, "alg": self.alg, "kid": self.kid, "use": "sig"}

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """See Signer; raises KeyStoreError when the key does not sign."""
        header = {"alg": self.alg, "typ": kind, "kid": self.kid}
        try:
            token = jws.serialize_compact(
                header, msgspec.json.encode(claims), self._key, algorithms=[self.alg]
            )
        except (JoseError, ValueError):
            raise KeyStoreError("the signing key does not sign", _PROVISION) from None
        return token.encode()


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """What the box says about itself (public). `ueid` is base64url of 0x01 and 16, 24 or 32 random bytes
    (RFC 9711, 4.2.1); `oemid` and `hwmodel` (base64url) only where they are really known."""

    ueid: str
    oemid: str = ""
    hwmodel: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Everything secret that the vault holds, and the public identity beside it."""

    identity: Identity
    signer: Signer
    seal_key: sealing.PrivateKey
    seal_public: bytes
    template_secret: bytes


def load(directory: Path) -> KeyRing:
    """The keys in `directory`; raises KeyStoreError for a missing, readable-by-others or wrong file."""
    try:
        seed = from_base64url(read_secret(directory / SEAL_FILE).decode().strip())
        secret = from_base64url(read_secret(directory / TEMPLATE_FILE).decode().strip())
        seal_key, seal_public = sealing.key_pair(seed)
    except (ValueError, SealError):
        raise KeyStoreError("the seal key or the template secret is damaged", _PROVISION) from None
    if len(secret) != SECRET_BYTES:
        raise KeyStoreError("the template secret has the wrong length", _PROVISION)
    return KeyRing(_identity(directory / IDENTITY_FILE), _signer(directory), seal_key, seal_public, secret)


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file; raises KeyStoreError when others than its owner may touch it.

    The owner must be the own user or root, as for a systemd credential.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", _PROVISION) from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyStoreError(f"{path} is no file", _PROVISION)
        if facts.st_mode & 0o077 or facts.st_uid not in (os.getuid(), 0):
            raise KeyStoreError(f"others may read {path}", f"run chmod 600 {path} as its owner")
        data = file.read(_FILE_LIMIT + 1)
    if len(data) > _FILE_LIMIT:
        raise KeyStoreError(f"{path} is too large for a key", _PROVISION)
    return data


def algorithm_of(key: jwk.Key) -> str:
    """Ed25519 or ES256, by the kind of the key; raises KeyStoreError for any other."""
    if isinstance(key, jwk.OKPKey) and key.curve_name == "Ed25519":
        return "Ed25519"
    if isinstance(key, jwk.ECKey) and key.curve_name == "P-256":
        return "ES256"
    raise KeyStoreError("the signing key is of another kind", "use Ed25519 or P-256")


def _signer(directory: Path) -> FileSigner:
    pem = directory / SIGNING_PEM_FILE
    path = pem if pem.exists() else directory / SIGNING_FILE
    data = read_secret(path)
    try:
        if path == pem:
            kind: type[jwk.OKPKey] | type[jwk.ECKey]
            for kind in (jwk.OKPKey, jwk.ECKey):
                try:
                    key: jwk.Key = kind.import_key(data)
                    break
                except (JoseError, ValueError, TypeError):
                    continue
            else:
                raise KeyStoreError(f"{path} is no signing key", _PROVISION)
        else:
            key = jwk.import_key(msgspec.json.decode(data, type=dict[str, Any]))
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeyStoreError(f"{path} is no signing key", _PROVISION) from None
    algorithm_of(key)
    if not isinstance(key, jwk.OKPKey | jwk.ECKey) or not key.is_private:
        raise KeyStoreError(f"{path} holds no private key", _PROVISION)
    return FileSigner(key)


def _identity(path: Path) -> Identity:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", _PROVISION) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyStoreError(f"{path} is damaged", _PROVISION) from None
