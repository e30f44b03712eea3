"""Head pose from the 468 points: the rotation that best carries a rigid mean face onto this one.

Points that move with speech or expression (mouth, brows' ends, chin) take no part. The mean face was
measured by us: median meshes of 27 clips and portraits of CC BY, MIT and public-domain sources, aligned,
averaged and made symmetric. Source of the fit: W. Kabsch, Acta Cryst. A32 (1976) 922.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.vision.observation import Landmarks, Pose

# Mesh point of the person's right side, its mirror image on the left side, and x, y, z of the latter.
# Unit: the distance between the outer eye corners. y points down, z away from the camera.
_PAIRS: tuple[tuple[int, int, float, float, float], ...] = (
    (21, 251, 0.726, -0.220, 0.327),
    (33, 263, 0.500, 0.021, 0.011),
    (50, 280, 0.538, 0.376, -0.083),
    (54, 284, 0.661, -0.358, 0.202),
    (67, 297, 0.388, -0.546, -0.048),
    (70, 300, 0.633, -0.145, 0.035),
    (93, 323, 0.750, 0.430, 0.582),
    (98, 327, 0.187, 0.489, -0.239),
    (103, 332, 0.554, -0.469, 0.068),
    (109, 338, 0.210, -0.581, -0.117),
    (116, 345, 0.698, 0.216, 0.133),
    (118, 347, 0.495, 0.227, -0.066),
    (122, 351, 0.064, 0.051, -0.256),
    (127, 356, 0.771, 0.101, 0.554),
    (133, 362, 0.197, 0.028, -0.047),
    (162, 389, 0.760, -0.076, 0.458),
    (193, 417, 0.085, -0.035, -0.181),
    (234, 454, 0.762, 0.266, 0.591),
)

# Mesh points of the middle line: y, z.
_MIDDLE: tuple[tuple[int, float, float], ...] = (
    (10, -0.589, -0.133),
    (151, -0.415, -0.187),
    (9, -0.229, -0.232),
    (8, -0.131, -0.226),
    (168, -0.050, -0.227),
    (6, 0.031, -0.282),
    (197, 0.107, -0.343),
    (195, 0.179, -0.410),
    (5, 0.256, -0.478),
    (4, 0.352, -0.510),
    (1, 0.428, -0.492),
    (2, 0.509, -0.329),
)


def _mean_face() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    right = [(a, -x, y, z) for a, _, x, y, z in _PAIRS]
    left = [(b, x, y, z) for _, b, x, y, z in _PAIRS]
    middle = [(a, 0.0, y, z) for a, y, z in _MIDDLE]
    rows = right + left + middle
    face = np.array([row[1:] for row in rows])
    return np.array([row[0] for row in rows], np.intp), face - face.mean(axis=0)


RIGID_POINTS, MEAN_FACE = _mean_face()
"""Mesh points that move only with the head (48), and where they lie in a frontal mean face (48 x 3)."""

# The tip of the nose, the face's sides before the ears, the corners of the left eye, those of the right one.
_NOSE, _SIDES, _LEFT_EYE, _RIGHT_EYE = (195, 5, 4, 1), (127, 234, 93, 356, 454, 323), (362, 263), (33, 133)
_NOD_POINTS = np.array(_NOSE + _SIDES + _LEFT_EYE + _RIGHT_EYE, np.intp)
_NOD_WEIGHTS = np.array(
    [[-1 / 4] * 4 + [1 / 6] * 6 + [0.0] * 4, [0.0] * 10 + [1 / 2] * 2 + [-1 / 2] * 2], np.float32
)
"""From the points to the way from the nose to the sides, and to that from the right eye to the left one."""

_LEAST_EXTENT = 1e-6
"""Points that lie on a line, or all in one place, have no pose."""


def _nose_depth() -> float:
    face = np.zeros((468, 3))
    face[RIGID_POINTS] = MEAN_FACE
    sides, left = _NOD_WEIGHTS @ face[_NOD_POINTS]
    return float(sides[2] / np.linalg.norm(left))


_NOSE_DEPTH = _nose_depth()
"""How far the tip of the nose lies before the face's sides, in distances between the eyes."""

_MEAN_FACE_ROWS = np.ascontiguousarray(MEAN_FACE.T, np.float32)


def rotation(points: Landmarks) -> NDArray[np.float64]:
    """The 3 x 3 rotation from the frontal mean face to `points` (468 x 3; x right, y down, z away)."""
    # The mean face is centred, so the other side need not be.
    spread = np.einsum("ik,kj->ij", _MEAN_FACE_ROWS, points[RIGID_POINTS]).astype(np.float64)
    strength, left, right = cv2.SVDecomp(spread)
    if strength[1, 0] <= _LEAST_EXTENT:
        return np.eye(3)
    turn = left @ right
    if cv2.determinant(turn) < 0.0:
        turn = left @ np.diag((1.0, 1.0, -1.0)) @ right
    return np.asarray(turn.T, np.float64)


def head_pose(points: Landmarks) -> Pose:
    """Yaw, pitch and roll in degrees, signs as in observation.Pose; roll turns first, about the nose's axis.

    Never raises: points without extent give a pose of zeros.
    """
    (x0, _, z0), (x1, _, z1), (x2, _, z2) = rotation(points).tolist()
    yaw = math.atan2(-z0, z2)
    pitch = math.atan2(z1, math.hypot(z0, z2))
    # With yaw and pitch undone, what is left turns about the axis of view: compare the turned x axis with
    # the level direction (cos yaw, 0, sin yaw), and with what stands upright on it.
    level_x, level_z = math.cos(yaw), math.sin(yaw)
    along = x0 * level_x + x2 * level_z
    upright = x0 * z1 * level_z + x1 * (z2 * level_x - z0 * level_z) - x2 * z1 * level_x
    return Pose(*(math.degrees(angle) for angle in (yaw, pitch, math.atan2(upright, along))))


def nod(points: Landmarks) -> float:
    """How far the tip of the nose stands above the face's sides, as the degrees of pitch that would lift it
    so on the mean face. Only differences mean something: where it is 0 depends on the face.

    Pitch leans on the depth that the landmark network guesses, and of a head that rests raised it reads as
    little as 0.6 of a further rise. This is parallax in the picture alone: 0.8 to 0.9 of the movement,
    whoever it is and however the head rests (LIVENESS.md). Never raises: points without extent give 0.
    """
    (right, down), (x, y) = np.einsum("ij,jk->ik", _NOD_WEIGHTS, points[_NOD_POINTS, :2]).tolist()
    squared = x * x + y * y
    if squared <= _LEAST_EXTENT:
        return 0.0
    raised = (down * x - right * y) / squared
    return math.degrees(math.asin(min(max(raised / _NOSE_DEPTH, -1.0), 1.0)))
