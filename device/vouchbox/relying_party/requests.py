"""What a relying party signs: requests to a box, and acknowledgements of what it has stored.

Pure: values, keys, time and randomness in, signed bytes out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from vouchbox.errors import UsageError
from vouchbox.messages import Action, Level
from vouchbox.relying_party import templates
from vouchbox.relying_party.boxes import Box
from vouchbox.relying_party.formats import ACK_TYPE, REQUEST_TYPE, to_base64url
from vouchbox.relying_party.keys import PartyKeys

LIFETIME_S = 120
"""How long a request may wait for its box, unless told otherwise; a box accepts 600 at most."""
LIFETIME_LIMIT_S = 600
ACK_LIMIT = 64
"""Digests in one acknowledgement, at most."""

_IDENTIFIER_BYTES = 18
_NONCE_BYTES = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """A signed request and what must be remembered of it to judge the answer."""

    payload: bytes
    box: str
    jti: str
    nonce: str
    purpose: str
    action: Action
    level: Level
    expires: int


def ask(
    keys: PartyKeys,
    party: str,
    box: Box,
    *,
    purpose: str,
    action: Action,
    level: Level,
    now: float,
    template: bytes = b"",
    fleet_template: bytes = b"",
    lifetime_s: int = LIFETIME_S,
    consent: Callable[[str], str] | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Asked:
    """A signed request to `box`. For MATCH, and for nothing else, `template` is the clear template, or
    `fleet_template` the payload that only the fleet can open, as it came; `consent` fetches the consent token
    for the request's nonce (consent.py), where the person agreed in an app."""
    if (action is Action.MATCH) != bool(template or fleet_template) or (template and fleet_template):
        raise UsageError("match needs a template and nothing else takes one", "name an enrolled subject")
    if not 0 < lifetime_s <= LIFETIME_LIMIT_S:
        raise UsageError("the lifetime is out of range", f"give 1 to {LIFETIME_LIMIT_S} seconds")
    jti, nonce = to_base64url(random(_IDENTIFIER_BYTES)), to_base64url(random(_NONCE_BYTES))
    issued = int(now)
    claims: dict[str, Any] = {
        "iss": party,
        "aud": box.audience,
        "iat": issued,
        "exp": issued + lifetime_s,
        "jti": jti,
        "nonce": nonce,
        "purpose": purpose,
        "action": action.value,
        "level": level.value,
    }
    if template:
        sealed = templates.reference(template, box, party=party, jti=jti, nonce=nonce)
        claims["reference"] = to_base64url(sealed)
    if fleet_template:
        claims["reference"] = to_base64url(fleet_template)
    if consent is not None:
        claims["consent"] = consent(nonce)
    payload = keys.sign(REQUEST_TYPE, claims)
    return Asked(payload, box.audience, jti, nonce, purpose, action, level, issued + lifetime_s)


def acknowledge(keys: PartyKeys, party: str, audience: str, digests: Iterable[str], now: float) -> bytes:
    """A signed acknowledgement: the payloads with these SHA-256 digests (hex) are stored safely."""
    delivered = list(digests)
    if not 0 < len(delivered) <= ACK_LIMIT:
        raise UsageError("an acknowledgement names no payload, or too many", f"name 1 to {ACK_LIMIT}")
    return keys.sign(ACK_TYPE, {"iss": party, "aud": audience, "iat": int(now), "delivered": delivered})
