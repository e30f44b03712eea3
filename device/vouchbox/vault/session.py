"""The session: one explicit state machine, pure. An event and the time in, the next state and effects out.

It holds no key and does no I/O; the daemon carries the effects out and reports back as events. One session
at a time. Whatever is not drawn here changes nothing, and every arrow out of a waiting state has a timeout.

                    Accepted                Recorded               Answered(yes), or
                                                                   yes in the request
    IDLE ------------------------> REQUESTED ---------> CONSENTING -------------> CAPTURING
     ^ ^   effect: Record              |    effect: Ask   |    |    effect: Open   |     |
     | |                               |                  |    |                   |     | cancel or timeout,
     | +-------------------------------+                  |    |                   |     | effect: Stop
     |   RecordFailed (nothing happened)                  |    | no, silence       |     v
     |                                                    |    | or cancel         |  STOPPING
     |                                  vision not ready, |    |                   |     |
     |                                  effect: Conclude  v    v                   v     v
     |                                                  EXAMINED <-----------------+-----+
     |                                                     |  ^     Examined, VisionLost, timeout
     |                                              Stored |  | StoreFailed: again, without
     |                                         effect: Show|  | what was measured
     |         Acknowledged                                v  |
     +----------------- DELIVERED <------------------- SEALED-+

IDLE, SEALED and DELIVERED are free: a new request may begin. In every other state another request is
refused as busy. EXAMINED stands for "the end is known, its verdict is not stored yet".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from vouchbox.messages import ConsentWay, Examination, Outcome
from vouchbox.reasons import Reason
from vouchbox.vault.consent import Answer
from vouchbox.vault.events import (
    Accepted,
    Acknowledged,
    Answered,
    Ask,
    Cancelled,
    Conclude,
    Disconnect,
    Effect,
    Ending,
    Event,
    Examined,
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
    VisionJoined,
    VisionLost,
)

STOP_S = 5.0
"""How long vision may take to stop and wipe."""

CAPTURE_GRACE_S = 20.0
"""How long an examination may take beyond the clip itself, opening the camera included."""

STORE_RETRY_S = 5.0
"""After a verdict could not be stored, the next attempt."""


class Step(Enum):
    """Where a session stands; see the drawing."""

    IDLE = "idle"
    REQUESTED = "requested"
    CONSENTING = "consenting"
    CAPTURING = "capturing"
    STOPPING = "stopping"
    EXAMINED = "examined"
    SEALED = "sealed"
    DELIVERED = "delivered"


FREE = frozenset({Step.IDLE, Step.SEALED, Step.DELIVERED})


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a person has to answer, and that a clip lasts."""

    consent_s: float
    capture_s: float


@dataclass(frozen=True, slots=True)
class State:
    """`deadline` is in seconds of the steady clock. `ticket` is None only in IDLE and DELIVERED.
    `given` is the answer that came with the request; `way` how the person agreed, None until then."""

    step: Step = Step.IDLE
    vision: bool = False
    ticket: Ticket | None = None
    deadline: float | None = None
    ending: Ending | None = None
    given: Answer | None = None
    way: ConsentWay | None = None


Result = tuple[State, tuple[Effect, ...]]

_GONE = Ending(Outcome.INCONCLUSIVE, (Reason.ROOM_GONE,))
_INTERRUPTED = Ending(Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,))
_LATE = Ending(Outcome.INCONCLUSIVE, (Reason.TIMEOUT,))
_CANCELLED = Ending(Outcome.CANCELLED, (Reason.CANCELLED,))
_DECLINED = Ending(Outcome.DECLINED, (Reason.DECLINED,))
_SILENT = Ending(Outcome.DECLINED, (Reason.CONSENT_TIMEOUT,))


