"""A withdrawal of consent as the relying party gets it, and its answer: the signed erasure receipt.

Pure. The withdrawal carries the code, whose digest is the receipt's id, so that no box can withdraw without
the person; from another box than the one that made the verdict it carries that box's signed short form too.
It has no expiry: it is repeated until the erasure receipt comes, and doing it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Meta, Struct

from vouchbox.vault import authentic
from vouchbox.vault.authentic import authenticate, refused
from vouchbox.vault.formats import ERASURE_TYPE, IDENTIFIER, NAME, WITHDRAWAL_TYPE, to_base64url
from vouchbox.vault.keys import Signer
from vouchbox.vault.receipt_book import Withdrawn
from vouchbox.vault.registry import Registry

ERASURE_LIMIT = 4 * 1024
"""Bytes of an erasure receipt, at most."""


def sign(asked: Withdrawn, code: bytes, short: bytes, issuer: str, signer: Signer) -> bytes:
    """The withdrawal as a compact JWS. `short` is the short form, needed when `issuer` did not give it."""
    said: dict[str, Any] = {
        "iss": issuer,
        "aud": asked.party,
        "iat": asked.asked,
        "jti": asked.withdrawal,
        "box": asked.box,
        "verdict": asked.verdict,
        "receipt": asked.receipt,
        "code": to_base64url(code),
    }
    if asked.box != issuer:
        said["proof"] = short.decode()
    return signer.sign(WITHDRAWAL_TYPE, said)


class Erased(Struct, frozen=True):
    """How much the relying party erased."""

    templates: Annotated[int, Meta(ge=0, le=1000)]
    verdicts: Annotated[int, Meta(ge=0, le=1000)]


class Claims(Struct, frozen=True):
    """The claims of an erasure receipt; others are ignored. `aud` holds the box that withdrew and the one
    that made the verdict; `iat` is when it was erased."""

    iss: Annotated[str, Meta(pattern=NAME)]
    aud: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(min_length=1, max_length=2)]
    iat: Annotated[int, Meta(ge=0, le=2**40)]
    withdrawal: Annotated[str, Meta(pattern=IDENTIFIER)]
    verdict: Annotated[str, Meta(pattern=IDENTIFIER)]
    receipt: Annotated[str, Meta(pattern=IDENTIFIER)]
    erased: Erased


@dataclass(frozen=True, slots=True)
class Erasure:
    """`party` says that it erased what belonged to `verdict`, because of `withdrawal`."""

    party: str
    at: int
    withdrawal: str
    verdict: str
    receipt: str
    erased: Erased


def is_erasure(payload: bytes) -> bool:
    """Whether bytes from the acknowledgement topic call themselves an erasure receipt; proves nothing."""
    try:
        return jws.extract_compact(payload).headers().get("typ") == ERASURE_TYPE
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        return False


def verify_erasure(payload: bytes, registry: Registry, audience: str) -> Erasure:
    """The erasure receipt in `payload`; raises RequestRefused when no registered key signed it for us."""
    if len(payload) > ERASURE_LIMIT:
        raise refused("oversized", "the erasure receipt is too large", f"send at most {ERASURE_LIMIT} bytes")
    party, claims = authenticate(payload, ERASURE_TYPE, registry, Claims)
    if audience not in claims.aud:
        raise refused("wrong-audience", "the erasure receipt is for another box", f"put {audience} into aud")
    return Erasure(party.id, claims.iat, claims.withdrawal, claims.verdict, claims.receipt, claims.erased)


def read_claims(signed: bytes) -> Claims:
    """The claims in the payload of an erasure receipt; raises RequestRefused (malformed)."""
    return authentic.read_claims(signed, Claims)
