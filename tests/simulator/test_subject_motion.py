"""A simulated person reacts within a human delay and moves smoothly; an object can't blink."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchbox.messages import Prompt
from vouchbox.simulator.subject.motion import BY_HAND, LIVE, Motion, Posture
from vouchbox.simulator.subject.spec import Follow

RATE = 60
SHOWN_S = 2.0
SEEDS = st.integers(0, 2**32 - 1)
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def asked(prompt: Prompt, seed: int, follow: Follow = Follow.YES, seconds: float = 4.0) -> list[Posture]:
    """Postures at 60 a second; the prompt is on the screen from SHOWN_S on."""
    motion = Motion(LIVE, seed, follow)
    postures = []
    for frame in range(int(seconds * RATE)):
        if frame == int(SHOWN_S * RATE):
            motion.show(prompt, frame / RATE)
        postures.append(motion.posture(frame / RATE))
    return postures


def first(postures: list[Posture], done: list[bool]) -> float:
    """Seconds after the prompt at which something is first true."""
    return done.index(True, int(SHOWN_S * RATE)) / RATE - SHOWN_S


@given(SEEDS)
def test_turns_to_its_own_left_within_a_human_time(seed: int) -> None:
    postures = asked(Prompt.TURN_LEFT, seed)
    rest = postures[int(SHOWN_S * RATE)].yaw
    begun = first(postures, [posture.yaw - rest > 3.0 for posture in postures])
    done = first(postures, [posture.yaw > 20.0 for posture in postures])
    assert 0.25 < begun < 0.9
    assert begun < done < 1.4


@given(SEEDS)
def test_never_jumps(seed: int) -> None:
    for prompt in Prompt:
        for one, other in pairwise(asked(prompt, seed)):
            assert abs(other.yaw - one.yaw) < 3.0
            assert abs(other.pitch - one.pitch) < 2.0
            assert abs(other.closeness - one.closeness) < 0.03


@pytest.mark.parametrize(
    ("prompt", "reached"),
    [
        (Prompt.TURN_RIGHT, lambda posture: posture.yaw < -20),
        (Prompt.LOOK_UP, lambda posture: posture.pitch > 11),
        (Prompt.LOOK_DOWN, lambda posture: posture.pitch < -11),
        (Prompt.MOVE_CLOSER, lambda posture: posture.closeness > 1.25),
        (Prompt.MOVE_BACK, lambda posture: posture.closeness < 0.81),
        (Prompt.BLINK, lambda posture: posture.lids == 1.0),
    ],
)
def test_follows_every_prompt(prompt: Prompt, reached: object) -> None:
    assert callable(reached)
    assert all(any(map(reached, asked(prompt, seed)[int(SHOWN_S * RATE) :])) for seed in range(10))


@given(SEEDS)
def test_comes_back_when_the_prompt_is_gone(seed: int) -> None:
    motion = Motion(LIVE, seed)
    motion.show(Prompt.TURN_LEFT, 0.0)
    assert motion.posture(1.5).yaw > 20.0
    motion.show(None, 1.5)
    assert abs(motion.posture(3.0).yaw) < 3.0


def test_sways_and_blinks_by_itself_but_rests_enough_to_be_called_still() -> None:
    motion = Motion(LIVE, 5)
    postures = [motion.posture(frame / RATE) for frame in range(20 * RATE)]
    assert len({posture.yaw for posture in postures}) > 1000
    assert max(posture.yaw for posture in postures) - min(posture.yaw for posture in postures) < 4.0
    shut = [posture.lids > 0.5 for posture in postures]
    assert 3 <= sum(later and not earlier for earlier, later in pairwise(shut)) <= 12


@given(SEEDS)
def test_a_subject_that_does_not_follow_does_not_turn(seed: int) -> None:
    assert all(abs(posture.yaw) < 4.0 for posture in asked(Prompt.TURN_LEFT, seed, Follow.NO))
    assert all(abs(posture.yaw) < 4.0 for posture in asked(Prompt.TURN_LEFT, seed, Follow.LATE))
    assert any(posture.yaw < -20.0 for posture in asked(Prompt.TURN_LEFT, seed, Follow.WRONG))


@given(SEEDS)
def test_paper_has_no_lids(seed: int) -> None:
    motion = Motion(BY_HAND, seed)
    motion.show(Prompt.BLINK, 0.0)
    assert all(motion.posture(frame / RATE).lids == 0.0 for frame in range(10 * RATE))
