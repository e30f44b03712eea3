"""Geometry: a head that turns is no plane.

The landmarks of two frames between which the face has turned are fitted by one homography, which moves
every point of a plane exactly. What is left over is parallax: much on a head, little on a print or a
screen. It says nothing when the face hardly turned, and it may never take a face's expression for depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vouchbox.messages import TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.observation import Observation

Points = NDArray[np.float64]
"""N x 2, pixels."""

RIGID = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 33, 133, 362, 263, 70, 107, 336, 300, 127, 356, 234, 454)
"""Landmarks that speech and blinking hardly move, at very different depths: forehead, bridge and tip of
the nose, eye corners, brows, temples. Numbers of the MediaPipe face mesh."""

TURN_DEGREES = 14.0
"""Two frames are compared when the face has turned by this much between them."""

FRAMES = 12
"""Frames that are kept on each side."""

THRESHOLD = 0.5
"""Score from which on the face is a head."""

FLAT = 0.010
HEAD = 0.040
"""Median leftover of a plane and of a head, in units of the distance between the eyes."""


@dataclass(frozen=True, slots=True)
class _View:
    yaw: float
    pitch: float
    points: Points


class Geometry:
    """Keeps a few frontal and a few turned views, compares them at the end."""

    def __init__(self) -> None:
        self._views: dict[tuple[int, int], list[_View]] = {}

    def observe(self, observation: Observation) -> None:
        """Keep the view when its pose is not covered yet."""
        face = observation.face
        if face is None:
            return
        cell = (round(face.pose.yaw / 6.0), round(face.pose.pitch / 6.0))
        views = self._views.setdefault(cell, [])
        if len(views) < 2:
            points = face.landmarks[list(RIGID), :2].astype(np.float64)
            views.append(_View(face.pose.yaw, face.pose.pitch, points))

    def result(self) -> TestResult:
        """SUCCESS when the views show depth, NOT_RUN when the face never turned enough."""
        leftovers = self.leftovers()
        if not leftovers:
            return TestResult(TestName.GEOMETRY, TestStatus.NOT_RUN, reasons=(Reason.GEOMETRY_NOT_RUN,))
        score = float(np.clip((np.median(leftovers) - FLAT) / (HEAD - FLAT), 0.0, 1.0))
        is_head = score >= THRESHOLD
        return TestResult(
            TestName.GEOMETRY,
            TestStatus.SUCCESS if is_head else TestStatus.FAIL,
            score=score,
            threshold=THRESHOLD,
            measured=len(leftovers),
            reasons=() if is_head else (Reason.GEOMETRY_FAILED,),
        )

    def leftovers(self) -> list[float]:
        """For each compared pair the mean distance that the best homography leaves, in eye distances."""
        views = [view for cell in self._views.values() for view in cell]
        return [
            leftover(one.points, other.points)
            for i, one in enumerate(views)
            for other in views[i + 1 :]
            if max(abs(one.yaw - other.yaw), abs(one.pitch - other.pitch)) >= TURN_DEGREES
        ]


def leftover(one: Points, other: Points) -> float:
    """Root mean square distance, in eye distances of `other`, that the homography from `one` leaves.

    Hartley-normalised direct linear transform (Hartley & Zisserman, Multiple View Geometry, alg. 4.2).
    """
    a, _ = _normalised(one)
    b, scale_b = _normalised(other)
    x, y, u, v = a[:, 0], a[:, 1], b[:, 0], b[:, 1]
    zero, unit = np.zeros_like(x), np.ones_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, unit, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, unit, -v * x, -v * y, -v], axis=1),
        ]
    )
    homography = np.linalg.svd(rows)[2][-1].reshape(3, 3)
    mapped = np.c_[a, unit] @ homography.T
    mapped = mapped[:, :2] / mapped[:, 2:]
    distance = np.sqrt(np.mean(np.sum((mapped - b) ** 2, axis=1))) / scale_b
    eyes = _eye_distance(other)
    return float(distance / max(eyes, 1.0))


def _eye_distance(points: Points) -> float:
    corners = [RIGID.index(i) for i in (33, 133, 362, 263)]
    right, left = points[corners[:2]].mean(axis=0), points[corners[2:]].mean(axis=0)
    return float(np.linalg.norm(right - left))


def _normalised(points: Points) -> tuple[Points, float]:
    centred = points - points.mean(axis=0)
    scale = float(np.sqrt(2.0) / max(np.mean(np.linalg.norm(centred, axis=1)), 1e-9))
    return centred * scale, scale