def advance(state: State, event: Event, now: float, limits: Limits) -> Result:
    """The next state and what to do; `now` is steady time in seconds. Total: never raises."""
    match event:
        case Accepted(ticket, given):
            if state.step not in FREE:
                return state, (Refuse(ticket, Reason.BOX_BUSY),)
            return State(Step.REQUESTED, state.vision, ticket, given=given), (Record(ticket, given),)
        case VisionJoined():
            return replace(state, vision=True), ()
        case VisionLost():
            lost = replace(state, vision=False)
            if state.step in (Step.CAPTURING, Step.STOPPING):
                return _conclude(lost, state.ending or _GONE)
            return lost, ()
    if state.ticket is None:
        return state, ()
    match state.step:
        case Step.REQUESTED:
            return _requested(state, state.ticket, event, now, limits)
        case Step.CONSENTING:
            return _consenting(state, state.ticket, event, now, limits)
        case Step.CAPTURING | Step.STOPPING:
            return _capturing(state, state.ticket, event, now)
        case Step.EXAMINED:
            return _examined(state, state.ticket, event, now)
        case Step.SEALED if event == Acknowledged(state.ticket.session):
            return State(Step.DELIVERED, state.vision), ()
    return state, ()


def _requested(state: State, ticket: Ticket, event: Event, now: float, limits: Limits) -> Result:
    if event == RecordFailed():
        return State(vision=state.vision), ()
    if event != Recorded():
        return state, ()
    if not state.vision:
        return _conclude(state, _GONE)
    if state.given is None:
        return replace(state, step=Step.CONSENTING, deadline=now + limits.consent_s), (Ask(ticket),)
    if not state.given.accepted:
        return _conclude(state, _DECLINED)
    after, effects = _open(state, ticket, state.given, now, limits)
    return after, (Ask(ticket, given=True), *effects)


def _consenting(state: State, ticket: Ticket, event: Event, now: float, limits: Limits) -> Result:
    if _due(state, now):
        return _conclude(state, _SILENT)
    if event == RecordFailed():
        return _conclude(state, _INTERRUPTED)
    if event == Cancelled(ticket.session):
        return _conclude(state, _CANCELLED)
    if not isinstance(event, Answered) or event.session != ticket.session:
        return state, ()
    if not event.answer.accepted:
        return _conclude(state, _DECLINED)
    if not state.vision:
        return _conclude(state, _GONE)
    return _open(state, ticket, event.answer, now, limits)


def _open(state: State, ticket: Ticket, answer: Answer, now: float, limits: Limits) -> Result:
    deadline = now + limits.capture_s + CAPTURE_GRACE_S
    return replace(state, step=Step.CAPTURING, deadline=deadline, way=answer.way), (Open(ticket),)


def _capturing(state: State, ticket: Ticket, event: Event, now: float) -> Result:
    if isinstance(event, Examined) and event.examination.session == ticket.session:
        return _conclude(state, state.ending, event.examination)
    if _due(state, now):
        if state.step is Step.STOPPING:
            after, effects = _conclude(state, state.ending or _LATE)
            return after, (Disconnect(), *effects)
        return _stop(state, ticket, _LATE, now)
    if state.step is Step.CAPTURING and event == Cancelled(ticket.session):
        return _stop(state, ticket, _CANCELLED, now)
    return state, ()


def _examined(state: State, ticket: Ticket, event: Event, now: float) -> Result:
    if isinstance(event, Stored) and event.session == ticket.session:
        return State(Step.SEALED, state.vision, ticket), (Show(ticket, event.ending),)
    if event == StoreFailed(ticket.session):
        return replace(state, ending=state.ending or _INTERRUPTED, deadline=now + STORE_RETRY_S), ()
    if _due(state, now):
        return replace(state, deadline=None), (Conclude(ticket, state.ending, None, state.way),)
    return state, ()


def _stop(state: State, ticket: Ticket, ending: Ending, now: float) -> Result:
    return replace(state, step=Step.STOPPING, ending=ending, deadline=now + STOP_S), (Stop(ticket),)


def _conclude(state: State, ending: Ending | None, examination: Examination | None = None) -> Result:
    if state.ticket is None:
        return state, ()
    after = replace(state, step=Step.EXAMINED, ending=ending, deadline=None)
    return after, (Conclude(state.ticket, ending, examination, state.way),)


def _due(state: State, now: float) -> bool:
    return state.deadline is not None and now >= state.deadline
