"""What the party's own app signs when the person agreed there: a consent token for one request at one box.

Pure: values, the consent key, time and randomness in, signed bytes out. The consent key is another key than
the one that asks, and belongs where the person's answer is taken, not where requests are made. The token
names the digest of the notice that the app showed (`vouchbox relying-party show` prints it).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec
from joserfc import jws
from joserfc.jwk import OKPKey

from vouchbox.messages import Action
from vouchbox.relying_party.formats import CONSENT_TYPE, to_base64url

LIFETIME_S = 120
"""How long a token may be on its way, unless told otherwise; a box accepts 600 at most."""

_IDENTIFIER_BYTES = 18


def token(
    key: OKPKey,
    party: str,
    box: str,
    *,
    nonce: str,
    purpose: str,
    action: Action,
    notice: str,
    accepted: bool,
    now: float,
    lifetime_s: int = LIFETIME_S,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """The person's answer to the request with `nonce` at `box`; `notice` is the notice's SHA-256 (hex)."""
    issued = int(now)
    claims = {
        "iss": party,
        "aud": box,
        "iat": issued,
        "exp": issued + lifetime_s,
        "jti": to_base64url(random(_IDENTIFIER_BYTES)),
        "nonce": nonce,
        "purpose": purpose,
        "action": action.value,
        "notice": notice,
        "accepted": accepted,
    }
    header = {"alg": "Ed25519", "typ": CONSENT_TYPE, "kid": key.thumbprint()}
    return jws.serialize_compact(header, msgspec.json.encode(claims), key, algorithms=["Ed25519"])
