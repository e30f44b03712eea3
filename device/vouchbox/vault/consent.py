"""What the person answered, at the kiosk or by a token that the relying party's own app signed.

Pure. No answer becomes a yes here unless the party is registered for the way it came. A consent token is a
JWS by one of the party's consent keys, which sign nothing else. It names the request's nonce, purpose and
action and the digest of the notice that the person read, so it can't be moved to another request, another
purpose or another notice. A nonce is admitted once, across restarts, and one session takes one answer: so a
token counts once.
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.errors import RequestRefused
from vouchbox.messages import ConsentGiven, ConsentToken, ConsentWay, Sha256Hex
from vouchbox.reasons import Reason
from vouchbox.vault import notice
from vouchbox.vault.authentic import authenticate, refused
from vouchbox.vault.clock import Span
from vouchbox.vault.formats import CONSENT_TYPE
from vouchbox.vault.registry import Party
from vouchbox.vault.request import LIFETIME_LIMIT_S, Asking, Request

TOKEN_LIMIT = 2048
"""Bytes of a consent token, at most."""


class Claims(Asking, frozen=True):
    """The claims of a consent token; others are ignored. `notice` is notice.digest of what was read."""

    notice: Sha256Hex
    accepted: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The person's answer and the way in which it came."""

    accepted: bool
    way: ConsentWay


def verify(token: bytes, request: Request, party: Party, audience: str, present: Span) -> Answer:
    """The answer that `token` gives to `request` of `party`; `present` is what time it can be.

    Raises RequestRefused: consent-not-allowed when the party is not registered for tokens, oversized,
    malformed, wrong-type, algorithm, unknown-party, unknown-key, signature, wrong-audience, expired,
    not-yet-valid, and other-request when the token answers something else.
    """
    if ConsentWay.TOKEN not in party.consent:
        raise refused("consent-not-allowed", "the party may not send consent tokens", "register that way")
    if len(token) > TOKEN_LIMIT:
        raise refused("oversized", "the consent token is too large", f"send at most {TOKEN_LIMIT} bytes")
    known = {party.id: party}
    _, claims = authenticate(token, CONSENT_TYPE, known, Claims, keys=lambda who: who.consent_keys)
    if claims.aud != audience:
        raise refused("wrong-audience", "the consent is for another box", f"set aud to {audience}")
    if present.precedes(claims.iat):
        raise refused("not-yet-valid", "the consent is dated in the future", "check both clocks")
    if present.is_past(claims.exp) or not 0 < claims.exp - claims.iat <= LIFETIME_LIMIT_S:
        raise refused("expired", "the consent is too old", "ask the person again")
    told = party.notices.get(request.purpose)
    asked = (request.nonce, request.purpose, request.action, notice.digest(told) if told else "")
    if (claims.nonce, claims.purpose, claims.action, claims.notice) != asked:
        raise refused("other-request", "the consent answers another request", "ask the person again")
    return Answer(claims.accepted, ConsentWay.TOKEN)


def given(
    token: bytes, request: Request, party: Party, audience: str, present: Span
) -> Answer | Reason | None:
    """What the token inside a request says: an answer, why the request is refused, None without a token."""
    if not token:
        return None
    try:
        return verify(token, request, party, audience, present)
    except RequestRefused as problem:
        allowed = problem.reason != "consent-not-allowed"
        return Reason.CONSENT_INVALID if allowed else Reason.CONSENT_NOT_ALLOWED


def answer(
    said: ConsentGiven | ConsentToken, request: Request, party: Party, audience: str, present: Span
) -> Answer:
    """What the kiosk says that the person answered to `request`; raises RequestRefused as verify() does.

    A no counts however it comes. A yes must come in a way that the party is registered for, and the kiosk's
    word is no token (reason: consent-not-allowed).
    """
    if isinstance(said, ConsentToken):
        return verify(said.token.encode(), request, party, audience, present)
    if said.accepted and (said.way not in party.consent or said.way is ConsentWay.TOKEN):
        raise refused("consent-not-allowed", f"{said.way} is no way to agree here", "register that way")
    return Answer(said.accepted, said.way)
