"""Takes a code from whoever brings it, and the relying party's erasure receipt for it.

Everything that is not a true code changes nothing, is counted by its caller, and only so many tries a minute
are answered. A withdrawal and all that goes with it is one transaction: it is on the disk before anyone is
told that it was taken, and a template that the uplink does not hold yet never leaves.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter, deque
from dataclasses import dataclass

from vouchbox.config import Box
from vouchbox.errors import CodeRefused, ReceiptInvalid, RequestRefused, VouchboxError
from vouchbox.messages import CodePresented, CodeRejected, WithdrawalStanding
from vouchbox.vault import (
    audit,
    receipt_book,
    receipt_check,
    subject_export,
    withdrawal,
    withdrawal_code,
)
from vouchbox.vault.authentic import refused
from vouchbox.vault.clock import Clock
from vouchbox.vault.formats import TEMPLATE_CONTENT_TYPE, WITHDRAWAL_CONTENT_TYPE
from vouchbox.vault.keys import Signer
from vouchbox.vault.outbox import Outbox, Parcel
from vouchbox.vault.receipt_book import Withdrawn
from vouchbox.vault.receipt_check import Keys
from vouchbox.vault.registry import Registry
from vouchbox.vault.store import Store
from vouchbox.vault.withdrawal import Erasure
from vouchbox.vault.withdrawal_code import Presented

ID_BYTES = 16
TRIES = 10
TRIES_S = 60.0
"""So many refused codes in so many seconds; then nobody is answered for a while."""

log = logging.getLogger("vouchbox.vault")


@dataclass(frozen=True, slots=True)
class _Belongs:
    box: str
    verdict: str
    party: str


class WithdrawalDesk:
    """For one vault. Methods that write raise OutboxError when the disk refuses."""

    def __init__(
        self,
        box: Box,
        signer: Signer,
        registry: Registry,
        fleet: Keys,
        store: Store,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._box = box
        self._signer = signer
        self._registry = registry
        self._fleet = fleet
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._failed: deque[float] = deque(maxlen=TRIES)

    def answer(self, said: CodePresented, counters: Counter[str]) -> WithdrawalStanding | CodeRejected:
        """What to tell whoever presented a code; never raises for a wrong one or a full disk."""
        try:
            withdrawn, new = self.withdraw(said.text, secrets.token_urlsafe(ID_BYTES))
        except CodeRefused as problem:
            counters[f"withdrawal-{problem.reason}"] += 1
            log.warning("a code was refused: %s", problem)
            return CodeRejected(problem.reason, problem.what, problem.fix)
        except VouchboxError as problem:
            counters["withdrawal-not-stored"] += 1
            log.error("a withdrawal was not taken: %s", problem)
            return CodeRejected("not-stored", "the box could not write it down", "try again in a while")
        counters["withdrawal-accepted"] += new
        answer = subject_export.erasure(withdrawn)
        return WithdrawalStanding(
            receipt=withdrawn.receipt,
            party=self._name(withdrawn.party),
            asked=withdrawn.asked,
            erased=withdrawn.erased or 0,
            templates=answer.erased.templates if answer else 0,
            verdicts=answer.erased.verdicts if answer else 0,
        )

    def erased(self, payload: bytes, counters: Counter[str]) -> None:
        """Take an erasure receipt from the acknowledgement topic; what is none is counted and changes
        nothing."""
        try:
            erasure = withdrawal.verify_erasure(payload, self._registry, self._box.audience)
            counters["erasure-confirmed"] += self.confirm(erasure, payload)
        except RequestRefused as problem:
            counters[f"erasure-{problem.reason}"] += 1
            log.warning("an erasure receipt was ignored: %s", problem)

    def withdraw(self, text: str, new_id: str) -> tuple[Withdrawn, bool]:
        """How the withdrawal of the receipt that `text` names stands, and whether it is new; `new_id` is its
        random id then.

        Raises CodeRefused: malformed, unknown, forged, wrong (the code is another receipt's), nothing (the
        receipt of a no), party-gone, too-many.
        """
        now = self._clock.steady()
        if len(self._failed) == TRIES and now - self._failed[0] < TRIES_S:
            raise CodeRefused("too-many", "too many codes were refused", "wait a minute, then try again")
        try:
            presented = withdrawal_code.read(text)
            before = receipt_book.withdrawal(self._store, presented.receipt)
            if before is not None:
                return before, False
            belongs = self._belongs(presented)
            if belongs.party not in self._registry:
                raise CodeRefused(
                    "party-gone", "that relying party is not registered any more", "write to its contact"
                )
        except CodeRefused:
            self._failed.append(now)
            raise
        return self._take(presented, belongs, new_id), True

    def confirm(self, erasure: Erasure, payload: bytes) -> bool:
        """Keep a verified erasure receipt; whether it says anything new.

        Raises RequestRefused (unknown-withdrawal) when it belongs to no receipt that this box gave or
        withdrew, to another party's, or to another verdict's.
        """
        known = receipt_book.withdrawal(self._store, erasure.receipt)
        if known is None:
            known = self._elsewhere(erasure)
        if known is None or (known.party, known.verdict) != (erasure.party, erasure.verdict):
            raise refused(
                "unknown-withdrawal", "the erasure receipt answers no withdrawal", "send it to the right box"
            )
        if known.erased is not None:
            return False
        with self._store.transaction():
            if receipt_book.withdrawal(self._store, erasure.receipt) is None:
                receipt_book.withdraw(self._store, known)
                self._drop_template(known.verdict)
            receipt_book.erased(self._store, known.receipt, erasure.at, payload)
            self._outbox.drop(known.withdrawal, WITHDRAWAL_CONTENT_TYPE)
            said: audit.Detail = {
                "receipt": known.receipt,
                "party": known.party,
                "session": known.verdict,
                "templates": erasure.erased.templates,
                "verdicts": erasure.erased.verdicts,
            }
            audit.append(self._store, audit.Event.ERASURE, int(self._clock.wall()), said)
        self._store.forget_deleted()
        return True

    def _name(self, party: str) -> str:
        known = self._registry.get(party)
        return party if known is None else known.name

    def _belongs(self, presented: Presented) -> _Belongs:
        # Whoever has the code of a receipt that is kept here needs no signature: the key may have expired.
        kept = receipt_book.find(self._store, presented.receipt)
        if kept is not None:
            return _Belongs(self._box.audience, kept.session, kept.party)
        if not presented.short:
            raise CodeRefused(
                "unknown",
                "no receipt of this box has that code",
                "check the words, show the QR code, or go to the box that gave the receipt",
            )
        try:
            form = receipt_check.read_short(presented.short, self._fleet)
        except ReceiptInvalid as problem:
            raise CodeRefused("forged", problem.what, problem.fix) from None
        if form.jti != presented.receipt:
            raise CodeRefused("wrong", "the code is not this receipt's", "show the QR code as it was given")
        if form.st != "given":
            raise CodeRefused("nothing", "this is the receipt of a no", "there is nothing to withdraw")
        return _Belongs(form.iss, form.v, form.aud)

    def _take(self, presented: Presented, belongs: _Belongs, new_id: str) -> Withdrawn:
        asked = Withdrawn(
            new_id,
            presented.receipt,
            belongs.verdict,
            belongs.party,
            belongs.box,
            int(self._clock.wall()),
        )
        token = withdrawal.sign(asked, presented.code, presented.short, self._box.audience, self._signer)
        parcel = Parcel(asked.party, f"{self._box.topic}/withdrawal", token, WITHDRAWAL_CONTENT_TYPE, b"")
        with self._store.transaction():
            receipt_book.withdraw(self._store, asked)
            self._outbox.put(asked.withdrawal, parcel)
            self._drop_template(asked.verdict)
            audit.append(
                self._store,
                audit.Event.WITHDRAWAL,
                asked.asked,
                {"receipt": asked.receipt, "party": asked.party, "session": asked.verdict, "box": asked.box},
            )
        self._store.forget_deleted()
        return asked

    def _drop_template(self, verdict: str) -> None:
        self._outbox.drop(verdict, TEMPLATE_CONTENT_TYPE)

    def _elsewhere(self, erasure: Erasure) -> Withdrawn | None:
        # The person went to another box of the fleet; this one gave the receipt and is told of the end.
        kept = receipt_book.find(self._store, erasure.receipt)
        if kept is None:
            return None
        return Withdrawn(
            erasure.withdrawal, kept.receipt, kept.session, kept.party, self._box.audience, erasure.at
        )
