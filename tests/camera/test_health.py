"""A camera that can't be judged by is named; a poor but usable picture is not accused."""

from __future__ import annotations

import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.health import GRID, CameraWatch, FrameNumbers, error_for, look, reason_for
from vouchbox.camera.ring import FrameRing
from vouchbox.errors import (
    CameraBlack,
    CameraCovered,
    CameraError,
    CameraFrozen,
    CameraMissing,
    CameraTooSlow,
    CameraUnplugged,
    ClipError,
)
from vouchbox.reasons import Reason

RATE = 15.0
HEIGHT, WIDTH = 240, 320


def noise(seed: int, sigma: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, (HEIGHT, WIDTH, 3))


def room(brightness: float = 1.0) -> np.ndarray:
    """A synthetic room: a window, a dark door, a round head."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    scene = np.full((HEIGHT, WIDTH), 110.0)
    scene[20:100, 20:90] = 230
    scene[60:, 250:] = 30
    scene[(x - 160) ** 2 + (y - 130) ** 2 < 60**2] = 170
    return np.repeat(scene[..., None], 3, axis=2) * brightness


def seen(pictures: list[np.ndarray], rate: float = RATE) -> list[Reason | None]:
    watch = CameraWatch()
    shots = [np.clip(each, 0, 255).astype(np.uint8) for each in pictures]
    return [watch.see(look(shot, round(index * 1e9 / rate))) for index, shot in enumerate(shots)]


def test_a_usual_room_is_fine() -> None:
    assert set(seen([room() + noise(seed, 3) for seed in range(40)])) == {None}


@pytest.mark.parametrize("brightness", [0.4, 0.15, 0.08])
def test_a_dark_room_is_not_accused(brightness: float) -> None:
    assert set(seen([room(brightness) + noise(seed, 4) for seed in range(40)])) == {None}


@pytest.mark.parametrize(("level", "sigma"), [(0, 0), (0, 6), (6, 12), (14, 2)])
def test_a_lens_cap_is_black(level: float, sigma: float) -> None:
    reasons = seen([np.full((HEIGHT, WIDTH, 3), level) + noise(seed, sigma) for seed in range(30)])
    assert reasons[-1] is Reason.CAMERA_BLACK
    assert reasons[5] is None, "not before a second has passed"


def test_a_finger_on_the_lens_is_covered() -> None:
    slope = np.linspace(30, 110, WIDTH)[None, :, None] + np.zeros((HEIGHT, WIDTH, 3))
    reasons = seen([slope + noise(seed, 8) for seed in range(30)])
    assert reasons[-1] is Reason.CAMERA_COVERED


def test_one_frame_for_ever_is_frozen() -> None:
    still = room() + noise(1, 3)
    reasons = seen([room() + noise(seed, 3) for seed in range(5)] + [still] * 30)
    assert reasons[-1] is Reason.CAMERA_FROZEN
    assert None in reasons[5:15]


def test_doubled_frames_and_short_stills_are_not_frozen() -> None:
    doubled = [room() + noise(seed // 2, 3) for seed in range(60)]
    pause = [room() + noise(seed, 3) for seed in range(9)] + [room()] * 12 + [room() + noise(9, 3)] * 2
    assert set(seen(doubled)) == {None}
    assert set(seen(pause)) == {None}


def test_a_slow_camera_is_named_and_a_jittering_one_is_not() -> None:
    frames = [room() + noise(seed, 3) for seed in range(30)]
    assert seen(frames, rate=3)[-1] is Reason.CAMERA_TOO_SLOW
    assert set(seen(frames, rate=4.9)) == {None}


def test_recovers_when_the_lens_is_free_again() -> None:
    dark = [np.zeros((HEIGHT, WIDTH, 3))] * 30
    reasons = seen([*dark, *(room() + noise(seed, 3) for seed in range(3))])
    assert reasons[29] is Reason.CAMERA_BLACK
    assert reasons[30:] == [None, None, None]


def test_a_slow_start_of_a_few_black_frames_is_nothing() -> None:
    watch = CameraWatch()
    for second in range(4):
        assert watch.see(FrameNumbers(second * 10**9, 0.0, 0.0, 0.0, second)) is not Reason.CAMERA_BLACK


def test_check_raises_the_error_that_fits() -> None:
    watch = CameraWatch()
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for index in range(15):
        watch.check(look(black, round(index * 1e9 / RATE)))
    with pytest.raises(CameraBlack, match="lens cap"):
        watch.check(look(black, 10**9))


def test_the_fingerprint_tells_frames_apart_and_only_those() -> None:
    first = np.clip(room() + noise(1, 3), 0, 255).astype(np.uint8)
    other = first.copy()
    other[100:120, 100:120] += 9
    assert look(first, 0).fingerprint == look(first.copy(), 1).fingerprint
    assert look(first, 0).fingerprint != look(other, 0).fingerprint
    assert GRID == (64, 48)


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (CameraBlack, Reason.CAMERA_BLACK),
        (CameraCovered, Reason.CAMERA_COVERED),
        (CameraFrozen, Reason.CAMERA_FROZEN),
        (CameraTooSlow, Reason.CAMERA_TOO_SLOW),
        (CameraMissing, Reason.CAMERA_MISSING),
        (CameraUnplugged, Reason.CAMERA_UNPLUGGED),
        (ClipError, Reason.CLIP_UNREADABLE),
        (CameraError, Reason.CAMERA_MISSING),
    ],
)
def test_every_camera_error_has_its_reason(problem: type[CameraError], reason: Reason) -> None:
    assert reason_for(problem("it broke", "mend it")) is reason


@pytest.mark.parametrize(
    "reason",
    [Reason.CAMERA_BLACK, Reason.CAMERA_COVERED, Reason.CAMERA_FROZEN, Reason.CAMERA_TOO_SLOW],
)
def test_reasons_and_errors_agree(reason: Reason) -> None:
    problem = error_for(reason)
    assert reason_for(problem) is reason
    assert problem.code == reason.value


def test_no_error_is_made_up_for_other_reasons() -> None:
    with pytest.raises(ValueError, match="no state of a camera"):
        error_for(Reason.NO_FACE)


@pytest.mark.real_data
def test_no_real_clip_is_accused(real_videos: list[dict[str, str]]) -> None:
    for row in real_videos:
        source = ClipSource(row["path"], pace="fast", max_seconds=2.5, max_rate=8)
        watch = CameraWatch()
        with FrameRing(source.open(), 1) as ring:
            while (stamp := source.capture(ring.slot(0))) is not None:
                assert watch.see(look(ring.slot(0), stamp.timestamp_ns)) is None, row["path"]
        source.close()
