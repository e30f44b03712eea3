"""Geometry: a head that turns is no plane.

The landmarks of the frontal views, averaged, are carried onto each turned view by the best homography,
which moves every point of a plane exactly. What is left over is parallax: much on a head, little on a
print or a screen, whatever angle it is held at. The pixels must confirm the parallax that the landmarks
claim (parallax.py). It says nothing when the face hardly turned, and may never take a face's expression for
a turn.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vouchbox.messages import TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.observation import Face, Observation

Views = NDArray[np.float64]
"""Frames x points x 3: x and y in pixels, z in the same scale."""

TURN_DEGREES = 20.0
"""A view tells something when it is turned this far from the frontal one, by parallax or by shortening."""

TURNED_SHARE = 0.08
"""At least this share of the views must be turned, or the test does not run."""

TURNED_VIEWS = 6
"""And at least this many."""

THRESHOLD = 0.5
"""Score from which on the face is a head."""

HEAD = 0.5
"""The leftover that scores 1, in eye distances over the sine of the turn. Heads leave 0.26 to 0.50, flat
sheets 0.03 to 0.11, sheets bent by 40 to 80 degrees 0.06 to 0.23 (LIVENESS.md)."""

FLAT = 0.09
"""A leftover below this is a sheet for certain; grimaces begin at 0.10."""

BENT = 0.20
"""A leftover below this is a bent sheet when the pose has turned as well. Without that it may be a grimace,
which looks like a shortening, and the test does not run; so it does between this and a head's."""

POSE_DEGREES = 11.0
"""The pose has turned when its median change over the turned views is at least this. A head's always has."""

CONFIRMED = 0.28
"""The pixels must confirm at least this share of the parallax that the landmarks claim. Simulated people
reach 0.37 to 1.16, prints worn as a mask -0.18 to 0.20 (LIVENESS.md)."""

DENIED = 0.20
"""Below this they deny it: a sheet on which the landmarks imagine a head. In between, nothing is said."""

CONFIRMING_VIEWS = 5
"""Views that pixels must have confirmed or denied, at least."""

SMALLEST_EYE_DISTANCE_PX = 35.0
"""Below this distance between the eyes the landmarks are too coarse to tell a head from a sheet."""

VIEWS = 160
"""Views that are kept at most; when they are full, every second one is dropped."""

_FRONTAL_SHARE = 0.2
_FRONTAL_VIEWS = 40

# Numbers of the MediaPipe face mesh.
_EYE_CORNERS = (33, 133, 362, 263)
_STEADY = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 10, 151, 9, 8, 109, 338, 67, 297, 127, 356, 162, 389)
_OUTLINE = (332, 284, 251, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176)
_OUTLINE_RIGHT = (149, 150, 136, 172, 58, 132, 93, 234, 21, 54, 103)
_FACE = (61, 291, 0, 17, 50, 280, 205, 425, 70, 63, 105, 66, 107, 300, 293, 334, 296, 336)
_POINTS = np.array(_EYE_CORNERS + _STEADY + _OUTLINE + _OUTLINE_RIGHT + _FACE, np.intp)
_RIGID = len(_EYE_CORNERS) + len(_STEADY)
"""The first points: eye corners, nose, forehead and temples, which speech and blinking hardly move."""


@dataclass(frozen=True, slots=True)
class Depth:
    """What the views say: `leftover` in eye distances over the sine of the turn (median over the views that
    turned sideways, or over those that nodded, whichever shows more: a nod shows a quarter less), how many
    views were turned and kept, and the median change of pose over the same views (degrees)."""

    leftover: float
    turned: int
    views: int
    pose_degrees: float
    confirmed: float | None


