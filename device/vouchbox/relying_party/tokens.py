"""Which box signed this token, and what does it claim? The one place where a party checks a box's signature:
algorithm allow-list, explicit `typ`, nothing but alg, typ and kid in the header, one key one algorithm
(RFC 8725). What the claims mean, and whether they are for us and fresh, is for the caller.

Pure: a token, known boxes and the time in; a box and its claims out, or VerdictInvalid with the first fault.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Struct

from vouchbox.errors import VerdictInvalid
from vouchbox.relying_party.boxes import Box, Boxes
from vouchbox.relying_party.formats import (
    ALGORITHMS,
    SHORT_RECEIPT_TYPE,
    VERDICT_TYPE,
    WITHDRAWAL_TYPE,
)

_HEADER = {"alg", "typ", "kid"}

_NAMES = {VERDICT_TYPE: "verdict", WITHDRAWAL_TYPE: "withdrawal", SHORT_RECEIPT_TYPE: "receipt"}

Claims = TypeVar("Claims", bound=Struct)


class _Issuer(Struct, frozen=True):
    iss: str


def authentic(token: bytes, kind: str, boxes: Boxes, claims: type[Claims], now: float) -> tuple[Box, Claims]:
    """The box that signed `token`, a compact JWS of type `kind`, and its claims; Unix time `now`.

    Raises VerdictInvalid.
    """
    what = _NAMES[kind]
    try:
        signature = jws.extract_compact(token)
        header = signature.headers()
        issuer = msgspec.json.decode(signature.payload, type=_Issuer).iss
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise VerdictInvalid(f"the {what} is malformed", "pass it as it was received") from None
    if set(header) != _HEADER or header["typ"] != kind:
        raise VerdictInvalid(f"the token is no {what}", f"a {what} has typ {kind}, alg and kid only")
    if header["alg"] not in ALGORITHMS:
        raise VerdictInvalid("the algorithm is not allowed", f"only {' and '.join(ALGORITHMS)} are")
    box = boxes.get(issuer)
    if box is None:
        raise VerdictInvalid(f"no known box made this {what}", "add that box's document, if you trust it")
    key = box.keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None or key.alg != header["alg"]:
        raise VerdictInvalid("the box has no such key", "get box.jwks.json from the box again")
    if not key.valid(now):
        raise VerdictInvalid("the key that signed this has retired", f"ask the box for a new {what}")
    try:
        genuine = jws.validate_compact(signature, key.key, algorithms=[key.alg])
    except (JoseError, ValueError):
        genuine = False
    if not genuine:
        raise VerdictInvalid("the signature does not verify", "discard it: it was changed or forged")
    try:
        return box, msgspec.json.decode(signature.payload, type=claims)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise VerdictInvalid("a claim is missing or wrong", "update vouchbox on both sides") from None


def unverified(token: bytes, claims: type[Claims]) -> Claims:
    """What a verdict claims, whoever made it; never a reason to believe it. Raises VerdictInvalid."""
    try:
        return msgspec.json.decode(jws.extract_compact(token).payload, type=claims)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise VerdictInvalid("the verdict is malformed", "pass the token as it was received") from None
