"""What becomes of a message from a box: verify, store, and only then say that it is stored.

Decides, on bytes and a ledger; sends nothing. A message is worth an acknowledgement (the box may forget it)
when it is safely stored, or when it is authentic and will never be of use. It is worth none when it is not
a known box's, or when storing failed: then the box keeps it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256

from vouchbox.errors import SealError, VerdictInvalid
from vouchbox.messages import Action, Outcome
from vouchbox.relying_party import evidence, requests, templates, withdrawals
from vouchbox.relying_party.boxes import Boxes
from vouchbox.relying_party.evidence import Verdict
from vouchbox.relying_party.formats import audience_of
from vouchbox.relying_party.keys import PartyKeys
from vouchbox.relying_party.ledger import Ledger

log = logging.getLogger("vouchbox.relying_party")


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed acknowledgement and the topic for it; `also` has more topics for the very same bytes."""

    topic: str
    payload: bytes
    also: tuple[str, ...] = ()


class Intake:
    """Judges messages for `party`. `ledger` is written before an answer is returned."""

    def __init__(self, party: str, keys: PartyKeys, boxes: Boxes, ledger: Ledger) -> None:
        self._party = party
        self._keys = keys
        self._boxes = boxes
        self._ledger = ledger

    def verdict(self, topic: str, payload: bytes, now: float) -> Answer | None:
        """A message on a verdict topic. Raises VerdictInvalid for what is not true, OutboxError."""
        try:
            verdict = evidence.verify(payload, self._boxes, self._party, now, nonce_is_checked=True)
        except VerdictInvalid:
            # What came late is still the box's own word: it may be forgotten, but it counts for nothing.
            self._expired(payload, now)
            return self._answer(topic, payload, now)
        if audience_of(topic) != verdict.box:
            raise VerdictInvalid("a box speaks on another box's topic", "check the broker's ACL")
        self._take(verdict, payload, now)
        return self._answer(topic, payload, now)

    def template(self, topic: str, payload: bytes, now: float) -> Answer | None:
        """A message on a template topic. Raises SealError for what does not open, OutboxError.

        A template that precedes its verdict waits in the ledger, sealed.
        """
        message = templates.parse(payload)
        box = self._boxes.get(audience_of(topic))
        if box is None or message.box != box.ueid or message.party != self._party:
            raise SealError("the template is from an unknown box or for another party", "check the ACL")
        if not message.is_fleets:
            templates.unseal(message, self._keys.seal)
        token = self._ledger.verdict(message.jti)
        if token is None:
            self._ledger.park(sha256(payload).hexdigest(), message.jti, payload, now)
        else:
            verdict = evidence.verify(token, self._boxes, self._party, now, nonce_is_checked=True)
            self._keep(verdict, payload, now)
        return self._answer(topic, payload, now)

    def withdrawal(self, topic: str, payload: bytes, now: float) -> Answer | None:
        """A message on a withdrawal topic. Raises VerdictInvalid for what is not true, OutboxError.

        The erasure is on the disk before the erasure receipt is made; the same message again gets the same
        answer and erases nothing more.
        """
        told = withdrawals.verify(payload, self._boxes, self._party, now)
        if audience_of(topic) != told.by:
            raise VerdictInvalid("a box speaks on another box's topic", "check the broker's ACL")
        token = self._ledger.verdict(told.verdict)
        if token is not None and evidence.receipt_of(token) != (told.box, told.receipt):
            raise VerdictInvalid("the receipt is not that verdict's", "nobody but the person can withdraw")
        erased = self._ledger.withdraw(told, now)
        log.info("withdrawal %s: %d templates erased", told.jti, erased.templates)
        topics = [f"{self._boxes[name].topic}/ack" for name in dict.fromkeys((told.by, told.box))]
        signed = withdrawals.confirm(self._keys, self._party, told, erased)
        return Answer(topics[0], signed, tuple(topics[1:]))

    def _take(self, verdict: Verdict, payload: bytes, now: float) -> None:
        said = verdict.said
        asked = self._ledger.request(said.request)
        if asked is None:
            log.warning("a verdict answers a request that was never made; it counts for nothing")
            return
        expected = (asked.box, asked.nonce, asked.purpose, asked.action, asked.level)
        if (verdict.box, verdict.nonce, said.purpose, said.action, said.level) != expected:
            log.warning("a verdict does not fit its request; it counts for nothing")
            return
        if self._ledger.accept(verdict.jti, said.request, verdict.outcome, payload, now):
            log.info("verdict %s: %s", verdict.jti, verdict.outcome)
        elif self._ledger.withdrawn(verdict.jti) is not None:
            log.info("verdict %s came after its consent was withdrawn; it counts for nothing", verdict.jti)
            return
        elif self._ledger.verdict(verdict.jti) != payload:
            log.warning("a request has an answer already; a second one counts for nothing")
            return
        for waiting in self._ledger.parked(verdict.jti):
            try:
                self._keep(verdict, waiting, now)
            except (SealError, VerdictInvalid) as problem:
                log.warning("a waiting template is discarded: %s", problem)

    def _keep(self, verdict: Verdict, payload: bytes, now: float) -> None:
        templates.check(payload, verdict)
        asked = self._ledger.request(verdict.said.request)
        claim = verdict.said.template
        wanted = (verdict.outcome, verdict.said.action) == (Outcome.LIVE, Action.ENROLL)
        if asked is None or not asked.subject or claim is None or not wanted:
            log.warning("a template belongs to no enrolment; it is discarded")
            return
        digest = sha256(payload).hexdigest()
        if self._ledger.store(asked.subject, verdict.jti, digest, payload, now, claim.retention_days):
            log.info("the sealed template of verdict %s is stored", verdict.jti)

    def _expired(self, payload: bytes, now: float) -> None:
        # Verify again as of the token's own time; raises for everything that is wrong besides its age.
        issued = evidence.issued_at(payload)
        if issued > now:
            raise VerdictInvalid("the verdict comes from the future", "check the clocks of box and server")
        evidence.verify(payload, self._boxes, self._party, issued)
        log.warning("an expired verdict arrived; it counts for nothing")

    def _answer(self, topic: str, payload: bytes, now: float) -> Answer | None:
        audience = audience_of(topic)
        if audience not in self._boxes:
            return None
        digest = sha256(payload).hexdigest()
        signed = requests.acknowledge(self._keys, self._party, audience, [digest], now)
        return Answer(f"{self._boxes[audience].topic}/ack", signed)
