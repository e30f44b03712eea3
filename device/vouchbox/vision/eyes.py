"""How open the eyes are, and how far apart, from the landmarks.

The eye aspect ratio is the mean height of an eye over its width: about 0.25 when open, below 0.15 when
shut, and the same at any size. Source: T. Soukupova and J. Cech, Real-Time Eye Blink Detection using
Facial Landmarks (2016), with the six points of each eye in the face mesh.
"""

from __future__ import annotations

import math

import numpy as np

from vouchbox.vision.observation import Landmarks

# Left eye, then right eye; each: one corner, two upper points, other corner, the lower points below them.
_POINTS = np.array((362, 385, 387, 263, 373, 380, 33, 160, 158, 133, 153, 144), np.intp)
_CORNERS = np.array((362, 263, 33, 133), np.intp)


def aspect_ratios(points: Landmarks) -> tuple[float, float]:
    """Eye aspect ratio of the person's own left and right eye; 0 for an eye without width."""
    places = points[_POINTS].tolist()
    return _ratio(places[:6]), _ratio(places[6:])


def inter_eye_distance(points: Landmarks) -> float:
    """Distance between the eye centres in pixels (ISO/IEC 29794-5, inter-eye distance)."""
    (ax, ay, _), (bx, by, _), (cx, cy, _), (dx, dy, _) = points[_CORNERS].tolist()
    return math.hypot(ax + bx - cx - dx, ay + by - cy - dy) / 2.0


def _ratio(eye: list[list[float]]) -> float:
    corner, upper, upper_too, other, lower_too, lower = eye
    across = _distance(corner, other)
    return (
        (_distance(upper, lower) + _distance(upper_too, lower_too)) / (2.0 * across) if across > 1e-3 else 0.0
    )


def _distance(one: list[float], other: list[float]) -> float:
    return math.hypot(one[0] - other[0], one[1] - other[1])
