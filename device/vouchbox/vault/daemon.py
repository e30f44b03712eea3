"""`vouchbox vault`: one loop that takes what the rooms say, drives the session machine and acts on it.

What to do is decided elsewhere, by pure code. A problem of the disk, a room or a key ends a session as
inconclusive or leaves a request unaccepted; it never ends in a favourable verdict.
"""

from __future__ import annotations

import logging
import os
import resource
import secrets
import signal
import threading
from collections import Counter

from vouchbox.config import Config
from vouchbox.errors import OutboxError, RequestRefused, VouchboxError
from vouchbox.messages import (
    AckArrived,
    Action,
    CodePresented,
    ConsentGiven,
    ConsentToken,
    Examination,
    LinkState,
    MachineState,
    Message,
    Progress,
    Published,
    RequestArrived,
    SessionCancelled,
    VisionReady,
)
from vouchbox.notify import NOBODY, Notifier
from vouchbox.reasons import Reason
from vouchbox.vault import box_keys, consent, egress, keys, matching, provision, registry
from vouchbox.vault.admission import Admission
from vouchbox.vault.clerk import Clerk
from vouchbox.vault.clock import Clock, SystemClock
from vouchbox.vault.confirmations import Confirmations
from vouchbox.vault.courier import Courier
from vouchbox.vault.doors import Doors, Joined, Knock, Left, Room, Said
from vouchbox.vault.events import (
    Accepted,
    Acknowledged,
    Answered,
    Cancelled,
    Effect,
    Event,
    Examined,
    RecordFailed,
    Refuse,
    Ticked,
    Ticket,
    VisionJoined,
    VisionLost,
)
from vouchbox.vault.findings import reference_of
from vouchbox.vault.notary import Notary
from vouchbox.vault.outbox import Outbox
from vouchbox.vault.session import Limits, State, Step, advance
from vouchbox.vault.steward import Steward
from vouchbox.vault.store import Store
from vouchbox.vault.vitals import Vitals
from vouchbox.vault.withdrawal_desk import WithdrawalDesk

LOOP_S = 0.2
"""Longest sleep of the loop; deadlines are kept to this."""

SESSION_BYTES = 16

log = logging.getLogger("vouchbox.vault")


def run(
    config: Config,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    notifier: Notifier = NOBODY,
) -> None:
    """Serve until `stop` is set or SIGTERM or SIGINT comes.

    Raises ConfigError, KeyStoreError or OutboxError when the vault can't start.
    """
    ended = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    vault = Vault(config, clock or SystemClock())
    notifier.ready()
    try:
        while not ended.is_set():
            vault.step(LOOP_S)
            notifier.alive()
    finally:
        notifier.stopping()
        vault.close()


