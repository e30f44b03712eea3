"""Does this withdrawal of consent count, and the signed erasure receipt that answers it.

Pure: bytes, known boxes and the time in, values and signed bytes out. A withdrawal is signed by a known box
and carries the person's code, whose digest is the id of the receipt: the signed verdict names that id, so no
box can withdraw without the person. Another box than the one that made the verdict also shows that box's
signed short form. A withdrawal has no expiry, for it is repeated until it is answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct

from vouchbox.errors import VerdictInvalid
from vouchbox.relying_party.boxes import Boxes
from vouchbox.relying_party.formats import (
    ERASURE_TYPE,
    IDENTIFIER,
    NAME,
    SHORT_RECEIPT_TYPE,
    WITHDRAWAL_TYPE,
    from_base64url,
    to_base64url,
)
from vouchbox.relying_party.keys import PartyKeys
from vouchbox.relying_party.tokens import authentic

WITHDRAWAL_LIMIT = 4 * 1024
"""Bytes of a withdrawal, at most."""

CODE_BYTES = 16

_RECEIPT_CONTEXT = b"vouchbox-receipt-v1\n"
_Id = Annotated[str, Meta(pattern=IDENTIFIER)]
_Box = Annotated[str, Meta(max_length=128)]
_Party = Annotated[str, Meta(pattern=NAME)]
_Seconds = Annotated[int, Meta(ge=0, le=2**40)]


class _Withdrawal(Struct, frozen=True):
    iss: _Box
    aud: _Party
    iat: _Seconds
    jti: _Id
    box: _Box
    verdict: _Id
    receipt: _Id
    code: Annotated[str, Meta(max_length=64)]
    proof: Annotated[str, Meta(max_length=1024)] = ""


class _Short(Struct, frozen=True):
    iss: _Box
    aud: _Party
    jti: _Id
    v: _Id
    st: str = "given"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A person takes back the consent behind `verdict`, which `box` made; `by` is the box that says so."""

    jti: str
    by: str
    box: str
    verdict: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was erased for one withdrawal, and when (Unix seconds)."""

    templates: int
    verdicts: int
    at: int


def verify(payload: bytes, boxes: Boxes, party: str, now: float) -> Withdrawal:
    """The withdrawal in `payload`, for `party` at Unix time `now`; raises VerdictInvalid when it is untrue.

    Whether its receipt is the one that the verdict names is for the caller, who may hold that verdict.
    """
    if len(payload) > WITHDRAWAL_LIMIT:
        raise VerdictInvalid("the withdrawal is too large", f"none has more than {WITHDRAWAL_LIMIT} bytes")
    _, said = authentic(payload, WITHDRAWAL_TYPE, boxes, _Withdrawal, now)
    if said.aud != party:
        raise VerdictInvalid("the withdrawal is for another relying party", "check the audience")
    if said.box not in boxes:
        raise VerdictInvalid("the withdrawal names an unknown box", "add that box's document")
    if _receipt_id(said.code) != said.receipt:
        raise VerdictInvalid("the code is not this receipt's", "nobody but the person can withdraw")
    if said.box != said.iss:
        _, shown = authentic(said.proof.encode(), SHORT_RECEIPT_TYPE, boxes, _Short, now)
        named = (shown.iss, shown.aud, shown.jti, shown.v, shown.st)
        if named != (said.box, party, said.receipt, said.verdict, "given"):
            raise VerdictInvalid("the receipt is not that verdict's", "show the receipt as it was given")
    return Withdrawal(said.jti, said.iss, said.box, said.verdict, said.receipt)


def confirm(keys: PartyKeys, party: str, told: Withdrawal, erased: Erased) -> bytes:
    """The signed erasure receipt, for the box that withdrew and for the one that made the verdict."""
    return keys.sign(
        ERASURE_TYPE,
        {
            "iss": party,
            "aud": list(dict.fromkeys((told.by, told.box))),
            "iat": erased.at,
            "withdrawal": told.jti,
            "verdict": told.verdict,
            "receipt": told.receipt,
            "erased": {"templates": erased.templates, "verdicts": erased.verdicts},
        },
    )


def _receipt_id(code: str) -> str:
    try:
        raw = from_base64url(code)
    except ValueError:
        raw = b""
    if len(raw) != CODE_BYTES:
        return ""
    return to_base64url(sha256(_RECEIPT_CONTEXT + raw).digest()[:CODE_BYTES])
