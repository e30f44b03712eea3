"""The challenge counts only what a person did after the prompt, in the right direction, once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vouchbox.messages import Prompt, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.simulator.subject.motion import Posture
from vouchbox.simulator.subject.warp import rotation
from vouchbox.vision.challenge import NEUTRAL_SIZE, RETURN_S, START_S, WINDOW_S, Challenge
from vouchbox.vision.observation import Box, Face, Landmarks, Observation
from vouchbox.vision.pose import MEAN_FACE, RIGID_POINTS, head_pose

RATE = 15.0
Person = Callable[[float, Prompt | None, float], dict[str, float]]
"""What a person does at a time, given the prompt on the screen and when it appeared."""


def mesh(yaw: float, pitch: float, guessed: float | None = None) -> Landmarks:
    """The mean face turned like this; with `guessed` its depth is that of another pitch."""
    points = np.zeros((468, 3), np.float32)
    points[RIGID_POINTS] = 130.0 * MEAN_FACE @ rotation(Posture(yaw, pitch)).T
    if guessed is not None:
        points[:, 2] = mesh(yaw, guessed)[:, 2]
    return points


def seen(seconds: float, **doing: float) -> Observation:
    yaw, pitch = doing.get("yaw", 0.0), doing.get("pitch", 0.0)
    eye = 0.28 * (1.0 - doing.get("shut", 0.0))
    right = 0.28 if doing.get("wink") else eye
    size = 90.0 * doing.get("size", 1.0) * float(np.cos(np.radians(yaw)))
    points = mesh(yaw, pitch, doing.get("guessed"))
    face = Face(Box(0, 0, 200, 200), points, 1.0, head_pose(points), eye, right, size)
    return Observation(round(seconds * RATE), seconds, 0, 1, face, True, 1, 1.0, 100.0)


def unseen(seconds: float) -> Observation:
    return Observation(round(seconds * RATE), seconds, 0, 0, None, False, 1, 1.0, 100.0)


def perform(
    prompts: tuple[Prompt, ...], person: Person, pauses: tuple[float, ...] = ()
) -> tuple[TestResult, Challenge, float]:
    challenge = Challenge(prompts, pauses)
    shown: Prompt | None = None
    since = now = 0.0
    for index in range(600):
        now = index / RATE
        doing = person(now, shown, since)
        challenge.observe(unseen(now) if doing.get("away") else seen(now, **doing))
        if challenge.finished(now):
            break
        prompt = challenge.current_prompt(now)
        if prompt is not shown:
            shown, since = prompt, now
    return challenge.result(), challenge, now


def ease(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part**3 * (10.0 + part * (6.0 * part - 15.0))


def movement(prompt: Prompt, done: float) -> dict[str, float]:
    return {
        Prompt.TURN_LEFT: {"yaw": 28.0 * done},
        Prompt.TURN_RIGHT: {"yaw": -28.0 * done},
        Prompt.LOOK_UP: {"pitch": 16.0 * done},
        Prompt.LOOK_DOWN: {"pitch": -16.0 * done},
        Prompt.MOVE_CLOSER: {"size": 1.0 + 0.35 * done},
        Prompt.MOVE_BACK: {"size": 1.0 - 0.22 * done},
        Prompt.BLINK: {"shut": 0.6 if 0.2 < done < 0.9 else 0.0},
    }[prompt]


class Cooperative:
    """Follows each prompt after a human delay and comes back; `instead` does another thing for a prompt."""

    def __init__(self, delay: float = 0.45, instead: dict[Prompt, Prompt] | None = None) -> None:
        self._delay, self._instead = delay, instead or {}
        self._last: tuple[Prompt, float] | None = None
        self._released = 0.0

    def __call__(self, now: float, prompt: Prompt | None, since: float) -> dict[str, float]:
        if prompt is not None:
            self._last = (self._instead.get(prompt, prompt), since)
            self._released = now
        if self._last is None:
            return {}
        wanted, began = self._last
        out = ease((now - began - self._delay) / 0.6)
        back = ease((now - self._released - 0.3) / 0.5)
        return movement(wanted, min(out, 1.0 - back) if wanted is not Prompt.BLINK else out)


ALL = tuple(Prompt)


@pytest.mark.parametrize("prompt", ALL)
def test_a_person_who_follows_a_prompt_meets_it(prompt: Prompt) -> None:
    result, challenge, _ = perform((prompt,), Cooperative())
    assert result.status is TestStatus.SUCCESS
    (record,) = challenge.records()
    assert record.met_s is not None
    assert 0.4 < record.met_s - record.shown_s < WINDOW_S


@pytest.mark.parametrize("delay", [0.25, 0.6])
def test_three_prompts_are_met_within_seven_seconds(delay: float) -> None:
    prompts = (Prompt.TURN_LEFT, Prompt.LOOK_UP, Prompt.TURN_RIGHT)
    result, challenge, seconds = perform(prompts, Cooperative(delay))
    assert result.status is TestStatus.SUCCESS
    assert result.score == 1.0
    assert result.measured == 3
    assert [record.prompt for record in challenge.records()] == list(prompts)
    assert seconds < 7.0


@pytest.mark.parametrize("prompt", ALL)
def test_who_does_nothing_meets_nothing(prompt: Prompt) -> None:
    result, _, _ = perform((prompt,), lambda *_: {})
    assert result.status is TestStatus.FAIL
    assert result.score == 0.0
    assert result.reasons == (Reason.CHALLENGE_FAILED,)


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        (Prompt.TURN_LEFT, Prompt.TURN_RIGHT),
        (Prompt.TURN_RIGHT, Prompt.TURN_LEFT),
        (Prompt.TURN_LEFT, Prompt.LOOK_UP),
        (Prompt.LOOK_UP, Prompt.TURN_LEFT),
        (Prompt.LOOK_UP, Prompt.LOOK_DOWN),
        (Prompt.LOOK_DOWN, Prompt.LOOK_UP),
        (Prompt.MOVE_CLOSER, Prompt.TURN_RIGHT),
        (Prompt.MOVE_CLOSER, Prompt.MOVE_BACK),
        (Prompt.MOVE_BACK, Prompt.MOVE_CLOSER),
        (Prompt.BLINK, Prompt.TURN_RIGHT),
    ],
)
def test_a_wrong_movement_fails_the_prompt_at_once(asked: Prompt, done: Prompt) -> None:
    result, challenge, seconds = perform((asked,), Cooperative(instead={asked: done}))
    assert result.status is TestStatus.FAIL
    assert seconds - challenge.records()[0].shown_s < WINDOW_S


@pytest.mark.parametrize("prompt", ALL)
def test_a_movement_that_is_already_under_way_does_not_count(prompt: Prompt) -> None:
    def hasty(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        if shown is None:
            return {}
        if prompt is Prompt.BLINK:
            return {"shut": 0.6 if now - since < 0.5 else 0.0}
        return movement(prompt, ease((now - since + 0.05) / 0.3))

    result, _, _ = perform((prompt,), hasty)
    assert result.status is TestStatus.FAIL


def test_a_pause_passes_before_its_prompt_while_the_person_rests() -> None:
    def waits(pauses: tuple[float, ...]) -> list[float]:
        prompts = (Prompt.TURN_LEFT, Prompt.LOOK_UP, Prompt.TURN_RIGHT)
        result, challenge, _ = perform(prompts, Cooperative(), pauses)
        assert result.status is TestStatus.SUCCESS
        met = [0.0, *(record.met_s or 0.0 for record in challenge.records())]
        return [record.shown_s - before for record, before in zip(challenge.records(), met, strict=False)]

    longer = [paused - plain for plain, paused in zip(waits(()), waits((0.6, 0.0, 0.6)), strict=True)]
    assert longer == pytest.approx([0.6, 0.0, 0.6], abs=0.07)


@pytest.mark.parametrize(("recorded", "fresh"), [((0.0, 0.0), (0.0, 0.7)), ((0.0, 0.7), (0.7, 0.7))])
def test_a_recording_with_shorter_pauses_moves_before_the_prompt(
    recorded: tuple[float, ...], fresh: tuple[float, ...]
) -> None:
    prompts = (Prompt.TURN_LEFT, Prompt.MOVE_CLOSER)
    follow, film = Cooperative(), dict[float, dict[str, float]]()

    def filmed(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        film[now] = follow(now, shown, since)
        return film[now]

    assert perform(prompts, filmed, recorded)[0].status is TestStatus.SUCCESS
    replay = perform(prompts, lambda now, *_: film.get(now, {}), recorded)[0]
    assert replay.status is TestStatus.SUCCESS, "with the very pauses a recording passes"
    assert perform(prompts, lambda now, *_: film.get(now, {}), fresh)[0].status is TestStatus.FAIL


def test_one_movement_can_not_serve_two_prompts() -> None:
    def stays_turned(now: float, shown: Prompt | None, _: float) -> dict[str, float]:
        return {"yaw": 30.0 * ease((now - 0.8) / 0.5)}

    result, challenge, _ = perform((Prompt.TURN_LEFT, Prompt.BLINK, Prompt.TURN_LEFT), stays_turned)
    assert result.status is TestStatus.FAIL
    assert [record.met_s is not None for record in challenge.records()] == [True, False, False]


@pytest.mark.parametrize(
    ("first", "other", "axis", "degrees"),
    [(Prompt.TURN_LEFT, Prompt.TURN_RIGHT, "yaw", 30.0), (Prompt.LOOK_DOWN, Prompt.LOOK_UP, "pitch", -20.0)],
)
def test_coming_back_from_one_way_is_no_movement_the_other_way(
    first: Prompt, other: Prompt, axis: str, degrees: float
) -> None:
    second: list[float] = []

    def late_return(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        if shown is other and not second:
            second.append(since)
        back = ease((now - second[0] - 0.4) / 0.5) if second else 0.0
        return {axis: degrees * min(ease((now - 0.8) / 0.5), 1.0 - back)}

    result, challenge, _ = perform((first, other), late_return)
    assert second, "the second prompt is shown although the head has not come back"
    assert [record.met_s is not None for record in challenge.records()] == [True, False]
    assert result.status is TestStatus.FAIL


def test_a_wink_is_no_blink() -> None:
    def winks(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        return {"shut": 0.6, "wink": 1.0} if shown and 0.4 < now - since < 0.7 else {}

    assert perform((Prompt.BLINK,), winks)[0].status is TestStatus.FAIL


def test_eyes_that_stay_shut_are_no_blink() -> None:
    def sleeps(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        return {"shut": 0.6} if shown and now - since > 0.4 else {}

    assert perform((Prompt.BLINK,), sleeps)[0].status is TestStatus.FAIL


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_narrow_eyes_that_shut_for_two_frames_have_blinked(noise: float) -> None:
    def shuts(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        return {"shut": 0.29 + noise} if shown and 0.4 < now - since < 0.7 else {}

    assert perform((Prompt.BLINK,), shuts)[0].status is TestStatus.SUCCESS


def test_one_frame_of_narrow_eyes_is_no_blink() -> None:
    frame: list[float] = []

    def flickers(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        if shown and now - since > 0.4 and (not frame or now - frame[-1] > 0.25):
            frame.append(now)
            return {"shut": 0.3}
        return {}

    assert perform((Prompt.BLINK,), flickers)[0].status is TestStatus.FAIL
    assert len(frame) > 3


@pytest.mark.parametrize("prompt", [Prompt.LOOK_UP, Prompt.LOOK_DOWN])
def test_a_nod_of_a_raised_head_counts_although_its_depth_is_hardly_seen_to_turn(prompt: Prompt) -> None:
    follow = Cooperative()

    def raised(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        nodded = 0.75 * follow(now, shown, since).get("pitch", 0.0)
        return {"pitch": 12.0 + nodded, "guessed": 12.0 + 0.3 * nodded}

    # Kabsch's fit sees two thirds of this movement, as with photographs of people who rest like this.
    rest, there = (head_pose(mesh(0.0, 12.0 + p, 12.0 + 0.3 * p)).pitch for p in (0.0, 12.0))
    assert 7.0 < there - rest < 9.0
    assert perform((prompt,), raised)[0].status is TestStatus.SUCCESS


def test_a_camera_that_hangs_low_changes_nothing() -> None:
    follow = Cooperative()

    def from_below(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        doing = follow(now, shown, since)
        return {**doing, "pitch": doing.get("pitch", 0.0) + 18.0, "yaw": doing.get("yaw", 0.0) - 6.0}

    prompts = (Prompt.LOOK_UP, Prompt.TURN_RIGHT, Prompt.BLINK)
    assert perform(prompts, from_below)[0].status is TestStatus.SUCCESS


def test_a_face_that_never_rests_gets_no_challenge() -> None:
    result, challenge, seconds = perform((Prompt.BLINK,), lambda now, *_: {"yaw": 20.0 * np.sin(9.0 * now)})
    assert result.status is TestStatus.NOT_RUN
    assert challenge.records() == ()
    assert seconds < START_S + 1.0


def test_without_any_face_the_challenge_ends_as_not_run() -> None:
    result, _, seconds = perform((Prompt.BLINK, Prompt.LOOK_UP), lambda *_: {"away": 1.0})
    assert result.status is TestStatus.NOT_RUN
    assert seconds < START_S + 1.0


def test_who_walks_away_fails_and_does_not_keep_the_session_open() -> None:
    prompts = (Prompt.TURN_LEFT, Prompt.BLINK, Prompt.LOOK_UP)
    result, _, seconds = perform(prompts, lambda now, *_: {"away": 1.0} if now > 0.6 else {})
    assert result.status is TestStatus.FAIL
    assert seconds <= START_S + len(prompts) * (WINDOW_S + RETURN_S) + 0.1


def test_without_prompts_the_challenge_does_not_run() -> None:
    challenge = Challenge(())
    assert challenge.finished(0.0)
    assert challenge.current_prompt(0.0) is None
    assert challenge.result().status is TestStatus.NOT_RUN


def test_a_prompt_is_shown_until_it_is_met_and_none_while_the_head_comes_back() -> None:
    shown: list[Prompt | None] = []
    follow = Cooperative()

    def watching(now: float, prompt: Prompt | None, since: float) -> dict[str, float]:
        if not shown or shown[-1] is not prompt:
            shown.append(prompt)
        return follow(now, prompt, since)

    perform((Prompt.TURN_LEFT, Prompt.TURN_RIGHT), watching)
    assert shown[:4] == [None, Prompt.TURN_LEFT, None, Prompt.TURN_RIGHT]


@pytest.mark.parametrize("coming", [Prompt.LOOK_UP, Prompt.LOOK_DOWN, Prompt.MOVE_BACK])
def test_after_coming_closer_nods_and_moving_back_wait_until_the_person_went_back(coming: Prompt) -> None:
    size_at: dict[float, float] = {}
    follows = Cooperative()

    def watched(now: float, prompt: Prompt | None, since: float) -> dict[str, float]:
        doing = follows(now, prompt, since)
        size_at[now] = doing.get("size", 1.0)
        return doing

    result, challenge, _ = perform((Prompt.MOVE_CLOSER, coming), watched)
    closer, other = challenge.records()
    assert closer.met_s is not None
    assert size_at[closer.met_s] > 1.0 + NEUTRAL_SIZE
    assert size_at[other.shown_s] <= 1.0 + NEUTRAL_SIZE
    assert result.status is TestStatus.SUCCESS


def test_going_back_after_coming_closer_is_no_moving_back() -> None:
    def only_closer(now: float, shown: Prompt | None, since: float) -> dict[str, float]:
        return {"size": 1.0 + 0.35 * min(ease((now - 0.8) / 0.5), 1.0 - ease((now - 1.9) / 0.5))}

    result, challenge, _ = perform((Prompt.MOVE_CLOSER, Prompt.MOVE_BACK), only_closer)
    assert [record.met_s is not None for record in challenge.records()] == [True, False]
    assert result.status is TestStatus.FAIL


def test_who_stays_close_is_asked_to_look_up_all_the_same() -> None:
    def stays(now: float, prompt: Prompt | None, since: float) -> dict[str, float]:
        return {"size": 1.0 + 0.35 * ease((now - 0.9) / 0.6)}

    _, challenge, _ = perform((Prompt.MOVE_CLOSER, Prompt.LOOK_UP), stays)
    closer, up = challenge.records()
    assert closer.met_s is not None
    assert up.shown_s - closer.met_s == pytest.approx(RETURN_S, abs=0.2)
