"""Depth shows in a turning head and in no sheet, at whatever angle, nor where pixels deny it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.messages import TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.geometry import (
    CONFIRMED,
    CONFIRMING_VIEWS,
    DENIED,
    SMALLEST_EYE_DISTANCE_PX,
    VIEWS,
    Geometry,
    leftovers,
)
from vouchbox.vision.observation import Box, Face, Observation, Parallax, Pose

Shape = NDArray[np.float64]
EYES = {33: (-0.7, -0.1), 133: (-0.3, -0.1), 362: (0.3, -0.1), 263: (0.7, -0.1)}
AWAY = 8.0
FOCAL = 800.0


def head() -> Shape:
    """468 points on a head-like relief: rounded sides and a nose; 1 is the distance between the eyes."""
    random = np.random.default_rng(7)
    points = random.uniform((-1.1, -1.2), (1.1, 1.3), (468, 2))
    for index, place in EYES.items():
        points[index] = place
    x, y = points.T
    nose = 0.75 * np.exp(-((x / 0.22) ** 2) - ((y - 0.35) / 0.35) ** 2)
    return np.stack([x, y, 0.7 * x**2 + 0.25 * y**2 - nose], axis=1)


def flat() -> Shape:
    sheet = head()
    sheet[:, 2] = 0.0
    return sheet


def bent(radians_a_unit: float) -> Shape:
    sheet = flat()
    arc = sheet[:, 0] * radians_a_unit
    sheet[:, 0], sheet[:, 2] = np.sin(arc) / radians_a_unit, (1 - np.cos(arc)) / radians_a_unit
    return sheet


def turned(shape: Shape, yaw: float, pitch: float) -> Shape:
    a, b = np.radians([-yaw, pitch])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return np.asarray(shape @ (about_x @ about_y).T)


def views(
    shape: Shape,
    path: list[tuple[float, float]],
    *,
    pose_follows: float = 1.0,
    eyes_px: float = 100.0,
    noise: float = 0.006,
    grimace: float = 0.0,
    guessed_depth: float = 1.0,
    confirmed: float | None = 0.8,
) -> Iterator[Observation]:
    """Observations along `path` of (yaw, pitch). The landmark network guesses a head's depth on every face,
    and sees `pose_follows` of a sheet's turn as a turn of the head. Pixels confirm whatever it says, unless
    `confirmed` says otherwise."""
    random = np.random.default_rng(1)
    scale = eyes_px * AWAY / FOCAL
    for index, (yaw, pitch) in enumerate(path):
        alive = shape.copy()
        alive[:, 1] *= 1.0 + grimace * np.sin(0.7 * index) * (shape[:, 1] > 0.5)
        world = turned(alive, yaw, pitch)
        seen = FOCAL * scale * world[:, :2] / (AWAY + world[:, 2:]) + 240.0
        seen += random.normal(0.0, noise * eyes_px, seen.shape)
        guess = turned(head(), yaw * pose_follows, pitch * pose_follows)[:, 2:] * eyes_px * guessed_depth
        points = np.hstack([seen, guess]).astype(np.float32)
        pose = Pose(yaw * pose_follows, pitch * pose_follows, 0.0)
        face = Face(Box(0, 0, 480, 480), points, 1.0, pose, 0.28, 0.28, eyes_px)
        parallax = None
        if confirmed is not None and np.hypot(yaw, pitch) > 12.0:
            parallax = Parallax(0.3, confirmed, 40)
        yield Observation(index, index / 15.0, 0, 1, face, True, index, 1.0, 120.0, parallax=parallax)


def swing(yaw: float, pitch: float = 0.0, frames: int = 75) -> list[tuple[float, float]]:
    t = np.linspace(0.0, 2 * np.pi, frames)
    return [(yaw * float(np.sin(a)), pitch * float(np.sin(a))) for a in t]


def judged(observations: Iterator[Observation]) -> Geometry:
    geometry = Geometry()
    for observation in observations:
        geometry.observe(observation)
    return geometry


@pytest.mark.parametrize(("yaw", "pitch"), [(28, 0), (-28, 0), (0, 28), (24, 12)])
def test_a_turning_head_is_a_head(yaw: float, pitch: float) -> None:
    result = judged(views(head(), swing(yaw, pitch))).result()
    assert result.status is TestStatus.SUCCESS
    assert result.measured > 5


@pytest.mark.parametrize("angle", [25, 35, 50])
@pytest.mark.parametrize("way", ["turned", "nodded"])
def test_a_flat_sheet_is_flat_at_every_angle(angle: float, way: str) -> None:
    path = swing(angle) if way == "turned" else swing(0, angle)
    result = judged(views(flat(), path, pose_follows=0.25)).result()
    assert result.status is TestStatus.FAIL
    assert result.reasons == (Reason.GEOMETRY_FAILED,)


def test_a_flat_sheet_is_flat_even_if_the_network_takes_its_turn_for_a_head_s() -> None:
    assert judged(views(flat(), swing(35), pose_follows=1.0)).result().status is TestStatus.FAIL


@pytest.mark.parametrize("arc", [0.3, 0.6, -0.4])
def test_a_bent_sheet_never_passes_as_a_head(arc: float) -> None:
    result = judged(views(bent(arc), swing(32), pose_follows=0.4)).result()
    assert result.status is not TestStatus.SUCCESS


def test_a_head_that_the_pixels_deny_is_a_sheet() -> None:
    result = judged(views(head(), swing(28), confirmed=DENIED - 0.01)).result()
    assert result.status is TestStatus.FAIL
    assert result.reasons == (Reason.GEOMETRY_FAILED,)
    assert result.score is not None
    assert result.score < 0.5


def test_a_head_that_the_pixels_neither_confirm_nor_deny_tells_nothing() -> None:
    between = judged(views(head(), swing(28), confirmed=(DENIED + CONFIRMED) / 2))
    unseen = judged(views(head(), swing(28), confirmed=None))
    few = Geometry()
    left = CONFIRMING_VIEWS - 1
    for one in views(head(), swing(28)):
        left -= one.parallax is not None
        few.observe(one if left >= 0 else replace(one, parallax=None))
    for geometry in (between, unseen, few):
        assert geometry.result().status is TestStatus.NOT_RUN
    assert judged(views(head(), swing(28), confirmed=CONFIRMED)).result().status is TestStatus.SUCCESS


def test_an_expression_that_the_pixels_deny_is_no_sheet_while_the_head_hardly_turns() -> None:
    assert judged(views(head(), swing(13), grimace=0.08, confirmed=0.0)).result().status is TestStatus.NOT_RUN


def test_a_face_that_hardly_turns_tells_nothing() -> None:
    for shape in (head(), flat()):
        result = judged(views(shape, swing(5))).result()
        assert result.status is TestStatus.NOT_RUN
        assert result.score is None
        assert result.reasons == (Reason.GEOMETRY_NOT_RUN,)


def test_talking_is_no_turn_and_no_sheet() -> None:
    assert judged(views(head(), swing(6), grimace=0.08)).result().status is TestStatus.NOT_RUN
    assert judged(views(head(), swing(26), grimace=0.08)).result().status is TestStatus.SUCCESS


def test_a_tiny_face_is_not_judged() -> None:
    small = views(head(), swing(30), eyes_px=SMALLEST_EYE_DISTANCE_PX - 1.0)
    assert judged(small).result().status is TestStatus.NOT_RUN


def test_no_face_or_a_single_view_is_not_judged() -> None:
    assert Geometry().result().status is TestStatus.NOT_RUN
    assert judged(iter(list(views(head(), swing(30)))[:1])).result().status is TestStatus.NOT_RUN


def test_points_without_extent_are_not_judged() -> None:
    collapsed = views(np.zeros((468, 3)), swing(30), noise=0.0, guessed_depth=0.0)
    assert judged(collapsed).result().status is not TestStatus.SUCCESS


def test_an_endless_session_keeps_a_bounded_number_of_views() -> None:
    geometry = judged(views(head(), swing(30, frames=5 * VIEWS)))
    depth = geometry.depth()
    assert depth is not None
    assert VIEWS // 2 <= depth.views <= VIEWS
    assert geometry.result().status is TestStatus.SUCCESS


def test_one_homography_leaves_nothing_of_a_plane_and_much_of_a_head() -> None:
    def picture(shape: Shape, yaw: float) -> NDArray[np.float64]:
        world = turned(shape, yaw, 0.0)
        eyes_first = [*EYES, *(n for n in range(468) if n not in EYES)]
        return np.asarray((world[:, :2] / (AWAY + world[:, 2:]))[eyes_first])

    plane = leftovers(picture(flat(), 0.0), picture(flat(), 40.0)[np.newaxis])
    relief = leftovers(picture(head(), 0.0), picture(head(), 25.0)[np.newaxis])
    assert plane[0] < 1e-6
    assert relief[0] > 0.05
