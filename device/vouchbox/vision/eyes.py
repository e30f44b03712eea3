"""How open the eyes are, and how far apart, from the landmarks.

The eye aspect ratio is the mean height of an eye over its width: about 0.25 when open, below 0.15 when
shut, and the same at any size. Source: T. Soukupova and J. Cech, Real-Time Eye Blink Detection using
Facial Landmarks (2016), with the six points of each eye in the face mesh.
"""

from __future__ import annotations

import numpy as np

from vouchbox.vision.observation import Landmarks

# Both eyes at once; each: outer or inner corner, two upper points, other corner, two lower points.
_LEFT = (362, 385, 387, 263, 373, 380)
_RIGHT = (33, 160, 158, 133, 153, 144)
_POINTS = np.array([_LEFT, _RIGHT], np.intp)
_CORNERS = np.array([(362, 263), (33, 133)], np.intp)


def aspect_ratios(points: Landmarks) -> tuple[float, float]:
    """Eye aspect ratio of the person's own left and right eye; 0 for an eye without width."""
    eyes = points[_POINTS, :2]
    upright = np.linalg.norm(eyes[:, 1:3] - eyes[:, 5:3:-1], axis=2).sum(axis=1)
    across = np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=1)
    ratios = np.divide(upright, 2.0 * across, out=np.zeros(2, np.float32), where=across > 1e-3)
    return float(ratios[0]), float(ratios[1])


def inter_eye_distance(points: Landmarks) -> float:
    """Distance between the eye centres in pixels (ISO/IEC 29794-5, inter-eye distance)."""
    centres = points[_CORNERS, :2].mean(axis=1)
    return float(np.hypot(*(centres[0] - centres[1])))
