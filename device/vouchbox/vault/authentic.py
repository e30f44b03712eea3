"""Was this token signed by a key that a registered relying party may use? Nothing more.

Pure: a compact JWS (RFC 7515) and the registry in, the party and the claims out. Only the algorithms of
formats.ALGORITHMS exist here, each key works with its own one only (RFC 8725, 3.1), the `typ` must be the
expected one (3.11), and a header member that nobody needs is refused, so no key can be smuggled in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Struct

from vouchbox.errors import RequestRefused
from vouchbox.vault.formats import ALGORITHMS
from vouchbox.vault.registry import Key, Party, Registry

_HEADER = {"alg", "typ", "kid"}

Claims = TypeVar("Claims", bound=Struct)


class _Issued(Struct, frozen=True):
    iss: str


def _request_keys(party: Party) -> Mapping[str, Key]:
    return party.keys


def authenticate(
    token: bytes,
    kind: str,
    registry: Registry,
    claims: type[Claims],
    *,
    keys: Callable[[Party], Mapping[str, Key]] = _request_keys,
) -> tuple[Party, Claims]:
    """The party that signed `token` and its claims; raises RequestRefused otherwise.

    `kind` is the `typ` that the header must have, `keys` picks those of the party's keys that may sign such
    a token. Reasons: malformed, wrong-type, algorithm,
    unknown-party, unknown-key, signature.
    """
    try:
        signature = jws.extract_compact(token)
        header = signature.headers()
        issuer = msgspec.json.decode(signature.payload, type=_Issued).iss
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise refused("malformed", "the token is malformed", "send a JWS in compact form") from None
    if header.get("typ") != kind:
        raise refused("wrong-type", "the token is of another type", f"set typ to {kind}")
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise refused("algorithm", "the algorithm is not allowed", f"use {' or '.join(ALGORITHMS)}")
    if set(header) != _HEADER:
        raise refused("malformed", "the token has another header", "send exactly alg, typ and kid")
    party = registry.get(issuer)
    if party is None:
        raise refused("unknown-party", "nobody is registered under that name", "register the relying party")
    kid = header["kid"]
    key = keys(party).get(kid) if isinstance(kid, str) else None
    if key is None:
        raise refused("unknown-key", "the party has no such key", "sign with a registered key")
    if key.alg != algorithm:
        raise refused("algorithm", "the key is for another algorithm", f"use {key.alg} with that key")
    try:
        genuine = jws.validate_compact(signature, key.key, algorithms=[key.alg])
    except (JoseError, ValueError):
        genuine = False
    if not genuine:
        raise refused("signature", "the signature does not verify", "sign the token again")
    return party, read_claims(bytes(signature.payload), claims)


def read_claims(signed: bytes, claims: type[Claims]) -> Claims:
    """The claims in the payload of a token; raises RequestRefused (malformed)."""
    try:
        return msgspec.json.decode(signed, type=claims)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise refused("malformed", "a claim is missing or wrong", "send the claims of the README") from None


def refused(reason: str, what: str, fix: str) -> RequestRefused:
    """A refusal of bytes that nobody registered has signed for this box."""
    return RequestRefused(reason, what, fix)
