"""Carries out what the session machine orders, and reports what came of it.

It holds the passing values of one session, the prompts it drew and the opened reference, and forgets them
when the session ends. Whatever fails here fails towards inconclusive.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from vouchbox.config import Vault as VaultConfig
from vouchbox.errors import OutboxError, VouchboxError
from vouchbox.messages import (
    Action,
    CancelExamination,
    ConsentAsked,
    Examine,
    Level,
    Outcome,
    Prompt,
    ReceiptIssued,
    SessionEnded,
    SourceKind,
    VisionReady,
)
from vouchbox.reasons import Reason
from vouchbox.vault import challenge, limits, policy
from vouchbox.vault.clerk import Clerk
from vouchbox.vault.clock import Clock
from vouchbox.vault.consent import Answer
from vouchbox.vault.doors import Doors
from vouchbox.vault.events import (
    Ask,
    Conclude,
    Disconnect,
    Effect,
    Ending,
    Event,
    Open,
    Record,
    Recorded,
    RecordFailed,
    Refuse,
    Show,
    Stop,
    Stored,
    StoreFailed,
    Ticket,
    VisionLost,
)
from vouchbox.vault.findings import Findings, find
from vouchbox.vault.keys import KeyRing
from vouchbox.vault.matching import Thresholds
from vouchbox.vault.policy import Asked
from vouchbox.vault.registry import Party, Registry
from vouchbox.vault.replay import RefusalBudget
from vouchbox.vault.session import State, Step
from vouchbox.vault.store import Store
from vouchbox.vault.template import Template

log = logging.getLogger("vouchbox.vault")

_BROKEN = Findings(Ending(Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,)))


@dataclass(frozen=True, slots=True)
class Report:
    """What came of an effect: events for the machine, whether the disk took it (None: nothing was written),
    and what to count."""

    events: tuple[Event, ...] = ()
    stored: bool | None = None
    counted: tuple[str, ...] = ()


class Steward:
    """Acts for one vault. `vision` is what that room last said of itself."""

    def __init__(
        self,
        config: VaultConfig,
        doors: Doors,
        clerk: Clerk,
        store: Store,
        ring: KeyRing,
        registry: Registry,
        thresholds: Thresholds,
        clock: Clock,
    ) -> None:
        self.vision: VisionReady | None = None
        self._config = config
        self._doors = doors
        self._clerk = clerk
        self._store = store
        self._ring = ring
        self._registry = registry
        self._thresholds = thresholds
        self._clock = clock
        self._budget = RefusalBudget()
        self._references: dict[str, Template] = {}
        self._prompts: tuple[Prompt, ...] = ()
        self._issued: ReceiptIssued | None = None

    def remember(self, ticket: Ticket, reference: Template | None) -> None:
        """Keep the opened reference of a match request until its session ends."""
        if reference is not None:
            self._references[ticket.session] = reference

    def attempts_left(self, party: Party, reference: Template) -> Reason | None:
        """Why `reference` may not be compared again yet; None when it may."""
        told = limits.digest(reference, self._ring.template_secret)
        with self._store.transaction():
            return limits.refusal_of(self._store, party, told, limits.moment(self._store, self._clock))

    def record_answer(self, ticket: Ticket, answer: Answer) -> None:
        """Log the person's answer; a yes to a match is one attempt with its reference. Raises OutboxError."""
        with self._store.transaction():
            self._answered(ticket, answer)

    def ask_again(self, state: State) -> None:
        """A kiosk came while an answer is awaited: show it the notice with the time that is left."""
        if state.step is Step.CONSENTING and state.ticket is not None and state.deadline is not None:
            self._ask(state.ticket, max(1, int(state.deadline - self._clock.steady())))

    def carry_out(self, effect: Effect) -> Report:
        """Do it; never raises for a full disk, a missing room or a failing key."""
        match effect:
            case Record(ticket, given):
                return self._record(ticket, given)
            case Refuse(ticket, reason):
                self._references.pop(ticket.session, None)
                return self._refuse(ticket, reason)
            case Ask(ticket, given):
                self._ask(ticket, self._config.consent_seconds, given)
            case Open(ticket):
                return Report() if self._open(ticket) else Report((VisionLost(),))
            case Stop(ticket):
                self._doors.send("vision", CancelExamination(ticket.session))
            case Disconnect():
                self._doors.hang_up("vision")
            case Conclude():
                return self._conclude(effect)
            case Show(ticket, ending):
                self._show(ticket, ending)
        return Report()

    def _record(self, ticket: Ticket, given: Answer | None) -> Report:
        try:
            with self._store.transaction():
                self._clerk.open(ticket)
                if given is not None:
                    self._answered(ticket, given)
        except OutboxError as problem:
            log.error("a request was not accepted: %s", problem)
            self._references.pop(ticket.session, None)
            return Report((RecordFailed(),), stored=False, counted=("not-accepted",))
        return Report((Recorded(),), stored=True)

    def _answered(self, ticket: Ticket, answer: Answer) -> None:
        self._clerk.consent(ticket, answer)
        reference = self._references.get(ticket.session)
        if answer.accepted and reference is not None:
            # Counted before the camera opens, so that a power cut gives no attempt back.
            told = limits.digest(reference, self._ring.template_secret)
            now = limits.moment(self._store, self._clock)
            limits.count(self._store, limits.Kind.MATCH, ticket.request.party, now, told)

    def _refuse(self, ticket: Ticket, reason: Reason) -> Report:
        if not self._budget.spend(ticket.request.party, self._clock.steady()):
            return Report(counted=("refused-in-silence",))
        try:
            self._clerk.refuse(ticket, reason)
        except VouchboxError as problem:
            log.error("a refusal was not sent: %s", problem)
            return Report(stored=False if isinstance(problem, OutboxError) else None)
        return Report(stored=True, counted=(f"refused-{reason.value}",))

    def _ask(self, ticket: Ticket, seconds: int, given: bool = False) -> None:
        party, request = self._registry[ticket.request.party], ticket.request
        self._doors.send(
            "kiosk",
            ConsentAsked(
                session=ticket.session,
                party=party.name,
                purpose=request.purpose,
                action=request.action,
                level=request.level,
                notice=party.notices[request.purpose],
                seconds=seconds,
                given=given,
            ),
        )

    def _open(self, ticket: Ticket) -> bool:
        request = ticket.request
        self._prompts = ()
        pauses: tuple[float, ...] = ()
        if request.level is Level.ACTIVE:
            entropy = secrets.token_bytes(challenge.ENTROPY_BYTES)
            self._prompts, pauses = challenge.draw(request.nonce, entropy, self._config.challenge_length)
        self._doors.new_session()
        return self._doors.send(
            "vision",
            Examine(
                session=ticket.session,
                level=request.level,
                prompts=self._prompts,
                want_embedding=request.action is not Action.CHECK,
                seconds=self._config.capture_seconds,
                pauses=pauses,
            ),
        )

    def _conclude(self, effect: Conclude) -> Report:
        ticket = effect.ticket
        reference = self._references.pop(ticket.session, None)
        findings = self._findings(effect, reference)
        try:
            examination = effect.examination and policy.stated(effect.examination, self._source())
            issued = self._clerk.conclude(ticket, findings, examination, effect.way)
        except VouchboxError as problem:
            log.error("a verdict could not be stored: %s", problem)
            return Report((StoreFailed(ticket.session),), stored=False)
        self._issued = (
            None
            if issued is None
            else ReceiptIssued(ticket.session, issued.receipt, issued.text, issued.words)
        )
        outcome = findings.ending.outcome.value
        return Report(
            (Stored(ticket.session, findings.ending),), stored=True, counted=(f"outcome-{outcome}",)
        )

    def _findings(self, effect: Conclude, reference: Template | None) -> Findings:
        if effect.ending is not None:
            return Findings(effect.ending)
        if effect.examination is None:
            return _BROKEN
        try:
            return find(
                effect.ticket,
                self._registry[effect.ticket.request.party],
                effect.examination,
                Asked(effect.ticket.request.level, self._prompts, self._source()),
                self._ring,
                self._thresholds,
                reference,
            )
        except Exception as problem:  # whatever is wrong, the person gets an end and it is not favourable
            log.error("an examination could not be judged (%s)", type(problem).__name__)
            return _BROKEN

    def _source(self) -> SourceKind | None:
        return None if self.vision is None else self.vision.source_kind

    def _show(self, ticket: Ticket, ending: Ending) -> None:
        party = self._registry[ticket.request.party]
        declined = ending.outcome is Outcome.DECLINED
        self._doors.send(
            "kiosk",
            SessionEnded(
                session=ticket.session,
                outcome=ending.outcome,
                reasons=ending.reasons,
                alternative=party.notices[ticket.request.purpose].alternative if declined else "",
            ),
        )
        receipt, self._issued = self._issued, None
        if receipt is not None and receipt.session == ticket.session:
            self._doors.send("kiosk", receipt)
