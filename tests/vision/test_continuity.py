"""Breaks in a clip are seen; the unevenness of honest cameras and clips is not taken for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vouchbox.messages import TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.continuity import FRAMES, Continuity
from vouchbox.vision.observation import Box, Face, Observation, Pose

RATE = 15.0
EYES_PX = 80.0
SHAPE = np.random.default_rng(3).uniform(-1.0, 1.0, (468, 3))
Path = Callable[[float], tuple[float, float]]
"""Where the face's middle is at a time, in distances between the eyes."""


def walk(seed: int) -> Path:
    """A person who sways slowly and turns now and then, never twice in the same way."""
    random = np.random.default_rng(seed)
    waves = [
        (random.uniform(0.1, 0.9), random.uniform(0, 6.3), random.uniform(0.02, 0.12)) for _ in range(10)
    ]

    def at(t: float) -> tuple[float, float]:
        x, y = (sum(a * np.sin(6.28 * f * t + p) for f, p, a in half) for half in (waves[:5], waves[5:]))
        return float(x), float(y)

    return at


def clip(path: Path, seconds: float = 6.0, rate: float = RATE, noise: float = 0.004) -> list[Observation]:
    random = np.random.default_rng(11)
    seen = []
    before = path(0.0)
    for index in range(round(seconds * rate)):
        t = index / rate
        middle = path(t)
        speed = float(np.hypot(middle[0] - before[0], middle[1] - before[1]))
        before = middle
        points = SHAPE.copy()
        points[:, :2] += middle
        points[:, :2] += random.normal(0.0, noise, (468, 2))
        seen_at = (points * EYES_PX + 300.0).astype(np.float32)
        face = Face(Box(200, 200, 400, 400), seen_at, 1.0, Pose(0, 0, 0), 0.28, 0.28, EYES_PX)
        change = 0.6 + 8.0 * speed + random.uniform(0.0, 0.2)
        seen.append(Observation(index, t, 0, 1, face, index > 0, 1000 + index, change, 120.0))
    return seen


def timed(seen: list[Observation], rate: float = RATE) -> list[Observation]:
    return [replace(o, index=n, seconds=n / rate) for n, o in enumerate(seen)]


def without_face(o: Observation) -> Observation:
    return replace(o, face=None, faces=0, tracked=False)


def judged(seen: list[Observation]) -> Continuity:
    continuity = Continuity()
    for o in seen:
        continuity.observe(o)
    return continuity


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [8.0, 15.0, 30.0])
def test_a_person_before_a_camera_is_continuous(seed: int, rate: float) -> None:
    result = judged(clip(walk(seed), rate=rate)).result()
    assert result.status is TestStatus.SUCCESS
    assert result.score is not None
    assert result.score > 0.5


def test_a_cut_is_seen() -> None:
    before, after = clip(walk(1)), clip(lambda t: (walk(2)(t)[0] + 0.6, walk(2)(t)[1]))
    joined = before[:45] + after[45:]
    joined[45] = replace(joined[45], change=14.0)
    result = judged(timed(joined)).result()
    assert result.status is TestStatus.FAIL
    assert result.reasons == (Reason.CONTINUITY_FAILED,)


def test_a_cut_hidden_behind_one_frame_without_a_face_is_seen() -> None:
    before, after = clip(walk(1)), clip(lambda t: (walk(2)(t)[0] + 0.6, walk(2)(t)[1]))
    joined = before[:45] + [without_face(replace(before[45], change=30.0))] + after[46:]
    assert judged(timed(joined)).result().status is TestStatus.FAIL


def test_a_flash_of_light_is_no_cut() -> None:
    seen = clip(walk(1))
    seen[40] = replace(seen[40], change=60.0)
    assert judged(seen).result().status is TestStatus.SUCCESS


def test_a_slip_of_the_landmarks_is_no_cut() -> None:
    seen = clip(walk(1))
    face = seen[40].face
    assert face is not None
    seen[40] = replace(seen[40], face=replace(face, landmarks=face.landmarks + np.float32(40.0)))
    assert judged(seen).result().status is TestStatus.SUCCESS


def test_a_quick_turn_is_no_cut() -> None:
    def jerk(t: float) -> tuple[float, float]:
        part = min(max((t - 3.0) / 0.35, 0.0), 1.0)
        return walk(1)(t)[0] + 1.2 * part**2 * (3 - 2 * part), walk(1)(t)[1]

    assert judged(clip(jerk)).result().status is TestStatus.SUCCESS


