"""Puts the end of a session on the disk: verdict, template, receipt, audit and closed session, in one go.

Either all of it is durable or nothing is. A session whose end is already stored gets no second verdict, so
however often an end is tried, after a crash or a full disk, there is exactly one.
"""

from __future__ import annotations

import hashlib
import secrets

from vouchbox.config import Box
from vouchbox.errors import OutboxError
from vouchbox.messages import ConsentWay, Examination, Outcome
from vouchbox.reasons import Reason
from vouchbox.vault import audit, epochs, journal, limits, receipt_book, receipt_issue, verdict
from vouchbox.vault.ack import Acknowledgement
from vouchbox.vault.clock import Clock
from vouchbox.vault.consent import Answer
from vouchbox.vault.events import Ending, Ticket
from vouchbox.vault.findings import Findings
from vouchbox.vault.formats import TEMPLATE_CONTENT_TYPE, VERDICT_CONTENT_TYPE
from vouchbox.vault.keys import KeyRing
from vouchbox.vault.outbox import Outbox, Parcel
from vouchbox.vault.receipt_issue import Draft, Given, Issued
from vouchbox.vault.reckoning import Reckoning
from vouchbox.vault.registry import Registry
from vouchbox.vault.request import Request
from vouchbox.vault.store import Store

FORGET_S = 30.0
"""An acknowledged row leaves its table at once, and the write-ahead log at most this much later: emptying the
log is the dearest write of a session, and one does for all acknowledgements of that time."""

_BOOT, _BOOTS, _KEY = "boot", "boots", "key"