class Geometry:
    """Keeps the points of the views that it sees, thinned, and compares them at the end."""

    def __init__(self) -> None:
        self._points: list[NDArray[np.float32]] = []
        self._poses: list[tuple[float, float]] = []
        self._confirmed: deque[float] = deque(maxlen=VIEWS)
        self._stride = 1
        self._seen = 0

    def observe(self, observation: Observation) -> None:
        """Keep the view."""
        if observation.parallax is not None:
            self._confirmed.append(observation.parallax.confirmed)
        face = observation.face
        if face is None or face.inter_eye_px < SMALLEST_EYE_DISTANCE_PX:
            return
        if self._seen % self._stride == 0:
            self._keep(face)
        self._seen += 1

    def result(self) -> TestResult:
        """SUCCESS when the views show depth, NOT_RUN when the face never turned enough to tell."""
        depth = self.depth()
        if depth is None:
            return _not_run(0)
        pose_turned = depth.pose_degrees >= POSE_DEGREES
        confirmed = depth.confirmed
        is_deep = depth.leftover >= THRESHOLD * HEAD and pose_turned
        is_head = is_deep and confirmed is not None and confirmed >= CONFIRMED
        is_flat = depth.leftover < (BENT if pose_turned else FLAT)
        is_denied = pose_turned and confirmed is not None and confirmed < DENIED
        if not (is_head or is_flat or is_denied):
            return _not_run(depth.turned)
        shares = (depth.leftover / HEAD, 1.0 if confirmed is None else THRESHOLD * confirmed / CONFIRMED)
        return TestResult(
            TestName.GEOMETRY,
            TestStatus.SUCCESS if is_head else TestStatus.FAIL,
            score=float(min(max(min(shares), 0.0), 1.0)),
            threshold=THRESHOLD,
            measured=depth.turned,
            reasons=() if is_head else (Reason.GEOMETRY_FAILED,),
        )

    def depth(self) -> Depth | None:
        """The measurement behind the result; None when too few views were turned."""
        if len(self._points) < 2 * TURNED_VIEWS:
            return None
        views = np.asarray(self._points, np.float64)
        poses = np.asarray(self._poses, np.float64)
        frontal = _most_frontal(poses)
        mean = _mean_view(views[frontal])
        turns = _turns(mean, views)
        is_turned = turns >= np.sin(np.radians(TURN_DEGREES))
        count = int(is_turned.sum())
        if count < max(TURNED_VIEWS, TURNED_SHARE * len(views)):
            return None
        left = leftovers(mean[:, :2], views[is_turned, :, :2]) / turns[is_turned]
        swings = np.abs(poses[is_turned] - poses[frontal].mean(axis=0))
        sideways = swings[:, 0] >= swings[:, 1]
        ways = [way for way in (sideways, ~sideways) if way.sum() >= TURNED_VIEWS] or [sideways | True]
        leftover, way = max(((float(np.median(left[way])), way) for way in ways), key=lambda pair: pair[0])
        swing = float(np.median(np.hypot(*swings[way].T)))
        told = len(self._confirmed) >= CONFIRMING_VIEWS
        confirmed = float(np.median(self._confirmed)) if told else None
        return Depth(leftover, count, len(views), swing, confirmed)

    def _keep(self, face: Face) -> None:
        if len(self._points) == VIEWS:
            del self._points[1::2], self._poses[1::2]
            self._stride *= 2
        self._points.append(face.landmarks[_POINTS].astype(np.float32))
        self._poses.append((face.pose.yaw, face.pose.pitch))


