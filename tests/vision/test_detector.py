"""Faces are found where they are, each once, small ones too; the maths is BlazeFace's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.camera.source import Image
from vouchbox.vision.detector import Detection, Detector, View, anchors, distinct, overlap, suppress, views
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Box
from vouchbox.vision.scratch import unlocked


def test_there_are_896_anchors_in_the_order_of_the_network() -> None:
    found = anchors()
    assert found.shape == (896, 2)
    assert found[0].tolist() == found[1].tolist() == [4.0, 4.0]
    assert found[2].tolist() == [12.0, 4.0]
    assert found[511].tolist() == [124.0, 124.0]
    assert found[512].tolist() == found[517].tolist() == [8.0, 8.0]
    assert found[895].tolist() == [120.0, 120.0]


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 10, 20, 20], [20, 20, 30, 30]], np.float32)
    assert overlap(box, others) == pytest.approx([1.0, 1 / 3, 0.0, 0.0], abs=1e-5)


def test_suppression_joins_by_score_and_keeps_faces_apart() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.6, 0.9, 0.7], np.float32)
    eyes = np.zeros((3, 2, 2), np.float32)
    first, second = suppress(boxes, eyes, scores)
    assert first.score == pytest.approx(0.9)
    assert first.box.left == pytest.approx(0.6, abs=1e-4)
    assert second.box.left == pytest.approx(50.0)


@given(width=st.integers(16, 1920), height=st.integers(16, 1920))
def test_views_lie_in_the_frame_and_cover_it(width: int, height: int) -> None:
    for level in views(width, height):
        covered = np.zeros((height, width), bool)
        for view in level:
            assert view.left >= 0
            assert view.top >= 0
            assert view.left + view.width <= width
            assert view.top + view.height <= height
            covered[view.top : view.top + view.height, view.left : view.left + view.width] = True
        assert covered.all()


def test_a_face_seen_in_two_views_counts_once() -> None:
    eyes = np.zeros((2, 2), np.float32)
    whole, cut = Detection(Box(10, 10, 50, 50), eyes, 0.9), Detection(Box(12, 12, 40, 50), eyes, 0.8)
    other = Detection(Box(100, 10, 130, 40), eyes, 0.8)
    assert distinct([cut, other, whole]) == [whole, other]
    assert distinct([]) == []


@pytest.mark.parametrize("face_px", [90, 160, 240])
def test_a_face_is_found_where_it_is(
    models_on_each_runtime: Models, picture_of: Callable[..., Image], face_px: int
) -> None:
    detector = Detector(models_on_each_runtime.detector, unlocked)
    (found,) = detector.find(picture_of(face_px, ((260, 220),)), [View(0, 0, 640, 480)])
    x, y = (found.box.left + found.box.right) / 2, (found.box.top + found.box.bottom) / 2
    assert abs(x - 260) < 0.15 * face_px
    assert abs(y - 220) < 0.3 * face_px
    assert 0.6 * face_px < found.side < 1.5 * face_px
    assert found.eyes[0, 0] < found.eyes[1, 0]


def test_nothing_is_found_where_nobody_is(models: Models, picture_of: Callable[..., Image]) -> None:
    detector = Detector(models.detector, unlocked)
    empty = picture_of(centres=())
    places = [view for level in views(640, 480) for view in level]
    assert detector.find(empty, places) == []


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (641, 359), (129, 257), (64, 64), (1280, 720)])
def test_odd_sizes_are_no_trouble(
    models: Models, picture_of: Callable[..., Image], size: tuple[int, int]
) -> None:
    detector = Detector(models.detector, unlocked)
    width, height = size
    face = min(size) * 0.4
    frame = picture_of(face, ((width // 2, height // 2),), size=size)
    found = detector.find(frame, [View(0, 0, width, height)])
    assert len(found) == 1
    assert abs((found[0].box.left + found[0].box.right) / 2 - width / 2) < 0.2 * face
