"""Fits 468 points to one face: MediaPipe's face mesh on a square crop with level eyes.

The crop comes from a detection, or from the points of the frame before. Points go back into pixels of the
frame; `presence` says how sure the network is that a face is there at all. The crop stays in scratch
memory, where quality.py reads it too. Source: Y. Kartynnik et al., Real-time Facial Surface Geometry
(2019), and MediaPipe's face_landmark_front graph (Apache-2.0) for the crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import ModelError
from vouchbox.vision.detector import Detection
from vouchbox.vision.observation import Box, Landmarks
from vouchbox.vision.runtime import Network
from vouchbox.vision.scratch import Scratch

POINTS = 468

MARGIN = 1.5
"""The crop's side in units of the face's larger side."""

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
"""Mesh points; right and left are the person's own."""

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The mesh's outer rim, once around, clockwise from the top of the forehead."""

NOSE_TIP = 4

_EXTENT = np.array((RIGHT_EYE_OUTER, LEFT_EYE_OUTER, NOSE_TIP, *OVAL), np.intp)
"""Points whose rectangle is that of the whole mesh: in profile the nose stands out, nothing else does."""

Region = NDArray[np.float32]
"""2 x 3: maps pixels of the crop to pixels of the frame (rotation, scale, shift)."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Points in pixels of the frame, presence 0..1, the region they were found in, their rectangle."""

    points: Landmarks
    presence: float
    region: Region
    box: Box


def region_around(centre: tuple[float, float], side: float, eyes: NDArray[np.float32], pixels: int) -> Region:
    """The region of MARGIN x `side` around `centre` whose x axis runs from the person's right eye to the
    left one; `eyes` is 2 x 2. Eyes that fall on one point leave the region upright."""
    dx, dy = float(eyes[1, 0] - eyes[0, 0]), float(eyes[1, 1] - eyes[0, 1])
    length = math.hypot(dx, dy)
    if length < 1e-3:
        dx, dy, length = 1.0, 0.0, 1.0
    step = max(side, 1.0) * MARGIN / pixels / length
    a, b = dx * step, dy * step
    half = pixels / 2.0
    x, y = centre
    return np.array([[a, -b, x - (a - b) * half], [b, a, y - (b + a) * half]], np.float32)


def region_of_detection(found: Detection, pixels: int) -> Region:
    """The region around a detected box."""
    box = found.box
    centre = ((box.left + box.right) / 2.0, (box.top + box.bottom) / 2.0)
    return region_around(centre, found.side, found.eyes, pixels)


def region_of_points(points: Landmarks, pixels: int) -> Region:
    """The region around the points of the frame before: their box along the face's own axes."""
    extent = points[_EXTENT, :2]
    eyes = extent[:2]
    along = eyes[1] - eyes[0]
    along = along / max(math.hypot(along[0], along[1]), 1e-3)
    cos, sin = float(along[0]), float(along[1])
    x, y = extent[:, 0], extent[:, 1]
    # Written out: a matrix product this small costs more in its threads than in its arithmetic.
    across, down = cos * x + sin * y, cos * y - sin * x
    left, right = float(across.min()), float(across.max())
    top, bottom = float(down.min()), float(down.max())
    u, v = (left + right) / 2.0, (top + bottom) / 2.0
    centre = (cos * u - sin * v, sin * u + cos * v)
    return region_around(centre, max(right - left, bottom - top), eyes, pixels)


def box_of_points(points: Landmarks) -> Box:
    """The upright rectangle around the points."""
    extent = points[_EXTENT, :2]
    (left, top), (right, bottom) = extent.min(axis=0).tolist(), extent.max(axis=0).tolist()
    return Box(left, top, right, bottom)


class LandmarkFinder:
    """The face mesh on one region after another. An int8 file names `low` and `span` (1404 values each)
    in its manifest entry: pixels of the crop = output * span + low."""

    def __init__(self, network: Network, scratch: Scratch) -> None:
        if network.shape[0] != network.shape[1]:
            raise ModelError("the landmark model takes no square picture", "install vouchbox again")
        self._network = network
        self.pixels = network.shape[0]
        self.crop: Image = scratch("landmarks", network.shape, np.uint8)
        """The last fitted region as the network saw it, pixels x pixels x 3, RGB."""
        self._other: Image = scratch("bystander", network.shape, np.uint8)
        self._coordinates = network.output_of_size(POINTS * 3)
        self._presence = network.output_of_size(1)

    def fit(self, frame: Image, region: Region) -> Mesh:
        """Fit the points to the face inside `region`."""
        presence = self._look(frame, region, self.crop)
        local = self._network.output(self._coordinates).reshape(-1)
        span = self._network.decode.get("span")
        if span is not None:
            local = local * span + self._network.decode["low"]
        local = local.reshape(POINTS, 3)
        (a, b, x), (c, d, y) = region.tolist()
        points = np.empty((POINTS, 3), np.float32)
        points[:, 0] = a * local[:, 0] + b * local[:, 1] + x
        points[:, 1] = c * local[:, 0] + d * local[:, 1] + y
        points[:, 2] = math.hypot(a, c) * local[:, 2]
        return Mesh(points, presence, region, box_of_points(points))

    def presence(self, frame: Image, region: Region) -> float:
        """How sure the network is that `region` shows a face, 0..1; leaves `crop` as it is."""
        return self._look(frame, region, self._other)

    def _look(self, frame: Image, region: Region, crop: Image) -> float:
        cv2.warpAffine(
            frame,
            region,
            (self.pixels, self.pixels),
            dst=crop,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        self._network.run(crop)
        logit = float(self._network.output(self._presence).reshape(-1)[0])
        return 1.0 / (1.0 + math.exp(-min(max(logit, -60.0), 60.0)))