class Clerk:
    """Writes for one box. Every method that writes raises OutboxError when the disk refuses."""

    def __init__(
        self, box: Box, ring: KeyRing, registry: Registry, store: Store, outbox: Outbox, clock: Clock
    ) -> None:
        self._box = box
        self._ring = ring
        self._registry = registry
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._reckoning = Reckoning(store, clock)
        self._given: Given | None = None
        self._forget_at: float | None = None

    def start(self) -> list[Ticket]:
        """Count the boot, log the start, and give every session that a crash left open its one verdict."""
        boot, now = self._clock.boot(), self._now()
        with self._store.transaction():
            if not boot or self._store.fact(_BOOT) != boot:
                self._store.remember(_BOOTS, str(self._boots() + 1))
                self._store.remember(_BOOT, boot)
            audit.append(self._store, audit.Event.STARTED, now, {"boot": self._boots()})
            self._note_key(now)
            epochs.settle(self._store, self._registry, now)
        tickets = [Ticket(session, request) for session, request in journal.interrupted(self._store)]
        for ticket in tickets:
            self.conclude(ticket, Findings(Ending(Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,))), None)
        # What was acknowledged just before a power cut may still stand in the write-ahead log.
        self._store.forget_deleted()
        return tickets

    def open(self, ticket: Ticket) -> None:
        """Write an accepted session down, inside the caller's transaction."""
        self._outbox.require_room()
        now = self._now()
        journal.begin(self._store, ticket.session, ticket.request, now)
        audit.append(self._store, audit.Event.REQUEST, now, _facts(ticket))

    def refuse(self, ticket: Ticket, reason: Reason) -> None:
        """Store a signed refusal of a request that begins no session."""
        self._outbox.require_room()
        ending = Ending(Outcome.REFUSED, (reason,))
        token = self._token(ticket, Findings(ending), None)
        with self._store.transaction():
            self._outbox.put(ticket.session, self._verdict(ticket.request, token))
            audit.append(
                self._store, audit.Event.REFUSAL, self._now(), {**_facts(ticket), "reasons": [reason.value]}
            )

    def consent(self, ticket: Ticket, answer: Answer) -> None:
        """Log the person's answer, inside the caller's transaction; nothing says who answered."""
        said: audit.Detail = {"session": ticket.session, "accepted": int(answer.accepted)}
        audit.append(self._store, audit.Event.CONSENT, self._now(), said | {"way": answer.way.value})
        self._given = Given(ticket.session, self._reckoned(ticket.request.party), answer.way)

    def conclude(
        self,
        ticket: Ticket,
        findings: Findings,
        examination: Examination | None,
        way: ConsentWay | None = None,
    ) -> Issued | None:
        """Store the one verdict of an open session, its template and its receipt, which is returned for the
        person; does nothing when there is a verdict already.

        `way` is how the person agreed, None when nobody did.
        """
        request, ending = ticket.request, findings.ending
        drawn = self._draft(ticket, ending, way)
        token = self._token(ticket, findings, examination, way, drawn.receipt if drawn else "")
        parcels = [self._verdict(request, token)]
        if findings.template:
            parcels.append(self._template(request, findings.template))
        issued = self._issue(drawn, ticket, ending, parcels, examination) if drawn else None
        with self._store.transaction():
            if not journal.is_open(self._store, ticket.session):
                return None
            for parcel in parcels:
                self._outbox.put(ticket.session, parcel)
            said = [reason.value for reason in ending.reasons]
            detail: audit.Detail = {**_facts(ticket), "outcome": ending.outcome.value, "reasons": said}
            audit.append(self._store, audit.Event.VERDICT, self._now(), detail)
            if issued is not None and issued.kept is not None:
                known = self._now() if self._clock.synchronised() else None
                receipt_book.keep(self._store, issued.kept, now=known)
                named: audit.Detail = {"session": ticket.session, "receipt": issued.receipt}
                audit.append(self._store, audit.Event.RECEIPT, self._now(), named)
            journal.end(self._store, ticket.session)
            if ending.outcome in limits.FAILURES:
                now = limits.moment(self._store, self._clock)
                limits.count(self._store, limits.Kind.FAILURE, request.party, now)
        return issued

    def deliver(self, ack: Acknowledgement) -> list[str]:
        """Remove what the party holds; the sessions that owe nothing any more."""
        with self._store.transaction():
            gone = self._outbox.acknowledge(ack)
            for row, session in gone:
                detail: audit.Detail = {"session": session, "party": ack.party, "row": row}
                audit.append(self._store, audit.Event.DELIVERY, self._now(), detail)
        if gone and self._forget_at is None:
            self._forget_at = self._clock.steady() + FORGET_S
        sessions = dict.fromkeys(session for _, session in gone)
        return [session for session in sessions if not self._outbox.waiting_for(session)]

    def tidy(self) -> None:
        """Empty the write-ahead log when that is due."""
        if self._forget_at is not None and self._clock.steady() >= self._forget_at:
            self._store.forget_deleted()
            self._forget_at = None

    def _note_key(self, now: int) -> None:
        # Whoever changes the signing key, in whatever way, does not do so without a line in the log.
        signer = self._ring.signer
        if self._store.fact(_KEY) != signer.kid:
            self._store.remember(_KEY, signer.kid)
            audit.append(self._store, audit.Event.KEY, now, {"kid": signer.kid, "alg": signer.alg})

    def _token(
        self,
        ticket: Ticket,
        findings: Findings,
        examination: Examination | None,
        way: ConsentWay | None = None,
        receipt: str = "",
    ) -> bytes:
        party = self._registry.get(ticket.request.party)
        claim = None
        if findings.template:
            if party is None:
                raise OutboxError("the relying party is gone", "register it again")
            digest = hashlib.sha256(findings.template).hexdigest()
            size = len(findings.template)
            claim = verdict.TemplateClaim(
                digest, size, party.epoch, party.retention_days, party.template_readers
            )
        told = party.notices.get(ticket.request.purpose) if party is not None else None
        declined = findings.ending.outcome is Outcome.DECLINED and told is not None
        statement = verdict.Statement(
            issuer=self._box.audience,
            identity=self._ring.identity,
            jti=ticket.session,
            request=ticket.request,
            outcome=findings.ending.outcome,
            reasons=findings.ending.reasons,
            circumstances=verdict.Circumstances(
                self._now(), self._clock.uptime(), self._boots(), self._clock.synchronised()
            ),
            examination=examination,
            consent=way,
            receipt=receipt,
            template=claim,
            fmr=findings.fmr,
            alternative=told.alternative if declined and told else "",
        )
        return verdict.sign(statement, self._ring.signer)

    def _draft(self, ticket: Ticket, ending: Ending, way: ConsentWay | None) -> Draft | None:
        given = self._given if self._given and self._given.session == ticket.session else None
        known = self._registry.get(ticket.request.party)
        if known is None or ticket.request.purpose not in known.notices:
            return None
        return receipt_issue.draft(ending, given, way, secrets.token_bytes)

    def _issue(
        self,
        drawn: Draft,
        ticket: Ticket,
        ending: Ending,
        parcels: list[Parcel],
        examination: Examination | None,
    ) -> Issued:
        return receipt_issue.issue(
            drawn,
            ticket,
            ending.outcome,
            self._registry[ticket.request.party].notices[ticket.request.purpose],
            parcels,
            examination,
            issuer=self._box.audience,
            signer=self._ring.signer,
            now=self._reckoned(ticket.request.party),
            random=secrets.token_bytes,
        )

    def _verdict(self, request: Request, token: bytes) -> Parcel:
        topic = verdict_topic(self._box, request.response_topic)
        return self._parcel(request, topic, token, VERDICT_CONTENT_TYPE)

    def _template(self, request: Request, payload: bytes) -> Parcel:
        return self._parcel(request, f"{self._box.topic}/template", payload, TEMPLATE_CONTENT_TYPE)

    def _parcel(self, request: Request, topic: str, payload: bytes, content_type: str) -> Parcel:
        return Parcel(request.party, topic, payload, content_type, request.correlation)

    def _now(self) -> int:
        return int(self._clock.wall())

    def _reckoned(self, party: str) -> int:
        # Before the clock is set a receipt is dated by the request that it belongs to, or it would seem to be
        # over as soon as the clock is right.
        present = self._reckoning.present(party)
        return int(present.earliest) or self._now()

    def _boots(self) -> int:
        return int(self._store.fact(_BOOTS) or 0)


def verdict_topic(box: Box, asked: str) -> str:
    """Where a verdict goes: the response topic when it lies under this box's verdict topic, else that one.

    A request can't make the box publish anywhere else (MQTT 5, 4.10.1 leaves that check to the responder).
    """
    default = f"{box.topic}/verdict"
    plain = not any(sign in asked for sign in ("+", "#", "\0"))
    return asked if plain and asked.startswith(f"{default}/") else default


def _facts(ticket: Ticket) -> audit.Detail:
    request = ticket.request
    return {
        "session": ticket.session,
        "party": request.party,
        "purpose": request.purpose,
        "action": request.action.value,
        "level": request.level.value,
    }