class Vault:
    """The loop's state. One thread."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._audience = config.box.audience
        self._limits = Limits(config.vault.consent_seconds, config.vault.capture_seconds)
        self._ring = keys.load(config.vault.keys, config.vault.token)
        self._registry = registry.load(config.vault.parties)
        self._thresholds = matching.load(config.vision.models)
        self._store = Store(config.box.state)
        self._outbox = Outbox(self._store)
        self._admission = Admission(self._store, self._registry, self._audience, config.vault, clock)
        public = provision.public_document(self._ring, self._audience)
        self._notary = Notary(
            self._store, config.box.state, self._ring.signer, public["keys"], self._audience, clock
        )
        self._clerk = Clerk(config.box, self._ring, self._registry, self._store, self._outbox, clock)
        interrupted = self._begin()
        self._counters: Counter[str] = Counter(interrupted=len(interrupted))
        self._state = State()
        self._vitals = Vitals(clock)
        self._closed = False
        self._doors = Doors(config)
        self._courier = Courier(
            config.box, self._doors, self._store, self._outbox, self._notary, clock, public
        )
        fleet = box_keys.with_own(public, config.vault.fleet, clock.wall())
        self._withdrawals = WithdrawalDesk(
            config.box, self._ring.signer, self._registry, fleet, self._store, self._outbox, clock
        )
        self._confirmations = Confirmations(self._registry, self._audience, self._clerk, self._withdrawals)
        self._steward = Steward(
            config.vault,
            self._doors,
            self._clerk,
            self._store,
            self._ring,
            self._registry,
            self._thresholds,
            clock,
        )

    def step(self, timeout_s: float) -> None:
        """Wait for one knock at most that long, and do all that follows from it."""
        knock = self._doors.take(timeout_s)
        try:
            if knock is not None:
                self._answer(knock)
            self._drive(Ticked())
            self._notary.keep_up()
            self._courier.offer()
            self._clerk.tidy()
            self._courier.tell(self._vitals.health(), self._counters, self._vitals.machine)
        except OutboxError as problem:
            self._trouble(problem)

    def close(self) -> None:
        """Close the doors; a session in its middle gets its verdict at the next start."""
        if self._closed:
            return
        self._closed = True
        self._doors.close()
        try:
            self._notary.sign()
        except VouchboxError as problem:
            log.error("the audit log was not vouched for at the end: %s", problem)
        self._store.close()
        self._ring.signer.close()

    def _begin(self) -> list[Ticket]:
        # A log or an epoch that was put back stops the vault before anything is written or anyone can knock.
        try:
            self._notary.require_log()
            interrupted = self._clerk.start()
            with self._store.transaction():
                egress.give_up(self._store)
            self._notary.sign()
        except BaseException:
            self._store.close()
            raise
        return interrupted

    def _answer(self, knock: Knock) -> None:
        match knock:
            case Joined("kiosk"):
                log.info("the kiosk is here")
                self._steward.ask_again(self._state)
            case Joined("uplink") | Left("uplink"):
                self._courier.uplink_changed()
            case Left("vision"):
                self._vitals.vision_left()
                self._drive(VisionLost())
            case Said(room, message):
                self._hear(room, message)

    def _hear(self, room: Room, message: Message) -> None:
        match message:
            case VisionReady():
                self._vitals.vision_joined(message)
                self._steward.vision = message
                self._drive(VisionJoined())
                log.info("the vision room is ready")
            case MachineState():
                self._vitals.machine = message
            case Progress():
                ticket = self._state.ticket
                if self._state.step is Step.CAPTURING and ticket and ticket.session == message.session:
                    self._doors.send("kiosk", message)
            case Examination():
                self._drive(Examined(message))
            case ConsentGiven() | ConsentToken():
                self._consent(message)
            case SessionCancelled():
                self._drive(Cancelled(message.session))
            case LinkState():
                self._courier.link(message.connected)
            case Published():
                self._courier.published(message, self._counters)
            case RequestArrived():
                self._request(message)
            case AckArrived():
                for name in self._confirmations.take(message.payload, self._counters):
                    self._drive(Acknowledged(name))
            case CodePresented():
                self._doors.send(room, self._withdrawals.answer(message, self._counters))
                self._courier.added()
            case _:
                log.warning("the %s said something that nobody expects", room)

    def _request(self, arrived: RequestArrived) -> None:
        try:
            judged = self._admission.judge(arrived)
        except RequestRefused as problem:
            self._counters[f"request-{problem.reason}"] += 1
            log.warning("a request was ignored: %s", problem)
            return
        ticket = Ticket(secrets.token_urlsafe(SESSION_BYTES), judged.request)
        refusal, reference = judged.refusal, None
        if refusal is None and judged.request.action is Action.MATCH:
            opened = reference_of(ticket, judged.party, judged.reference, self._ring, self._thresholds)
            if isinstance(opened, Reason):
                refusal = opened
            else:
                reference = opened
                refusal = self._steward.attempts_left(judged.party, reference)
        present = self._admission.present(judged.party.id)
        given = consent.given(judged.consent, judged.request, judged.party, self._audience, present)
        if isinstance(given, Reason):
            refusal, given = refusal or given, None
        if refusal is not None:
            self._carry_out(Refuse(ticket, refusal))
            return
        self._counters["request-accepted"] += 1
        self._steward.remember(ticket, reference)
        self._drive(Accepted(ticket, given))

    def _consent(self, said: ConsentGiven | ConsentToken) -> None:
        ticket = self._state.ticket
        if ticket is None or self._state.step is not Step.CONSENTING or ticket.session != said.session:
            return
        try:
            party = self._registry[ticket.request.party]
            answer = consent.answer(
                said, ticket.request, party, self._audience, self._admission.present(party.id)
            )
        except RequestRefused as problem:
            self._counters[f"consent-{problem.reason}"] += 1
            log.warning("a consent was ignored: %s", problem)
            return
        try:
            self._steward.record_answer(ticket, answer)
        except OutboxError as problem:
            self._trouble(problem)
            self._drive(RecordFailed())
            return
        self._drive(Answered(said.session, answer))

    def _drive(self, event: Event) -> None:
        """Feed the machine, carry out what it orders, and feed it what came of that."""
        events = [event]
        while events:
            self._state, effects = advance(self._state, events.pop(0), self._clock.steady(), self._limits)
            for effect in effects:
                events += self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> tuple[Event, ...]:
        report = self._steward.carry_out(effect)
        if report.stored is not None:
            self._vitals.storing = report.stored
            self._courier.added()
        self._counters.update(report.counted)
        return report.events

    def _trouble(self, problem: OutboxError) -> None:
        self._vitals.storing = False
        self._counters["disk-trouble"] += 1
        log.error("%s", problem)
