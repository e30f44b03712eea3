"""Of the parallax that landmarks claim, the pixels of a head confirm most and those of a sheet nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.vision import parallax
from vouchbox.vision.matching import PAUSE_S, REST_S, SMALLEST_EYES_PX, ParallaxMatcher
from vouchbox.vision.observation import Box, Face, Parallax, Pose
from vouchbox.vision.scratch import unlocked

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

from proving_ground.canary import in_memory  # noqa: E402

Floats = NDArray[np.float64]
EYES = {33: (-0.7, -0.1), 133: (-0.3, -0.1), 362: (0.3, -0.1), 263: (0.7, -0.1)}
WIDTH, HEIGHT = 320, 240
EYES_PX = 60.0


def relief(x: Floats, y: Floats) -> Floats:
    """Depth of a gentle face in eye distances: rounded, with a nose; smaller is nearer."""
    x = np.clip(x, -1.5, 1.5)
    nose = 0.6 * np.exp(-((x / 0.4) ** 2) - ((y - 0.35) / 0.45) ** 2)
    return np.asarray(0.25 * x**2 + 0.1 * y**2 - nose, np.float64)


def rolled(x: Floats, y: Floats) -> Floats:
    """A sheet that is bent around an upright axis."""
    return np.asarray(0.35 * np.clip(x, -1.5, 1.5) ** 2, np.float64)


def flat(x: Floats, y: Floats) -> Floats:
    return np.zeros_like(x)


def places() -> Floats:
    random = np.random.default_rng(7)
    points = random.uniform((-1.0, -0.9), (1.0, 1.2), (468, 2))
    points[::2] = random.uniform((-0.4, -0.1), (0.4, 0.9), (234, 2))
    for index, place in EYES.items():
        points[index] = place
    return points


def face(yaw: float, eyes_px: float = EYES_PX) -> Face:
    """What the landmark network says: a head with relief, whatever is really there."""
    x, y = places().T
    angle = np.radians(yaw)
    depth = relief(x, y)
    across = np.cos(angle) * x + np.sin(angle) * depth
    points = np.column_stack([WIDTH / 2 + across * eyes_px, HEIGHT / 2 + y * eyes_px, depth * eyes_px])
    seen = eyes_px * float(np.cos(angle))
    return Face(Box(0, 0, 1, 1), points.astype(np.float32), 1.0, Pose(yaw, 0.0, 0.0), 0.28, 0.28, seen)


@cache
def picture(yaw: float, shape: object, seed: int = 3) -> Image:
    """A surface of `shape` with a texture of its own, turned by `yaw`, before a noisy camera."""
    random = np.random.default_rng(seed)
    fine = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 2.5)
    texture = (127 + 45 * fine / fine.std()).clip(0, 255).astype(np.float32)
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    seen, y = (column - WIDTH / 2) / EYES_PX, (row - HEIGHT / 2) / EYES_PX
    angle, x = np.radians(yaw), (column - WIDTH / 2) / EYES_PX
    for _ in range(30):
        x = (seen - np.sin(angle) * shape(x, y)) / np.cos(angle)  # type: ignore[operator]
    at_x = (x * EYES_PX + WIDTH / 2).astype(np.float32)
    drawn = cv2.remap(texture, at_x, row.astype(np.float32), cv2.INTER_LINEAR)
    noisy = drawn + np.random.default_rng(round(abs(yaw) * 10)).normal(0, 3, drawn.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def compared(shape: object, yaw: float) -> Parallax:
    matcher = ParallaxMatcher(unlocked)
    assert matcher.look(picture(0.0, shape), face(0.0), 0.0) is None
    said = matcher.look(picture(yaw, shape), face(yaw), 0.4)
    assert said is not None
    return said


@pytest.mark.parametrize("yaw", [-24.0, 18.0, 24.0])
def test_the_pixels_of_a_head_confirm_what_the_landmarks_claim(yaw: float) -> None:
    assert compared(relief, yaw).confirmed > 0.7


@pytest.mark.parametrize("yaw", [-24.0, 18.0, 24.0])
@pytest.mark.parametrize("shape", [flat, rolled])
def test_the_pixels_of_a_sheet_flat_or_bent_deny_a_head_that_the_landmarks_imagine(
    shape: object, yaw: float
) -> None:
    assert abs(compared(shape, yaw).confirmed) < 0.15


def test_a_resting_face_and_a_tiny_one_say_nothing() -> None:
    matcher = ParallaxMatcher(unlocked)
    for index in range(12):
        assert matcher.look(picture(0.0, relief), face(2.0 * (index % 2)), index / 15) is None
    tiny = ParallaxMatcher(unlocked)
    small = SMALLEST_EYES_PX - 2.0
    for yaw in (0.0, 24.0):
        assert tiny.look(picture(yaw, relief), face(yaw, small), yaw) is None


def test_a_picture_without_any_texture_neither_confirms_nor_denies() -> None:
    matcher = ParallaxMatcher(unlocked)
    blank = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    assert matcher.look(blank, face(0.0), 0.0) is None
    assert matcher.look(blank, face(24.0), 0.4) is None


def test_light_that_changed_before_the_turn_does_not_matter_for_the_kept_view_is_renewed() -> None:
    matcher = ParallaxMatcher(unlocked)
    other = picture(0.0, relief, seed=9)
    matcher.look(other, face(0.0), 0.0)
    matcher.look(picture(0.0, relief), face(0.0), REST_S + 0.1)
    said = matcher.look(picture(22.0, relief), face(22.0), REST_S + 0.6)
    assert said is not None
    assert said.confirmed > 0.7


def test_a_quick_camera_costs_no_more_comparisons_than_a_slow_one() -> None:
    matcher = ParallaxMatcher(unlocked)
    matcher.look(picture(0.0, relief), face(0.0), 0.0)
    said = [matcher.look(picture(20.0, relief), face(20.0), 0.4 + index / 60) for index in range(31)]
    assert 6 <= sum(one is not None for one in said) <= 1 + 0.5 / PAUSE_S


def test_a_face_at_the_frame_s_edge_is_compared_without_an_error() -> None:
    matcher = ParallaxMatcher(unlocked)
    beyond = [
        Face(one.box, one.landmarks - np.float32(300), 1.0, one.pose, 0.28, 0.28, one.inter_eye_px)
        for one in (face(0.0), face(24.0))
    ]
    assert matcher.look(picture(0.0, relief), beyond[0], 0.0) is None
    matcher.look(picture(24.0, relief), beyond[1], 0.4)


def test_points_that_lie_in_one_place_or_on_a_line_claim_nothing() -> None:
    many = np.zeros((40, 2))
    line = np.column_stack([np.linspace(-1, 1, 40), np.zeros(40)])
    depth = np.linspace(0, 1, 40) ** 3
    for where in (many, line):
        assert parallax.claim(where, depth, where) == pytest.approx(0.0, abs=1e-9)
        assert parallax.compare(where, depth, where, where, np.ones(40, bool)) is None


SESSION = textwrap.dedent(
    """
    import sys
    from vouchbox.camera.protection import protect
    protect()
    sys.path.insert(0, sys.argv[1])
    from test_parallax import face, picture, relief
    from vouchbox.camera.ring import FrameRing
    from vouchbox.camera.source import FrameFormat
    from vouchbox.vision.matching import ParallaxMatcher
    with FrameRing(FrameFormat(320, 240, 15.0), 2) as ring:
        matcher = ParallaxMatcher(ring.scratch)
        for number, yaw in enumerate((0.0, 24.0)):
            slot = ring.slot(number)
            slot[...] = picture(yaw, relief)
            said = matcher.look(slot, face(yaw), 0.4 * number)
        assert said is not None
        picture.cache_clear()
        print("ready", flush=True); sys.stdin.readline()
    print("ready", flush=True)
    sys.stdin.readline()
    """
)


def chips() -> set[bytes]:
    """Runs of 40 pixels of both chips that the child compares, and of the turned one carried back."""
    held: dict[str, NDArray[np.uint8]] = {}

    def scratch(name: str, shape: tuple[int, ...], dtype: object) -> NDArray[np.uint8]:
        return held.setdefault(name, np.zeros(shape, np.uint8))

    matcher = ParallaxMatcher(scratch)
    for number, yaw in enumerate((0.0, 24.0)):
        matcher.look(picture(yaw, relief), face(yaw), 0.4 * number)
    names = ("parallax-kept", "parallax-chip", "parallax-carried")
    return {held[name][row, 70:110].tobytes() for name in names for row in range(40, 140, 10)}


@pytest.mark.skipif(os.geteuid() != 0, reason="reading another process that is not dumpable takes root")
def test_nothing_of_the_compared_views_is_left_in_the_process_after_a_session() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(HERE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    needles = chips()
    try:
        assert child.stdout.readline() == "ready\n"
        assert in_memory(child.pid, needles) > 0, "the search must find the chips while they are there"
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
        assert in_memory(child.pid, needles) == 0
    finally:
        child.kill()
        child.communicate()
