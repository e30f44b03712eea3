"""The wire formats as a relying party knows them: token types, profile, HPKE contexts, base64url.

Written from the formats in the vault's README, not imported from it: the two sides agree by document, and
tests/relying_party holds them together. Pure constants and text.
"""

from __future__ import annotations

import base64
import re
from typing import Final

PROFILE = "urn:uuid:5f0c1f0e-6d3b-4c39-9b0a-6c1d7b5e0a11"
"""`eat_profile` of the verdicts that this code understands (RFC 9711, 4.3.2)."""

REQUEST_TYPE = "vouchbox-request+jwt"
ACK_TYPE = "vouchbox-ack+jwt"
CONSENT_TYPE = "vouchbox-consent+jwt"
VERDICT_TYPE = "eat+jwt"
SHORT_RECEIPT_TYPE = "vbr+jwt"
WITHDRAWAL_TYPE = "vouchbox-withdrawal+jwt"
ERASURE_TYPE = "vouchbox-erasure+jwt"

REQUEST_CONTENT_TYPE = "application/vnd.vouchbox.request+jwt"
ACK_CONTENT_TYPE = "application/vnd.vouchbox.ack+jwt"

TEMPLATE_FORMAT: Final = "vouchbox-template-v1"
FLEET_FORMAT: Final = "vouchbox-fleet-template-v1"
REFERENCE_FORMAT: Final = "vouchbox-reference-v1"

PRIVATE_CLAIM = "vouchbox"
MEASUREMENT = "vouchbox-liveness"

ALGORITHMS = ("Ed25519", "ES256")
"""The only signature algorithms (RFC 9864, RFC 7518; the allow-list of RFC 8725, 3.1)."""

NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
IDENTIFIER = r"^[A-Za-z0-9_-]{16,64}$"
NONCE = r"^[!-~]{8,88}$"

_TOPIC = re.compile(r"vouchbox/v1/([a-z0-9][a-z0-9-]{0,31})/([a-z0-9][a-z0-9-]{0,31})/[a-z]+(?:/.*)?")
_AUDIENCE = re.compile(r"vouchbox:([a-z0-9][a-z0-9-]{0,31})/([a-z0-9][a-z0-9-]{0,31})")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def audience_of(topic: str) -> str:
    """The box that speaks on `topic`, as `vouchbox:<site>/<device>`; "" for a topic of no box."""
    match = _TOPIC.fullmatch(topic)
    return f"vouchbox:{match[1]}/{match[2]}" if match else ""


def topic_root(audience: str) -> str:
    """Root of the topics of the box `audience`; "" when that is no box."""
    match = _AUDIENCE.fullmatch(audience)
    return f"vouchbox/v1/{match[1]}/{match[2]}" if match else ""


def template_context(ueid: str, party: str, jti: str, purpose: str) -> bytes:
    """HPKE `info` of a sealed template; `ueid` is the box's, `jti` the verdict's."""
    return "\n".join((TEMPLATE_FORMAT, ueid, party, jti, purpose)).encode()


def reference_context(ueid: str, party: str, jti: str, nonce: str) -> bytes:
    """HPKE `info` of the reference in a match request; `jti` and `nonce` are the request's."""
    return "\n".join((REFERENCE_FORMAT, ueid, party, jti, nonce)).encode()


def to_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of unpadded, canonical base64url; raises ValueError for anything else."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data