def test_frames_that_the_camera_lost_are_no_cut() -> None:
    seen = clip(walk(4), rate=30.0)
    kept = [o for o in seen if not 60 < o.index < 68 and o.index % 7 != 3]
    assert judged(kept).result().status is TestStatus.SUCCESS


def test_doubled_frames_of_a_clip_with_an_uneven_rate_are_not_frozen() -> None:
    seen = clip(walk(2), rate=30.0)
    doubled = [
        replace(o, fingerprint=seen[n - 1].fingerprint, face=seen[n - 1].face, change=0.0) if n % 2 else o
        for n, o in enumerate(seen)
    ]
    assert judged(doubled).result().status is TestStatus.SUCCESS


def test_a_frozen_picture_is_seen() -> None:
    seen = clip(walk(2))
    still = [replace(seen[40], change=0.0)] * 20
    assert judged(timed(seen[:41] + still + seen[41:])).result().status is TestStatus.FAIL


def test_a_sequence_that_was_seen_before_to_the_last_bit_is_seen() -> None:
    seen = clip(walk(2))
    assert judged(timed(seen[:60] + seen[30:60])).result().status is TestStatus.FAIL


def test_single_pictures_that_are_equal_by_chance_are_no_loop() -> None:
    seen = clip(walk(2))
    for n in (30, 47, 66):
        seen[n] = replace(seen[n], fingerprint=seen[n - 20].fingerprint)
    assert judged(seen).result().status is TestStatus.SUCCESS


def test_a_loop_that_was_filmed_anew_is_seen() -> None:
    path = walk(5)
    result = judged(clip(lambda t: path(t % 2.0), seconds=7.0)).result()
    assert result.status is TestStatus.FAIL
    assert judged(clip(path, seconds=7.0)).result().status is TestStatus.SUCCESS


def test_two_alike_but_not_equal_movements_are_no_loop() -> None:
    def turns(t: float) -> tuple[float, float]:
        first = np.exp(-(((t - 1.5) / 0.45) ** 2))
        second = 1.08 * np.exp(-(((t - 4.6) / 0.40) ** 2))
        return float(0.8 * (first + second)) + walk(3)(t)[0], walk(3)(t)[1]

    assert judged(clip(turns)).result().status is TestStatus.SUCCESS


def test_who_turns_twice_in_the_same_way_as_asked_is_no_loop() -> None:
    sway = walk(3)

    def turns(t: float) -> tuple[float, float]:
        there = [np.exp(-(((t - middle) / 0.45) ** 4)) for middle in (1.5, 4.6)]
        return 0.8 * float(sum(there)) + 0.2 * sway(t)[0], 0.2 * sway(t)[1]

    assert judged(clip(turns, seconds=5.1)).result().status is TestStatus.SUCCESS


@pytest.mark.parametrize("noise", [0.001, 0.004])
def test_a_dead_still_picture_is_seen(noise: float) -> None:
    result = judged(clip(lambda _: (0.0, 0.0), noise=noise)).result()
    assert result.status is TestStatus.FAIL
    assert result.reasons == (Reason.CONTINUITY_FAILED,)


def test_the_breath_of_a_person_who_stands_still_is_enough() -> None:
    assert judged(clip(lambda t: (0.0, 0.006 * np.sin(1.6 * t)))).result().status is TestStatus.SUCCESS


def test_a_face_that_is_away_for_half_of_the_clip_is_lost() -> None:
    seen = clip(walk(1))
    half = [without_face(o) if 20 <= o.index < 65 else o for o in seen]
    result = judged(half).result()
    assert result.status is TestStatus.FAIL
    assert result.reasons == (Reason.TRACK_LOST,)


def test_a_face_that_leaves_for_good_is_lost() -> None:
    seen = [without_face(o) if o.index > 66 else o for o in clip(walk(1))]
    assert Reason.TRACK_LOST in judged(seen).result().reasons


def test_a_face_that_is_missed_for_a_moment_is_not_lost() -> None:
    seen = [without_face(o) if o.index in (20, 21, 22, 50) else o for o in clip(walk(1))]
    assert judged(seen).result().status is TestStatus.SUCCESS


def test_too_few_frames_are_not_judged() -> None:
    for seen in ([], clip(walk(1))[: FRAMES - 1], [without_face(o) for o in clip(walk(1))]):
        result = judged(seen).result()
        assert result.status is TestStatus.NOT_RUN
        assert result.reasons == (Reason.CONTINUITY_NOT_RUN,)