def leftovers(frontal: NDArray[np.float64], views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square distance, in eye distances, that the best homography from `frontal` (points x 2)
    leaves on each of `views` (frames x points x 2). The first four points are the eye corners.

    Normalised direct linear transform (Hartley and Zisserman, Multiple View Geometry, algorithm 4.2).
    """
    one, others = _normalised(frontal[np.newaxis]), _normalised(views)
    x, y = np.broadcast_to(one, others.shape).transpose(2, 0, 1)
    u, v = others.transpose(2, 0, 1)
    zero, unit = np.zeros_like(x), np.ones_like(x)
    across = np.stack([x, y, unit, zero, zero, zero, -u * x, -u * y, -u], axis=-1)
    down = np.stack([zero, zero, zero, x, y, unit, -v * x, -v * y, -v], axis=-1)
    rows = np.concatenate([across, down], axis=1)
    normal = rows.transpose(0, 2, 1) @ rows
    homography = np.linalg.eigh(normal)[1][:, :, 0].reshape(-1, 3, 3)
    carried = np.stack([x, y, unit], axis=-1) @ homography.transpose(0, 2, 1)
    weights = carried[..., 2:]
    carried = carried[..., :2] / np.where(np.abs(weights) < 1e-12, 1e-12, weights)
    distance = np.sqrt(((carried - others) ** 2).sum(axis=2).mean(axis=1))
    return np.asarray(distance / np.maximum(_eye_distances(others), 1e-6), np.float64)


def _not_run(turned: int) -> TestResult:
    return TestResult(
        TestName.GEOMETRY, TestStatus.NOT_RUN, measured=turned, reasons=(Reason.GEOMETRY_NOT_RUN,)
    )


def _most_frontal(poses: NDArray[np.float64]) -> NDArray[np.intp]:
    """The views that look most straight ahead; pitch counts from its median, for cameras hang high or low."""
    away = np.abs(poses[:, 0]) + 0.7 * np.abs(poses[:, 1] - np.median(poses[:, 1]))
    count = min(max(3, int(_FRONTAL_SHARE * len(poses))), _FRONTAL_VIEWS)
    return np.argsort(away)[:count]


def _mean_view(views: Views) -> NDArray[np.float64]:
    """The average of `views` after moving, turning in the picture and scaling them onto the first."""
    centred = views - views[:, :_RIGID].mean(axis=1, keepdims=True)
    first = centred[0, :_RIGID, 0] + 1j * centred[0, :_RIGID, 1]
    flat = centred[..., 0] + 1j * centred[..., 1]
    fit = (flat[:, :_RIGID].conj() @ first) / np.maximum((np.abs(flat[:, :_RIGID]) ** 2).sum(axis=1), 1e-9)
    moved = flat * fit[:, np.newaxis]
    depth = centred[..., 2] * np.abs(fit)[:, np.newaxis]
    mean = np.stack([moved.real, moved.imag, depth], axis=-1).mean(axis=0)
    return np.asarray(mean, np.float64)


def _turns(frontal: NDArray[np.float64], views: Views) -> NDArray[np.float64]:
    """Sine of the turn from `frontal` to each view, by whichever shows more of it.

    The steady points are fitted by an affine camera. Its part for x and y shortens by the cosine of the
    turn, on a sheet as on a head; its part for z, the parallax, grows with the sine.
    """
    base = frontal[:_RIGID] - frontal[:_RIGID].mean(axis=0)
    seen = views[:, :_RIGID, :2] - views[:, :_RIGID, :2].mean(axis=1, keepdims=True)
    camera = (np.linalg.pinv(base) @ seen).transpose(0, 2, 1)
    long, short = np.linalg.svd(camera[:, :, :2], compute_uv=False).T
    long = np.maximum(long, 1e-9)
    shortening = np.sqrt(np.clip(1.0 - (short / long) ** 2, 0.0, 1.0))
    parallax = np.clip(np.linalg.norm(camera[:, :, 2], axis=1) / long, 0.0, 1.0)
    return np.asarray(np.maximum(shortening, parallax), np.float64)


def _normalised(points: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = points - points.mean(axis=1, keepdims=True)
    scale = np.sqrt(2.0) / np.maximum(np.linalg.norm(centred, axis=2).mean(axis=1), 1e-9)
    return np.asarray(centred * scale[:, np.newaxis, np.newaxis], np.float64)


def _eye_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    between = points[:, :2].mean(axis=1) - points[:, 2:4].mean(axis=1)
    return np.asarray(np.linalg.norm(between, axis=1), np.float64)
