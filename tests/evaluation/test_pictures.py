"""Which frames are looked at, and which box is the face: the same for every network that is compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.errors import EvaluationError
from vouchbox.evaluation.manifest import Kind, Label, Presentation
from vouchbox.evaluation.pictures import FaceLocator, pictures, read_still
from vouchbox.vision.models import Models


@pytest.fixture(scope="module")
def locator() -> FaceLocator:
    return FaceLocator(Models.load(runtime="litert"))


def presentation(path: Path, kind: Kind) -> Presentation:
    return Presentation(path.name, path, kind, Label.BONA_FIDE, "", "", False)


def test_the_face_of_a_whole_scene_is_found(locator: FaceLocator, portrait: NDArray[np.uint8]) -> None:
    located = locator.locate(portrait, Kind.FULL)
    assert located is not None
    box = located.box
    assert located.how == "found"
    assert 160 < box.left < 190
    assert 250 < box.right < 285
    assert 60 < box.bottom - box.top < 180


def test_a_crop_too_tight_for_the_detector_still_has_a_face(
    locator: FaceLocator, portrait: NDArray[np.uint8]
) -> None:
    tight = np.ascontiguousarray(portrait[75:175, 180:265])
    located = locator.locate(tight, Kind.CROP)
    assert located is not None
    box = located.box
    assert -60 < box.left < 30
    assert 55 < box.right < 145


def test_a_picture_without_a_face_has_one_only_if_it_is_said_to_be_a_crop(locator: FaceLocator) -> None:
    wall = np.random.default_rng(1).integers(90, 160, (120, 90, 3), np.uint8)
    assert locator.locate(wall, Kind.FULL) is None
    assert locator.locate(wall, Kind.VIDEO) is None
    located = locator.locate(wall, Kind.CROP)
    assert located is not None
    assert located.how == "whole"
    assert (located.box.left, located.box.top, located.box.right, located.box.bottom) == (0, 0, 90, 120)


def test_a_tiny_picture_has_no_face(locator: FaceLocator) -> None:
    assert locator.locate(np.zeros((8, 200, 3), np.uint8), Kind.CROP) is None


def test_frames_are_spread_from_the_first_to_the_last(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 15.0, (64, 48))  # noqa: TID251 - grey pictures
    for i in range(23):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    brightness = [round(frame.mean() / 10) for frame in pictures(presentation(path, Kind.VIDEO), 12)]
    assert brightness == list(range(0, 24, 2))
    assert len(list(pictures(presentation(path, Kind.VIDEO), 100))) == 23


def test_a_still_is_rgb_and_scaled_down(tmp_path: Path, png_of: Callable[..., str]) -> None:
    picture = np.zeros((1000, 2560, 3), np.uint8)
    picture[:, :, 0] = 200
    png_of(picture, tmp_path / "red.png")
    still = read_still(presentation(tmp_path / "red.png", Kind.FULL))
    assert still.shape == (500, 1280, 3)
    assert still[250, 640].tolist() == [200, 0, 0]


@pytest.mark.parametrize(("name", "kind"), [("text.png", Kind.CROP), ("text.mp4", Kind.VIDEO)])
def test_a_file_that_is_no_picture_or_clip_is_one_sentence_that_names_it(
    tmp_path: Path, name: str, kind: Kind
) -> None:
    (tmp_path / name).write_text("no picture\n" * 50)
    with pytest.raises(EvaluationError) as problem:
        list(pictures(presentation(tmp_path / name, kind), 12))
    assert name in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_clip_gives_no_more_frames_than_asked_for(
    tmp_path: Path, portrait: NDArray[np.uint8], clip_of: Callable[..., str]
) -> None:
    clip_of(portrait, tmp_path / "clip.avi", frames=30)
    assert len(list(pictures(presentation(tmp_path / "clip.avi", Kind.VIDEO), 12))) == 12
