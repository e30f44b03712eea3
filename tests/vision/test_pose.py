"""The pose's angles and signs are those of observation.Pose: the person's own left is positive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vouchbox.vision.eyes import aspect_ratios, inter_eye_distance
from vouchbox.vision.observation import Landmarks, Pose
from vouchbox.vision.pose import MEAN_FACE, RIGID_POINTS, head_pose, nod

OWN_LEFT_EYE_OUTER, OWN_RIGHT_EYE_OUTER = 263, 33


def _rotation(pose: Pose) -> NDArray[np.float64]:
    """x right, y down, z away: the nose points to -z, the person's own left is +x."""
    yaw, pitch, roll = (math.radians(v) for v in (pose.yaw, pose.pitch, pose.roll))
    about_y = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]]
    )
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def _face(pose: Pose, scale: float = 100.0, noise: float = 0.0) -> Landmarks:
    points = np.zeros((468, 3))
    points[RIGID_POINTS] = MEAN_FACE @ _rotation(pose).T * scale
    points += np.random.default_rng(0).normal(0.0, noise * scale, points.shape) + [320, 240, 7]
    return points.astype(np.float32)


@given(yaw=st.floats(-70, 70), pitch=st.floats(-60, 60), roll=st.floats(-90, 90), scale=st.floats(10, 500))
def test_a_turned_mean_face_gives_back_its_angles(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    found = head_pose(_face(Pose(yaw, pitch, roll), scale))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, roll), abs=0.05)


def test_noise_of_the_landmarks_moves_the_pose_by_a_degree_at_most() -> None:
    found = head_pose(_face(Pose(20, -10, 5), noise=0.02))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((20, -10, 5), abs=1.5)


def test_turning_left_moves_the_nose_to_the_own_left_and_looking_up_moves_it_up() -> None:
    tip = 4
    straight = _face(Pose(0, 0, 0))
    assert _face(Pose(30, 0, 0))[tip, 0] > straight[tip, 0]
    assert straight[OWN_LEFT_EYE_OUTER, 0] > straight[OWN_RIGHT_EYE_OUTER, 0]
    assert _face(Pose(0, 30, 0))[tip, 1] < straight[tip, 1]


def test_tilting_to_the_own_left_shoulder_lowers_the_own_left_eye() -> None:
    tilted = _face(Pose(0, 0, 20))
    assert tilted[OWN_LEFT_EYE_OUTER, 1] > tilted[OWN_RIGHT_EYE_OUTER, 1]
    assert head_pose(tilted).roll == pytest.approx(20, abs=0.05)


@given(yaw=st.floats(-15, 15), roll=st.floats(-20, 20), rest=st.floats(-15, 15), scale=st.floats(10, 500))
def test_a_nod_is_the_pitch_of_a_mean_face_up_to_its_zero(
    yaw: float, roll: float, rest: float, scale: float
) -> None:
    for moved in (-14.0, 9.0, 14.0):
        before, after = (nod(_face(Pose(yaw, rest + by, roll), scale)) for by in (0.0, moved))
        assert after - before == pytest.approx(moved, abs=1.5)


def test_a_nod_does_not_read_the_depth_that_the_network_guesses() -> None:
    guessed = _face(Pose(0, 12, 0))
    guessed[:, 2] *= -0.4
    assert nod(guessed) == nod(_face(Pose(0, 12, 0)))


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_points_without_extent_have_no_pose(value: float) -> None:
    assert head_pose(np.full((468, 3), value, np.float32)) == Pose(0.0, 0.0, 0.0)
    assert nod(np.full((468, 3), value, np.float32)) == 0.0


def _eyes(left_height: float, right_height: float) -> Landmarks:
    points = np.zeros((468, 3), np.float32)
    for corners, upper, lower, centre, height in (
        ((362, 263), (385, 387), (380, 373), 60.0, left_height),
        ((33, 133), (160, 158), (144, 153), -60.0, right_height),
    ):
        points[corners[0], 0], points[corners[1], 0] = centre - 20.0, centre + 20.0
        points[list(upper), 0] = points[list(lower), 0] = (centre - 7.0, centre + 7.0)
        points[list(upper), 1], points[list(lower), 1] = -height / 2, height / 2
    return points


def test_the_aspect_ratio_is_height_over_width_of_each_own_eye() -> None:
    assert aspect_ratios(_eyes(10.0, 4.0)) == pytest.approx((0.25, 0.1))
    assert inter_eye_distance(_eyes(10.0, 4.0)) == pytest.approx(120.0)


def test_eyes_without_width_are_shut() -> None:
    assert aspect_ratios(np.zeros((468, 3), np.float32)) == (0.0, 0.0)
