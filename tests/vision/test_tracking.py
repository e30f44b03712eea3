"""One face is followed through the frames, lost and found, and everybody in view is counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vouchbox.camera.source import Image
from vouchbox.vision.detector import Detector
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.models import Models
from vouchbox.vision.pose import head_pose
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.tracking import CENSUS_FRAMES, Tracked, Tracker

Picture = Callable[..., Image]


def _tracker(models: Models, width: int = 640, height: int = 480) -> Tracker:
    detector = Detector(models.detector, unlocked)
    return Tracker(detector, LandmarkFinder(models.landmarks, unlocked), width, height)


def _follow(tracker: Tracker, frame: Image, times: int) -> Tracked:
    for _ in range(times):
        seen = tracker.follow(frame)
    return seen


def test_points_lie_on_the_face(models_on_each_runtime: Models, picture_of: Picture) -> None:
    seen = _tracker(models_on_each_runtime).follow(picture_of(160, ((200, 260),)))
    assert seen.mesh is not None
    assert seen.mesh.presence > 0.9
    assert seen.faces == 1
    middle = seen.mesh.points[:, :2].mean(axis=0)
    assert np.linalg.norm(middle - (200, 260)) < 50
    assert 120 < seen.mesh.box.right - seen.mesh.box.left < 220


def test_a_known_face_is_tracked_without_the_detector(models: Models, picture_of: Picture) -> None:
    tracker = _tracker(models)
    assert not tracker.follow(picture_of(160, ((300, 240),))).tracked
    for step in range(1, 6):
        seen = tracker.follow(picture_of(160, ((300 + 8 * step, 240),)))
        assert seen.tracked
        assert seen.mesh is not None
    assert seen.mesh.points[:, 0].mean() > 325


def test_a_face_that_leaves_is_lost_and_found_again(models: Models, picture_of: Picture) -> None:
    tracker = _tracker(models)
    here, away = picture_of(160, ((160, 240),)), picture_of(centres=())
    assert tracker.follow(here).mesh is not None
    lost = tracker.follow(away)
    assert (lost.mesh, lost.faces) == (None, 0)
    found = tracker.follow(picture_of(160, ((480, 240),)))
    assert found.mesh is not None
    assert not found.tracked


def test_a_cut_to_another_place_is_never_called_tracked(models: Models, picture_of: Picture) -> None:
    tracker = _tracker(models)
    tracker.follow(picture_of(140, ((130, 240),)))
    assert not tracker.follow(picture_of(140, ((510, 240),))).tracked


@pytest.mark.parametrize("face_px", [40, 56])
@pytest.mark.parametrize("centre", [(90, 90), (320, 240), (560, 400)])
def test_a_small_face_is_found_within_a_second(
    models: Models, picture_of: Picture, face_px: int, centre: tuple[int, int]
) -> None:
    seen = _follow(_tracker(models), picture_of(face_px, (centre,)), 14)
    assert seen.mesh is not None
    assert np.linalg.norm(seen.mesh.points[:, :2].mean(axis=0) - centre) < face_px


@pytest.mark.parametrize(
    ("centres", "at_least"),
    [
        ((), 0),
        (((180, 240), (460, 240)), 2),
        (tuple((80 + 120 * column, 140 + 200 * row) for row in (0, 1) for column in range(5)), 2),
    ],
    ids=["nobody", "two", "ten"],
)
def test_faces_are_counted(
    models: Models, picture_of: Picture, centres: tuple[tuple[int, int], ...], at_least: int
) -> None:
    frame = picture_of(70 if len(centres) > 2 else 130, centres)
    seen = _follow(_tracker(models), frame, CENSUS_FRAMES + 2)
    assert seen.faces >= at_least
    assert (seen.faces > 1) is (len(centres) > 1)


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_tilted_head_is_followed_and_its_roll_has_the_right_sign(
    models: Models, picture_of: Picture, degrees: int
) -> None:
    upright = _follow(_tracker(models), picture_of(160), 2)
    tilted = _follow(_tracker(models), picture_of(160, degrees=degrees), 2)
    assert upright.mesh is not None
    assert tilted.mesh is not None
    # OpenCV turns against the clock for positive angles; the own left shoulder lies clockwise.
    change = head_pose(tilted.mesh.points).roll - head_pose(upright.mesh.points).roll
    assert change == pytest.approx(-degrees, abs=5)


def test_a_grey_picture_is_as_good(models: Models, picture_of: Picture) -> None:
    frame = picture_of(160)
    grey = np.repeat(frame.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert _tracker(models).follow(grey).mesh is not None
