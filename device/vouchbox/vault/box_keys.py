"""The public keys of this box and of the others of its fleet, by which a receipt is known to be genuine.

Pure but for reading the documents that `vouchbox provision` published (`box.jwks.json`). A key that was
replaced stays in its box's document until its `exp`; from then on nothing that it signed counts. No private
key is ever read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError
from vouchbox.vault.formats import AUDIENCE
from vouchbox.vault.receipt_check import Keys
from vouchbox.vault.registry import Key

DOCUMENT_LIMIT = 64 * 1024
"""Bytes of one document, at most."""

_MEMBERS = ("kty", "crv", "x", "y")
_GET = "get box.jwks.json from the box"


class _Document(Struct, frozen=True):
    keys: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1, max_length=32)]
    audience: Annotated[str, Meta(pattern=AUDIENCE)]


def keys_of(public: Iterable[Mapping[str, Any]], where: str, now: float) -> dict[str, Key]:
    """The keys of a JWK set that count at Unix time `now`, by kid; raises ConfigError that names `where`."""
    found: dict[str, Key] = {}
    for jwk in public:
        if isinstance(expires := jwk.get("exp"), int) and expires <= now:
            continue
        named = {name: jwk[name] for name in _MEMBERS if name in jwk}
        kind: type[OKPKey] | type[ECKey]
        match (jwk.get("kty"), jwk.get("crv"), jwk.get("alg")):
            case ("OKP", "Ed25519", "Ed25519"):
                kind = OKPKey
            case ("EC", "P-256", "ES256"):
                kind = ECKey
            case _:
                raise ConfigError(f"{where} has a key of another kind", "only Ed25519 and ES256 are used")
        try:
            found[str(jwk["kid"])] = Key(str(jwk["alg"]), kind.import_key(named))
        except (JoseError, ValueError, TypeError, KeyError):
            raise ConfigError(f"{where} has a damaged key", f"{_GET} again") from None
    return found


def load(path: Path, now: float) -> Keys:
    """Keys of the box whose document is the file `path`, or of all in `*.json` of the folder `path`."""
    try:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        read = [(str(file), file.read_bytes()) for file in files]
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", _GET) from None
    known: dict[str, dict[str, Key]] = {}
    for where, data in read:
        try:
            document = msgspec.json.decode(data[: DOCUMENT_LIMIT + 1], type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(f"{where} is no box document", _GET) from None
        known.setdefault(document.audience, {}).update(keys_of(document.keys, where, now))
    return known


def with_own(public: Mapping[str, Any], others: Path | None, now: float) -> Keys:
    """The keys of the fleet in the folder `others`, and the own ones (provision.public_document); a document
    of another box can't speak for this one."""
    own = {str(public["audience"]): keys_of(public["keys"], "this box's public document", now)}
    return {**(load(others, now) if others is not None else {}), **own}
