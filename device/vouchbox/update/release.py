"""Is this a release that a pinned key signed, and is it one for this box? Nothing more.

Pure: bytes and facts in, a frozen Release out, or UpdateRefused with the first reason found. A release is a
compact JWS (RFC 7515) beside the package. It states name, version, architecture, suite, size and SHA-256, so
that everything can be refused before a byte of the package is parsed. One algorithm (Ed25519, RFC 9864), one
`typ`, and no key but the pinned ones (RFC 8725).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError, UpdateRefused
from vouchbox.messages import Sha256Hex

RELEASE_TYPE = "vouchbox-release+jwt"
PACKAGE = "vouchbox"
SIGNATURE_LIMIT = 4 * 1024
"""Bytes of a signature file, at most; one has about 500."""
KEYS_LIMIT = 8 * 1024
"""Bytes of the file of pinned keys, at most."""
SIZE_LIMIT = 512 * 1024 * 1024
"""Bytes of a package, at most; one has about 50 MB, uncompressed 240."""

_ALGORITHM = "Ed25519"
_HEADER = {"alg", "typ", "kid"}

Pinned = Mapping[str, OKPKey]
"""The keys whose releases this box takes, by `kid`."""

IsOlder = Callable[[str, str], bool]
"""Whether the first Debian version is older than the second."""


class Release(Struct, frozen=True):
    """The claims of a release: `size` in bytes, `iat` in Unix seconds."""

    package: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9+.-]{1,63}\Z")]
    version: Annotated[str, Meta(pattern=r"^[0-9][A-Za-z0-9.+~-]{0,63}\Z")]
    architecture: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,31}\Z")]
    suite: Annotated[str, Meta(pattern=r"^[a-z]{2,32}\Z")]
    size: Annotated[int, Meta(ge=1, le=SIZE_LIMIT)]
    sha256: Sha256Hex
    iat: Annotated[int, Meta(ge=0, le=2**40)]


@dataclass(frozen=True, slots=True)
class Installed:
    """What runs on this box: the package's version, dpkg's architecture, the system's suite."""

    version: str
    architecture: str
    suite: str


class _PublicKey(Struct, frozen=True, forbid_unknown_fields=True):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: Annotated[str, Meta(min_length=1, max_length=64)]
    alg: Literal["Ed25519"]
    use: Literal["sig"] = "sig"


class _Set(Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[tuple[_PublicKey, ...], Meta(min_length=1, max_length=4)]


def pinned(data: bytes, where: str) -> Pinned:
    """The keys in `data`, a JWK set (RFC 7517) of one to four public Ed25519 keys; raises ConfigError that
    names `where`. A set with a private member is refused."""
    try:
        if len(data) > KEYS_LIMIT:
            raise ValueError
        found = msgspec.json.decode(data, type=_Set).keys
        keys = {key.kid: OKPKey.import_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in found}
        if len(keys) != len(found) or any(key.thumbprint() != kid for kid, key in keys.items()):
            raise ValueError
    except (JoseError, ValueError, TypeError, RecursionError):
        raise ConfigError(
            f"{where} is no set of public Ed25519 keys", "put there what scripts/sign_release --new-key made"
        ) from None
    return keys


def verify(signature: bytes, keys: Pinned) -> Release:
    """What `signature` says, when one of `keys` signed it.

    Raises UpdateRefused with reason malformed, wrong-type, unknown-key or signature.
    """
    try:
        if len(signature) > SIGNATURE_LIMIT:
            raise ValueError
        signed = jws.extract_compact(signature.strip())
        header = signed.headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise UpdateRefused(
            "malformed", "the signature file is no signature", "copy FILE.jws again beside the package"
        ) from None
    if set(header) != _HEADER or header["typ"] != RELEASE_TYPE or header["alg"] != _ALGORITHM:
        raise UpdateRefused("wrong-type", "this signs no release", "give the .jws of scripts/sign_release")
    kid = header["kid"]
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise UpdateRefused(
            "unknown-key", "the release is signed with a key that is not pinned here", "get it from its maker"
        )
    try:
        genuine = jws.validate_compact(signed, key, algorithms=[_ALGORITHM])
    except (JoseError, ValueError):
        genuine = False
    if not genuine:
        raise UpdateRefused("signature", "the signature does not verify", "get the release again")
    try:
        return msgspec.json.decode(signed.payload, type=Release)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpdateRefused(
            "malformed", "the release says less or more than it must", "sign it with scripts/sign_release"
        ) from None


def require_for(release: Release, box: Installed, is_older: IsOlder) -> None:
    """Raises UpdateRefused with reason package, architecture, suite, older or installed when `release` is
    nothing for `box`."""
    if release.package != PACKAGE:
        raise UpdateRefused("package", f"this is {release.package}", f"give a release of {PACKAGE}")
    if release.architecture != box.architecture:
        raise UpdateRefused(
            "architecture",
            f"the release is for {release.architecture}",
            f"give the one for {box.architecture}",
        )
    if release.suite != box.suite:
        raise UpdateRefused("suite", f"the release is for {release.suite}", f"give the one for {box.suite}")
    if release.version == box.version:
        raise UpdateRefused("installed", f"{box.version} is installed already", "there is nothing to do")
    if not is_older(box.version, release.version):
        raise UpdateRefused(
            "older", f"{release.version} is older than {box.version}, which runs", "give a newer release"
        )
