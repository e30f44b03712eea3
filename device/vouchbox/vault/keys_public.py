"""What is public about the box's keys: who the box is, which key lies in a token, which keys have retired.

Files of mode 0644 beside the secrets. They never hold a private member: one that does refuses to load.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from joserfc import jwk
from joserfc.errors import JoseError
from msgspec import Meta, Struct

from vouchbox.errors import KeyStoreError
from vouchbox.vault.keys_file import FILE_LIMIT, PROVISION, algorithm_of, find

IDENTITY_FILE = "identity.json"
TOKEN_KEY_FILE = "signing.token.json"  # noqa: S105 - the name of a public file
RETIRED_FILE = "retired.jwks.json"

RETIRED_LIMIT = 4
"""Retired keys at a time, so that the status document stays below its 4 KiB."""


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """What the box says about itself (public). `ueid` is base64url of 0x01 and 16, 24 or 32 random bytes
    (RFC 9711, 4.2.1); `oemid` and `hwmodel` (base64url) only where they are really known."""

    ueid: str
    oemid: str = ""
    hwmodel: str = ""


class PublicKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A public JWK (RFC 7517). `exp` (Unix seconds, a member that OpenID Federation registered for keys)
    stands only in a retired one: from then on nothing that it signed counts."""

    kty: Literal["OKP", "EC"]
    crv: Literal["Ed25519", "P-256"]
    x: str
    alg: Literal["Ed25519", "ES256"]
    kid: Annotated[str, Meta(min_length=1, max_length=64)]
    use: Literal["sig"]
    y: str | None = None
    exp: Annotated[int, Meta(ge=0)] | None = None

    def members(self) -> dict[str, Any]:
        """The JWK as an object."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def key(self) -> jwk.OKPKey | jwk.ECKey:
        """The key to verify with; raises KeyStoreError when the members are no key or disagree."""
        members = {name: value for name, value in self.members().items() if name != "exp"}
        try:
            key = jwk.import_key(members)
            if not isinstance(key, jwk.OKPKey | jwk.ECKey) or algorithm_of(key) != self.alg:
                raise ValueError
            if key.thumbprint() != self.kid:
                raise ValueError
        except (JoseError, ValueError, KeyError, KeyStoreError):
            raise KeyStoreError("a public key of this box is damaged", PROVISION) from None
        return key


class TokenKey(Struct, frozen=True, forbid_unknown_fields=True):
    """Which key of the token signs: its CKA_ID (hex), and its public half."""

    id: Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){1,64}$")]
    key: PublicKey


class _Set(Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[tuple[PublicKey, ...], Meta(max_length=RETIRED_LIMIT)]


def identity(directory: Path) -> Identity:
    """Raises KeyStoreError for a missing or damaged file."""
    path = find(directory, IDENTITY_FILE)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", PROVISION) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyStoreError(f"{path} is damaged", PROVISION) from None


def token_key(directory: Path) -> TokenKey | None:
    """The key that the token holds; None when none was ever made there. Raises KeyStoreError."""
    data = _read(find(directory, TOKEN_KEY_FILE))
    if data is None:
        return None
    try:
        found = msgspec.json.decode(data, type=TokenKey)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyStoreError(f"{TOKEN_KEY_FILE} is damaged", PROVISION) from None
    found.key.key()
    return found


def retired(directory: Path) -> tuple[PublicKey, ...]:
    """The keys that no longer sign, each with `exp`; raises KeyStoreError for a damaged file."""
    data = _read(find(directory, RETIRED_FILE))
    if data is None:
        return ()
    try:
        found = msgspec.json.decode(data, type=_Set).keys
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeyStoreError(f"{RETIRED_FILE} is damaged", "restore it from box.jwks.json") from None
    for key in found:
        key.key()
        if key.exp is None:
            raise KeyStoreError(f"{RETIRED_FILE} has a key without exp", "restore it from box.jwks.json")
    return found


def encode_retired(keys: tuple[PublicKey, ...]) -> bytes:
    """The content of RETIRED_FILE."""
    return msgspec.json.format(msgspec.json.encode(_Set(keys)))


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(FILE_LIMIT)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", "make it readable") from None
