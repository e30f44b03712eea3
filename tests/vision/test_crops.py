"""The passive test's squares lie inside the frame, hold the frame's own pixels, and nothing else."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from vouchbox.vision.crops import CLOSE, CONTEXT, FaceCrops, Square, square_around
from vouchbox.vision.observation import Box
from vouchbox.vision.scratch import unlocked

WIDTH, HEIGHT = 640, 480


def test_a_face_in_the_middle_gives_a_square_around_its_middle() -> None:
    assert square_around(Box(270, 180, 370, 300), CLOSE, WIDTH, HEIGHT) == Square(248, 168, 144)


@pytest.mark.parametrize("times", [CLOSE, CONTEXT])
@pytest.mark.parametrize("x", [-30.0, 0.0, 5.0, 300.0, 600.0, 639.0])
@pytest.mark.parametrize("y", [-40.0, 0.0, 240.0, 440.0, 479.0])
@pytest.mark.parametrize("size", [30.0, 160.0, 470.0, 2000.0])
def test_no_square_ever_leaves_the_frame(times: float, x: float, y: float, size: float) -> None:
    square = square_around(Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2), times, WIDTH, HEIGHT)
    if not (0 <= x < WIDTH and 0 <= y < HEIGHT):
        assert square is None
        return
    assert square is not None
    assert square.left >= 0
    assert square.top >= 0
    assert square.left + square.side <= WIDTH
    assert square.top + square.side <= HEIGHT
    assert square.side == min(round(times * size), HEIGHT)


@pytest.mark.parametrize(
    "box",
    [
        Box(math.nan, 0, 100, 100),
        Box(0, 0, math.inf, 100),
        Box(200, 100, 100, 200),
        Box(100, 100, 100, 200),
        Box(100, 100, 104, 104),
        Box(-300, 0, -100, 200),
        Box(700, 500, 900, 700),
    ],
    ids=["not a number", "endless", "inside out", "flat", "tiny", "left of the frame", "beyond the frame"],
)
def test_a_box_that_is_no_face_in_the_frame_gives_no_crop_and_writes_nothing(box: Box) -> None:
    crops = FaceCrops(unlocked, 32)
    assert not crops.cut(np.full((HEIGHT, WIDTH, 3), 200, np.uint8), box)
    assert not crops.close.any()
    assert not crops.context.any()


@pytest.mark.parametrize("place", [(0, 0), (600, 440), (320, 240)])
def test_a_crop_at_the_edge_is_shifted_and_holds_the_frames_own_pixels(place: tuple[int, int]) -> None:
    frame = np.random.default_rng(1).integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8)
    x, y = place
    box = Box(x - 40, y - 40, x + 40, y + 40)
    crops = FaceCrops(unlocked, 48)
    assert crops.cut(frame, box)
    for times, crop in ((CLOSE, crops.close), (CONTEXT, crops.context)):
        square = square_around(box, times, WIDTH, HEIGHT)
        assert square is not None
        part = frame[square.top : square.top + square.side, square.left : square.left + square.side]
        large = cv2.resize(part, (67, 67), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(crop, cv2.resize(large, (48, 48), interpolation=cv2.INTER_AREA))


def test_crops_lie_in_the_memory_that_was_given_and_nowhere_else() -> None:
    given: dict[str, np.ndarray] = {}

    def scratch(name: str, shape: tuple[int, ...], dtype: object) -> np.ndarray:
        given[name] = np.zeros(shape, np.uint8)
        return given[name]

    crops = FaceCrops(scratch, 40)
    assert crops.cut(np.full((HEIGHT, WIDTH, 3), 77, np.uint8), Box(200, 100, 300, 220))
    assert crops.mirrored(crops.close) is given["passive-mirrored"]
    assert {name: (int(b.min()), int(b.max())) for name, b in given.items()} == {
        "passive-close": (77, 77),
        "passive-context": (77, 77),
        "passive-mirrored": (77, 77),
        "passive-sampled": (77, 77),
    }
    assert crops.close is given["passive-close"]
    assert crops.context is given["passive-context"]
