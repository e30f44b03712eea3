"""From the bytes of a request to what a registered relying party asks, or to nothing.

Pure: bytes, registry and time in, a value out; it opens no camera and remembers nothing (replay.py does).
Two kinds of refusal are kept apart. Bytes that no registered key signed for this box raise RequestRefused:
they are counted and change nothing. A request that is authentic but can't be served comes back with the
Reason, and its party gets a signed `refused` verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from vouchbox.messages import Action, Level, RequestArrived
from vouchbox.reasons import Reason
from vouchbox.vault.authentic import authenticate, refused
from vouchbox.vault.clock import Span
from vouchbox.vault.formats import IDENTIFIER, NAME, NONCE, REQUEST_TYPE, from_base64url
from vouchbox.vault.registry import Party, Registry

REQUEST_LIMIT = 8 * 1024
"""Bytes of a request, at most; one with a sealed reference has about 3 KiB."""

LIFETIME_LIMIT_S = 600
"""A request may live this long, `exp` minus `iat`."""

Present = Callable[[str], Span]
"""A party's id to what time it can be, see reckoning.py."""

Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class Asking(Struct, frozen=True):
    """The claims that a request and the consent to it have in common (JWT, RFC 7519)."""

    iss: Annotated[str, Meta(pattern=NAME)]
    aud: Annotated[str, Meta(max_length=128)]
    iat: Seconds
    exp: Seconds
    jti: Annotated[str, Meta(pattern=IDENTIFIER)]
    nonce: Annotated[str, Meta(pattern=NONCE)]
    purpose: Annotated[str, Meta(pattern=NAME)]
    action: Action


class Claims(Asking, frozen=True):
    """The claims of a request; others are ignored. `reference` belongs to match only, `consent` is a consent
    token (consent.py)."""

    level: Level
    reference: Annotated[str, Meta(max_length=4096)] = ""
    consent: Annotated[str, Meta(max_length=2048)] = ""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of an authentic request while its session lasts; nothing here is biometric."""

    party: str
    jti: str
    nonce: str
    purpose: str
    action: Action
    level: Level
    expires: int
    response_topic: str = ""
    correlation: bytes = b""
    issued: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """An authentic request, its party, its sealed reference (empty but for match), the consent token that it
    brings (empty without one, not yet verified), and why it can't be served (None when it can)."""

    request: Request
    party: Party
    reference: bytes
    consent: bytes
    refusal: Reason | None


def judge(arrived: RequestArrived, registry: Registry, audience: str, present: Present) -> Judged:
    """Verify `arrived` as a request to `audience`; `present` tells what time it can be for a party's id.

    Raises RequestRefused (reason oversized, malformed, wrong-type, algorithm, unknown-party, unknown-key,
    signature, wrong-audience) for everything that no registered key signed for this very box.
    """
    payload = arrived.payload
    if len(payload) > REQUEST_LIMIT:
        raise refused("oversized", "the request is too large", f"send at most {REQUEST_LIMIT} bytes")
    party, claims = authenticate(payload, REQUEST_TYPE, registry, Claims)
    if claims.aud != audience:
        raise refused("wrong-audience", "the request is for another box", f"set aud to {audience}")
    reference, readable = _reference(claims)
    request = Request(
        party=party.id,
        jti=claims.jti,
        nonce=claims.nonce,
        purpose=claims.purpose,
        action=claims.action,
        level=claims.level,
        expires=claims.exp,
        response_topic=arrived.response_topic,
        correlation=arrived.correlation,
        issued=claims.iat,
    )
    refusal = _refusal(claims, party, readable, present(party.id))
    return Judged(request, party, reference, claims.consent.encode(), refusal)


def _refusal(claims: Claims, party: Party, readable: bool, present: Span) -> Reason | None:
    if present.precedes(claims.iat):
        return Reason.REQUEST_NOT_YET_VALID
    if present.is_past(claims.exp) or not 0 < claims.exp - claims.iat <= LIFETIME_LIMIT_S:
        return Reason.REQUEST_EXPIRED
    if not party.allows(claims.purpose, claims.action, claims.level):
        return Reason.REQUEST_NOT_ALLOWED
    return None if readable else Reason.REFERENCE_UNREADABLE


def _reference(claims: Claims) -> tuple[bytes, bool]:
    try:
        reference = from_base64url(claims.reference)
    except ValueError:
        return b"", False
    return reference, (claims.action is Action.MATCH) == bool(reference)
