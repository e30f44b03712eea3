"""The names and small encodings that a relying party must know too: token types, profile, seal contexts.

Pure constants and text. Whatever changes here changes the wire format, so the version is in every name.
The README of this folder documents each of them for people who write a relying party.
"""

from __future__ import annotations

import base64
import re
from typing import Final

PROFILE = "urn:uuid:5f0c1f0e-6d3b-4c39-9b0a-6c1d7b5e0a11"
"""`eat_profile` of our verdicts (RFC 9711, 4.3.2): version 1 of the claims in this folder's README."""

REQUEST_TYPE = "vouchbox-request+jwt"
ACK_TYPE = "vouchbox-ack+jwt"
CONSENT_TYPE = "vouchbox-consent+jwt"
VERDICT_TYPE = "eat+jwt"
AUDIT_HEAD_TYPE = "vouchbox-audit-head+jwt"
RECEIPT_TYPE = "vouchbox-receipt+jwt"
SHORT_RECEIPT_TYPE = "vbr+jwt"
WITHDRAWAL_TYPE = "vouchbox-withdrawal+jwt"
ERASURE_TYPE = "vouchbox-erasure+jwt"

VERDICT_CONTENT_TYPE = "application/eat+jwt"
TEMPLATE_CONTENT_TYPE = "application/vnd.vouchbox.template+msgpack"
WITHDRAWAL_CONTENT_TYPE = "application/vnd.vouchbox.withdrawal+jwt"

TEMPLATE_FORMAT: Final = "vouchbox-template-v1"
FLEET_FORMAT: Final = "vouchbox-fleet-template-v1"
REFERENCE_FORMAT = "vouchbox-reference-v1"

PRIVATE_CLAIM = "vouchbox"
"""The one private claim of a verdict; an object that holds everything that EAT has no claim for."""

ALGORITHMS = ("Ed25519", "ES256")
"""The only signature algorithms (RFC 9864, RFC 7518), for requests, acknowledgements and verdicts alike."""

NONCE = r"^[!-~]{8,88}$"
"""`eat_nonce` is 8 to 88 bytes of text (RFC 9711, 4.1); printable ASCII here."""

IDENTIFIER = r"^[A-Za-z0-9_-]{16,64}$"
NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
AUDIENCE = r"^vouchbox:[a-z0-9][a-z0-9-]{0,31}/[a-z0-9][a-z0-9-]{0,31}$"

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def template_context(box: str, party: str, jti: str, purpose: str) -> bytes:
    """HPKE `info` of a sealed template: who sealed, for whom, with which verdict, for what purpose.

    The parts are joined by line feeds, which none of them can contain, so no two contexts are equal.
    """
    return "\n".join((TEMPLATE_FORMAT, box, party, jti, purpose)).encode()


def fleet_context(box: str, party: str, jti: str, purpose: str, epoch: int) -> bytes:
    """HPKE `info` of a template that is sealed to the fleet: as template_context, and the epoch."""
    return "\n".join((FLEET_FORMAT, box, party, jti, purpose, str(epoch))).encode()


def reference_context(box: str, party: str, jti: str, nonce: str) -> bytes:
    """HPKE `info` of the reference in a match request; `jti` and `nonce` are the request's."""
    return "\n".join((REFERENCE_FORMAT, box, party, jti, nonce)).encode()


def to_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of unpadded base64url; raises ValueError for anything else, also for spare bits."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data
