"""One session of all tests: what it shows, when it ends, and that nothing unseen is a success."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vouchbox.messages import Level, Outcome, Prompt, TestName, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.fusion import decide
from vouchbox.vision.liveness import AFTER_LAST_S, LivenessSession
from vouchbox.vision.observation import Box, Face, Observation, Pose

PROMPTS = (Prompt.TURN_LEFT, Prompt.BLINK, Prompt.TURN_RIGHT)
SHAPE = np.random.default_rng(3).uniform(-1.0, 1.0, (468, 3))


def empty(seconds: float) -> Observation:
    return Observation(round(seconds * 15), seconds, 0, 0, None, False, round(seconds * 15), 1.0, 90.0)


def resting(seconds: float) -> Observation:
    sway = 0.05 * np.sin(1.7 * seconds) + 0.02 * np.sin(4.1 * seconds)
    points = ((SHAPE + sway) * 80.0 + 300.0).astype(np.float32)
    face = Face(Box(200, 200, 400, 400), points, 1.0, Pose(2.0 * sway, 0.0, 0.0), 0.28, 0.28, 80.0)
    index = round(seconds * 15)
    return Observation(index, seconds, 0, 1, face, True, index, 1.0, 90.0)


def lengths(session: LivenessSession, look: object) -> float:
    for index in range(15 * 60):
        now = index / 15.0
        session.observe(look(now))  # type: ignore[operator]
        if session.finished(now):
            return now
    pytest.fail("the session never ended")


@pytest.mark.parametrize("look", [empty, resting])
@pytest.mark.parametrize(("level", "prompts"), [(Level.ACTIVE, PROMPTS), (Level.PASSIVE, ())])
def test_every_session_ends_and_lasts_at_least_as_long_as_asked(
    look: object, level: Level, prompts: tuple[Prompt, ...]
) -> None:
    session = LivenessSession(level, prompts, 5.0)
    assert 5.0 <= lengths(session, look) < 16.0


def test_the_head_is_seen_for_a_while_after_it_met_the_last_prompt() -> None:
    session = LivenessSession(Level.ACTIVE, (Prompt.TURN_LEFT,), 1.0)

    def turns_late(seconds: float) -> Observation:
        seen = resting(seconds)
        assert seen.face is not None
        yaw = 28.0 * min(max(seconds - 1.0, 0.0), 1.0)
        return replace(seen, face=replace(seen.face, pose=Pose(yaw, 0.0, 0.0)))

    over = lengths(session, turns_late)
    (record,) = session.prompt_records()
    assert record.met_s is not None
    assert over - record.met_s == pytest.approx(AFTER_LAST_S, abs=0.1)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("look", [empty, resting])
def test_the_four_results_come_always_and_in_order_and_are_never_live(level: Level, look: object) -> None:
    session = LivenessSession(level, PROMPTS if level is Level.ACTIVE else (), 5.0)
    assert [result.name for result in session.results()] == list(TestName)
    assert {result.status for result in session.results()} == {TestStatus.NOT_RUN}
    lengths(session, look)
    results = session.results()
    assert [result.name for result in results] == list(TestName)
    assert decide(level, results)[0] is not Outcome.LIVE


def test_without_a_look_of_the_network_the_passive_test_says_that_it_did_not_run() -> None:
    session = LivenessSession(Level.PASSIVE, (), 5.0)
    lengths(session, resting)
    passive = session.results()[0]
    assert (passive.status, passive.reasons) == (TestStatus.NOT_RUN, (Reason.PASSIVE_NOT_RUN,))


def test_a_person_who_only_rests_is_continuous_but_meets_no_prompt() -> None:
    session = LivenessSession(Level.ACTIVE, PROMPTS, 5.0)
    lengths(session, resting)
    status = {result.name: result.status for result in session.results()}
    assert status[TestName.CHALLENGE] is TestStatus.FAIL
    assert status[TestName.CONTINUITY] is TestStatus.SUCCESS
    assert status[TestName.GEOMETRY] is TestStatus.NOT_RUN
    assert [record.prompt for record in session.prompt_records()] == list(PROMPTS)
    assert all(record.met_s is None for record in session.prompt_records())


def test_a_prompt_is_offered_only_once_a_face_rests() -> None:
    session = LivenessSession(Level.ACTIVE, PROMPTS, 5.0)
    session.observe(empty(0.0))
    assert session.current_prompt(0.0) is None
    for index in range(1, 12):
        session.observe(resting(index / 15.0))
    assert session.current_prompt(11 / 15.0) is Prompt.TURN_LEFT
