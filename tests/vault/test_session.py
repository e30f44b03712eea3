"""The session machine under every order of events: what must hold whatever happens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchbox.messages import Action, ConsentWay, Examination, Level, Outcome, Source, SourceKind
from vouchbox.reasons import Reason
from vouchbox.vault import session
from vouchbox.vault.consent import Answer
from vouchbox.vault.events import (
    Accepted,
    Acknowledged,
    Answered,
    Ask,
    Cancelled,
    Conclude,
    Ending,
    Event,
    Examined,
    Open,
    Record,
    Recorded,
    RecordFailed,
    Refuse,
    Show,
    Stored,
    StoreFailed,
    Ticked,
    Ticket,
    VisionJoined,
    VisionLost,
)
from vouchbox.vault.request import Request
from vouchbox.vault.session import FREE, Limits, State, Step, advance

LIMITS = Limits(consent_s=60, capture_s=5)
NAMES = ("session-number-one", "session-number-two")
REQUEST = Request("p", "j" * 16, "n" * 16, "pickup", Action.CHECK, Level.ACTIVE, 0)
TICKETS = {name: Ticket(name, REQUEST) for name in NAMES}
LIVE = Ending(Outcome.LIVE, ())

YES, NO = Answer(True, ConsentWay.PROMPT), Answer(False, ConsentWay.BUTTON)

names = st.sampled_from(NAMES)
answers = st.builds(Answer, st.booleans(), st.sampled_from(ConsentWay))
outside = st.one_of(
    st.builds(Accepted, st.sampled_from(list(TICKETS.values())), st.none() | answers),
    st.builds(Answered, names, answers),
    names.map(Cancelled),
    names.map(lambda name: ("examined", name)),
    st.sampled_from([VisionJoined(), VisionLost(), Ticked()]),
    names.map(Acknowledged),
)


@settings(max_examples=400, deadline=None)
@given(
    story=st.lists(st.tuples(outside, st.floats(0, 90)), max_size=40),
    disk=st.lists(st.booleans(), max_size=60),
)
def test_whatever_happens_the_promises_hold(exam_factory: Any, story: list[Any], disk: list[bool]) -> None:
    """The camera opens only on the asked person's yes; an accepted session gets one stored verdict, or still
    owes it; nothing but an examination that nobody interrupted can end favourably."""
    state, now = State(vision=True), 0.0
    works = iter(disk)
    recorded: Counter[Ticket] = Counter()
    verdicts: Counter[Ticket] = Counter()
    asked: list[Ticket] = []
    for happening, passed in story:
        now += passed
        event: Event = Examined(exam_factory(happening[1])) if isinstance(happening, tuple) else happening
        events = [event]
        while events:
            event = events.pop(0)
            before = state
            state, effects = advance(state, event, now, LIMITS)
            for effect in effects:
                if isinstance(effect, Record):
                    ok = next(works, True)
                    recorded[effect.ticket] += ok
                    events.append(Recorded() if ok else RecordFailed())
                elif isinstance(effect, Ask):
                    asked.append(effect.ticket)
                elif isinstance(effect, Open):
                    assert asked[-1] == effect.ticket
                    if before.step is Step.REQUESTED:
                        assert event == Recorded()
                        assert before.given is not None
                        assert before.given.accepted
                    else:
                        assert before.step is Step.CONSENTING
                        assert isinstance(event, Answered)
                        assert (event.session, event.answer.accepted) == (effect.ticket.session, True)
                elif isinstance(effect, Conclude):
                    assert (effect.way is None) <= (effect.examination is None)
                    if effect.ending is None:
                        assert isinstance(event, Examined)
                        assert event.examination is effect.examination
                        assert before.step is Step.CAPTURING
                    else:
                        assert effect.ending.outcome not in {Outcome.LIVE, Outcome.MATCH}
                    ok = next(works, True)
                    verdicts[effect.ticket] += ok
                    name = effect.ticket.session
                    events.append(Stored(name, effect.ending or LIVE) if ok else StoreFailed(name))
                elif isinstance(effect, Refuse):
                    assert before.step not in FREE
    owed = Counter() if state.step in FREE or state.ticket is None else Counter([state.ticket])
    assert verdicts + owed == recorded


@pytest.fixture(scope="module")
def exam_factory() -> Any:
    source = Source(SourceKind.SENSOR, "camera", 640, 480, 15.0)
    rest = ((), (), (), source, 1, 0, 1.0, (), "runtime", (), (), True)
    return lambda name: Examination(name, Level.ACTIVE, Outcome.LIVE, *rest)


@settings(max_examples=200, deadline=None)
@given(story=st.lists(st.one_of(names.map(Cancelled), st.builds(Answered, names, answers)), max_size=6))
def test_time_alone_brings_every_session_to_its_end(story: list[Event]) -> None:
    ticket = TICKETS[NAMES[0]]
    state, now = State(vision=True), 0.0
    for event in (Accepted(ticket), Recorded(), *story):
        state, effects = advance(state, event, now, LIMITS)
    for _ in range(200):
        now += 1.0
        state, effects = advance(state, Ticked(), now, LIMITS)
        for effect in effects:
            if isinstance(effect, Conclude):
                assert effect.ending is not None
                state, _ = advance(state, Stored(ticket.session, effect.ending), now, LIMITS)
    assert state.step is Step.EXAMINED or state.step is Step.SEALED


def run(*events: Event, state: State | None = None, now: float = 0.0) -> tuple[State, list[Any]]:
    state, said = state or State(vision=True), []
    for event in events:
        state, effects = advance(state, event, now, LIMITS)
        said += effects
    return state, said


def test_an_accepted_request_is_on_the_disk_before_anyone_is_asked() -> None:
    ticket = TICKETS[NAMES[0]]
    _, said = run(Accepted(ticket))
    assert said == [Record(ticket)]
    state, said = run(Accepted(ticket), RecordFailed())
    assert state.step is Step.IDLE
    assert said == [Record(ticket)]


def test_a_verdict_that_could_not_be_stored_is_tried_again_without_the_examination(
    exam_factory: Any,
) -> None:
    ticket = TICKETS[NAMES[0]]
    examination = exam_factory(ticket.session)
    state, said = run(Accepted(ticket), Recorded(), Answered(ticket.session, YES), Examined(examination))
    assert said[-1] == Conclude(ticket, None, examination, ConsentWay.PROMPT)
    state, said = run(StoreFailed(ticket.session), Ticked(), state=state)
    assert said == []
    state, said = run(Ticked(), state=state, now=session.STORE_RETRY_S)
    assert said == [
        Conclude(ticket, Ending(Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,)), None, ConsentWay.PROMPT)
    ]
    state, said = run(Stored(ticket.session, said[0].ending), state=state, now=session.STORE_RETRY_S)
    assert said == [Show(ticket, Ending(Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,)))]


def test_a_delivered_session_leaves_the_box_free_and_a_new_one_does_not_wait_for_it() -> None:
    first, second = TICKETS.values()
    state, _ = run(Accepted(first), Recorded(), Answered(first.session, NO), Stored(first.session, LIVE))
    assert state.step is Step.SEALED
    assert run(Acknowledged(first.session), state=state)[0].step is Step.DELIVERED
    state, said = run(Accepted(second), state=state)
    assert (state.step, said) == (Step.REQUESTED, [Record(second)])
