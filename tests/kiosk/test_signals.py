"""What light and buzzer say: each state differs in colour, rhythm and sound, and the room learns little."""

from __future__ import annotations

import itertools

import pytest

from vouchbox.kiosk.signals import CAPTURE_LIMIT_S, DARK, RESULT_S, Look, Signal, State, after, lasts, look
from vouchbox.messages import Outcome, Phase, Progress, Prompt, ReceiptIssued, SessionEnded
from vouchbox.reasons import Reason

SESSION = "s" * 16
STEP_S = 0.01


def film(state: State, seconds: float = RESULT_S) -> list[Look]:
    return [look(state, index * STEP_S) for index in range(round(seconds / STEP_S))]


def colours(state: State) -> set[tuple[bool, bool, bool]]:
    return {(now.red, now.green, now.blue) for now in film(state)}


def test_each_state_is_seen_and_heard_and_no_two_alike() -> None:
    films = {state: film(state) for state in State}
    for one, other in itertools.combinations(State, 2):
        assert films[one] != films[other]
        sounds = [[now.tone for now in films[state]] for state in (one, other)]
        assert sounds[0] != sounds[1], "who does not see it hears the difference"
    assert colours(State.IDLE) == {(False, False, False)}
    assert colours(State.LOOK) == {(True, True, True)}
    assert colours(State.TURN) == {(True, True, False), (False, False, False)}
    assert colours(State.GOOD) == {(False, True, False)}
    assert colours(State.REFUSED) == {(True, False, False), (False, False, False)}
    for state in set(State) - {State.IDLE}:
        assert any(now.tone for now in films[state])
        assert films[state][-1].tone is None, "a tone is short"


@pytest.mark.parametrize("state", State)
def test_nothing_flashes_more_than_three_times_in_a_second(state: State) -> None:
    lit = [now.red or now.green or now.blue for now in film(state, 10.0)]
    flashes = [index for index in range(1, len(lit)) if lit[index] and not lit[index - 1]]
    second = round(1 / STEP_S)
    assert all(later - first >= second for first, later in zip(flashes, flashes[3:], strict=False))


@pytest.mark.parametrize("state", State)
def test_every_state_ends_dark_by_itself(state: State) -> None:
    assert look(state, lasts(state)) == DARK
    assert look(state, 1e6) == DARK
    assert lasts(state) <= CAPTURE_LIMIT_S


def test_a_session_lights_up_with_the_camera_and_each_prompt_is_told_anew() -> None:
    now = Signal()
    for message, told in (
        (Progress(SESSION, Phase.CAPTURING, 0.0), Signal(State.LOOK)),
        (Progress(SESSION, Phase.CAPTURING, 0.2, Prompt.TURN_LEFT), Signal(State.TURN, Prompt.TURN_LEFT)),
        (Progress(SESSION, Phase.CAPTURING, 0.4, Prompt.BLINK), Signal(State.TURN, Prompt.BLINK)),
        (Progress(SESSION, Phase.EXAMINED, 1.0), Signal(State.TURN, Prompt.BLINK)),
        (SessionEnded(SESSION, Outcome.LIVE, ()), Signal(State.GOOD)),
        (ReceiptIssued(SESSION, "receipt", "short"), Signal(State.GOOD)),
    ):
        now = after(message, now)
        assert now == told


def test_the_room_learns_good_or_refused_and_not_what_was_compared_nor_why() -> None:
    def told(outcome: Outcome, *reasons: Reason) -> State:
        return after(SessionEnded(SESSION, outcome, reasons), Signal(State.LOOK)).state

    assert {told(outcome) for outcome in (Outcome.LIVE, Outcome.MATCH)} == {State.GOOD}
    noes = (Outcome.NO_MATCH, Outcome.INCONCLUSIVE, Outcome.ATTACK_SUSPECTED)
    assert {told(outcome, *reasons) for outcome in noes for reasons in ((), tuple(Reason)[:16])} == {
        State.REFUSED
    }
    assert {told(outcome) for outcome in (Outcome.DECLINED, Outcome.CANCELLED)} == {State.IDLE}
    assert {told(outcome) for outcome in Outcome} == {State.GOOD, State.REFUSED, State.IDLE}
