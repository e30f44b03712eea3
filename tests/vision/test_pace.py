"""A machine in distress looks at fewer frames at once, and at more only when the distress is surely over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from vouchbox.machine import Heat, Pace, Sign
from vouchbox.vision.pace import BACK_C, CALM_S, HOT_C, STEP_S, WARM_C, State, advance, told
from vouchbox.vision.sensors import Reading

FINE = Reading(50.0, Sign.NO, Sign.NO, Sign.NO, Sign.NO)
THROTTLED = replace(FINE, throttled=Sign.YES)
UNKNOWN = Reading()


def at(temperature_c: float) -> Reading:
    return replace(FINE, temperature_c=temperature_c)


def after(*readings: tuple[float, Reading], state: State | None = None) -> State:
    """The state after readings at these times."""
    state = state or State()
    for now, reading in readings:
        state = advance(state, reading, now)
    return state


def lasting(reading: Reading, since: float, until: float) -> Iterable[tuple[float, Reading]]:
    return ((float(now), reading) for now in range(int(since), int(until) + 1, 2))


def test_a_cool_machine_looks_at_every_frame() -> None:
    assert after(*lasting(at(WARM_C - 0.1), 0, 600)).pace is Pace.FULL


def test_heat_slows_at_once_and_by_how_hot_it_is() -> None:
    assert after((0, at(WARM_C))).pace is Pace.EASED
    assert after((0, at(HOT_C))).pace is Pace.LEAST
    assert after((0, at(WARM_C)), (2, at(HOT_C))).pace is Pace.LEAST


def test_every_sign_of_the_firmware_slows_and_goes_on_slowing_while_it_lasts() -> None:
    for sign in ("under_voltage", "frequency_capped", "throttled", "soft_limit"):
        strained = replace(FINE, **{sign: Sign.YES})
        assert after((0, strained)).pace is Pace.EASED, sign
        assert after((0, strained), (STEP_S - 1, strained)).pace is Pace.EASED, sign
        assert after((0, strained), (STEP_S, strained)).pace is Pace.LEAST, sign
        assert after(*lasting(strained, 0, 600)).pace is Pace.LEAST, sign


def test_it_comes_back_one_step_at_a_time_after_a_calm_minute_each() -> None:
    hot = after((0, at(HOT_C)))
    assert after(*lasting(FINE, 2, CALM_S), state=hot).pace is Pace.LEAST
    assert after(*lasting(FINE, 2, CALM_S + 2), state=hot).pace is Pace.EASED
    assert after(*lasting(FINE, 2, 2 * CALM_S), state=hot).pace is Pace.EASED
    assert after(*lasting(FINE, 2, 2 * CALM_S + 2), state=hot).pace is Pace.FULL


def test_a_temperature_that_hangs_around_the_threshold_does_not_make_the_pace_flicker() -> None:
    state, paces = State(), []
    for second in range(0, 1200, 2):
        state = advance(state, at(WARM_C + (1.0 if second % 4 else -1.0)), float(second))
        paces.append(state.pace)
    changes = sum(one is not other for one, other in itertools.pairwise(paces))
    assert changes <= 1
    assert paces[-1] is Pace.EASED


def test_cooler_means_clearly_cooler() -> None:
    warm = after((0, at(WARM_C)))
    almost = after(*lasting(at(WARM_C - BACK_C), 2, 600), state=warm)
    assert (almost.pace, almost.heat) == (Pace.EASED, Heat.WARM)
    clearly = after(*lasting(at(WARM_C - BACK_C - 0.1), 2, 600), state=warm)
    assert (clearly.pace, clearly.heat) == (Pace.FULL, Heat.COOL)


def test_a_new_sign_within_the_calm_minute_begins_it_anew() -> None:
    state = after((0, THROTTLED), *lasting(FINE, 2, 50), (52, THROTTLED))
    assert state.step == 2
    assert after(*lasting(FINE, 54, 54 + CALM_S - 2), state=state).pace is Pace.LEAST
    assert after(*lasting(FINE, 54, 54 + CALM_S), state=state).pace is Pace.EASED


def test_a_sensor_that_fell_silent_never_raises_the_pace() -> None:
    for slowed in (after((0, at(HOT_C))), after((0, THROTTLED))):
        assert after(*lasting(UNKNOWN, 2, 3600), state=slowed).pace is slowed.pace
        blind = replace(FINE, temperature_c=None)
        assert after(*lasting(blind, 2, 3600), state=slowed).pace is slowed.pace
        mute = Reading(50.0)
        assert after(*lasting(mute, 2, 3600), state=slowed).pace is slowed.pace


def test_a_machine_with_a_thermometer_only_recovers_by_it() -> None:
    slowed = after((0, Reading(HOT_C)))
    assert after(*lasting(Reading(50.0), 2, 2 * CALM_S + 2), state=slowed).pace is Pace.FULL


def test_what_nobody_can_tell_is_said_as_unknown() -> None:
    said = told(after((0, UNKNOWN)), UNKNOWN)
    assert said.temperature_c is None
    assert said.heat is Heat.UNKNOWN
    words = {said.under_voltage, said.frequency_capped, said.throttled, said.soft_limit}
    assert words == {Sign.UNKNOWN}


readings = st.builds(
    Reading,
    st.none() | st.floats(-40.0, 150.0),
    *[st.sampled_from(Sign)] * 4,
)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), readings), max_size=60))
def test_whatever_comes_distress_never_raises_the_pace_and_no_step_is_skipped_upwards(
    story: list[tuple[float, Reading]],
) -> None:
    state, now = State(), 0.0
    for pause, reading in story:
        now += pause
        before, state = state, advance(state, reading, now)
        assert 0 <= state.step <= 2
        assert state.step >= before.step - 1
        distress = Sign.YES in reading.signs or (reading.temperature_c or 0.0) >= HOT_C
        if distress or reading == UNKNOWN:
            assert state.step >= before.step
        if Sign.YES in reading.signs:
            assert state.step >= 1
        if (reading.temperature_c or 0.0) >= HOT_C:
            assert state.pace is Pace.LEAST
