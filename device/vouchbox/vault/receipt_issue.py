"""Draws up the receipt of a session that ends: an id and a code before the verdict, both forms after it.

Pure but for the key that signs; randomness is passed in. Who agreed gets a receipt with a code, whatever came
of the session. Who said no gets one without: there is nothing to withdraw, and the box keeps nothing of it.
Where nobody answered there is nobody to give one to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vouchbox.messages import ConsentWay, Examination, Notice, Outcome
from vouchbox.reasons import Reason
from vouchbox.vault import receipt, withdrawal_code
from vouchbox.vault.events import Ending, Ticket
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.keys import Signer
from vouchbox.vault.outbox import Parcel
from vouchbox.vault.receipt import EventState, Facts
from vouchbox.vault.receipt_book import Kept

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Given:
    """The person's answer in a session: when (Unix seconds) and in which way."""

    session: str
    answered: int
    way: ConsentWay


@dataclass(frozen=True, slots=True, repr=False)
class Draft:
    """A receipt to be. `receipt` is its id; `code` is empty on the receipt of a no."""

    receipt: str
    code: bytes
    state: EventState
    given: Given


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """For the person: the id, the text of the QR code, the code in words (empty after a no). For the box:
    what it keeps, None after a no."""

    receipt: str
    text: str
    words: str
    kept: Kept | None


def draft(ending: Ending, given: Given | None, way: ConsentWay | None, random: Random) -> Draft | None:
    """The receipt that a session with this ending gets. `way` is how the person agreed, None if not."""
    if given is None:
        return None
    if way is not None:
        code = random(withdrawal_code.CODE_BYTES)
        return Draft(withdrawal_code.receipt_id(code), code, EventState.GIVEN, given)
    if ending == Ending(Outcome.DECLINED, (Reason.DECLINED,)):
        return Draft(to_base64url(random(withdrawal_code.CODE_BYTES)), b"", EventState.REFUSED, given)
    return None


def issue(
    drawn: Draft,
    ticket: Ticket,
    outcome: Outcome,
    notice: Notice,
    sent: Sequence[Parcel],
    examination: Examination | None,
    *,
    issuer: str,
    signer: Signer,
    now: int,
    random: Random,
) -> Issued:
    """Both forms, signed; raises KeyStoreError when the key does not sign."""
    facts = Facts(
        issuer=issuer,
        receipt=drawn.receipt,
        record=to_base64url(random(withdrawal_code.CODE_BYTES)),
        principal=to_base64url(random(withdrawal_code.CODE_BYTES)),
        verdict=ticket.session,
        request=ticket.request,
        notice=notice,
        state=drawn.state,
        way=drawn.given.way,
        answered=drawn.given.answered,
        issued=now,
        outcome=outcome,
        sent=sent,
        examination=examination,
    )
    text = withdrawal_code.text(receipt.sign_short(facts, signer), drawn.code)
    if not drawn.code:
        return Issued(drawn.receipt, text, "", None)
    kept = Kept(
        drawn.receipt,
        ticket.session,
        ticket.request.party,
        receipt.sign(facts, signer),
        now,
        now + facts.validity_s,
    )
    return Issued(drawn.receipt, text, withdrawal_code.words(drawn.code), kept)
