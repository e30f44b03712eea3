"""Finds a face's points again in a turned view by their pixels, where the landmark network only guesses.

A small grey chip of a resting view is kept; in a turned view each point's surroundings are searched twice,
from where a sheet would have it and from where the landmarks have it, and the better match counts. Chips lie
in scratch memory of the session's ring and nowhere else; what comes out are a few numbers of a view. Source:
B. D. Lucas and T. Kanade, An Iterative Image Registration Technique (1981), with pyramids as in OpenCV.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.vision import parallax
from vouchbox.vision.observation import Face, Parallax
from vouchbox.vision.scratch import Scratch

SIDE = 176
"""Side of a chip in pixels; the eyes of a frontal face lie EYES_PX apart in it."""

EYES_PX = 53.0

BELOW_EYES = 0.45
"""The chip's middle lies this far below the eyes, in eye distances."""

SMALLEST_EYES_PX = 35.0
"""A smaller face is not compared: enlarging adds no detail."""

WINDOW_PX = 11
"""Side of the surroundings that are searched: wider ones reach over the edge of the nose."""

AGREE_PX = 1.0
"""Searched back from where it was found, a point must come out within this distance of itself."""

CLEARLY = 0.7
"""Where the two searches end at different places, one must fit so much better; else smooth skin would confirm
whatever the search began with."""

REST_CLAIM = 0.07
"""A view that claims less parallax than this rests as the kept one does and may take its place."""

REST_S = 0.5
"""The kept view is renewed so often while the face rests, so that light and expression are alike."""

MORE_FRONTAL_DEGREES = 5.0
"""A view that looks ahead by so much more becomes the kept one at once."""

SMALLEST_AREA = 0.2
"""A view in which the face covers less than this share of its own frontal area is not compared."""

PAUSE_S = 0.06
"""Between two comparisons passes at least this much: quicker cameras tell nothing more."""

_LEVELS = 2
_LEAST_TEXTURE = 1e-4
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02)

# Numbers of the MediaPipe face mesh. Not the eyes, which are alive behind the holes of a mask, and not the
# rim, which belongs to its wearer.
_NOSE = (1, 2, 4, 5, 6, 45, 48, 98, 115, 122, 131, 168, 188, 193, 195, 197, 220, 275, 278, 327, 344, 351, 360)
_NOSE_LEFT = (412, 417, 440)
_BROWS = (8, 9, 63, 66, 70, 105, 107, 108, 151, 293, 296, 300, 334, 336, 337)
_CHEEKS = (36, 50, 101, 123, 129, 187, 203, 205, 214, 266, 280, 330, 352, 358, 411, 423, 425, 434)
_MOUTH = (0, 17, 37, 39, 61, 164, 167, 199, 200, 208, 267, 269, 291, 393, 428)
_POINTS = np.array(_NOSE + _NOSE_LEFT + _BROWS + _CHEEKS + _MOUTH, np.intp)
_EYE_CORNERS = np.array((33, 133, 362, 263), np.intp)

Floats = NDArray[np.float64]


class ParallaxMatcher:
    """Compares the views of one session with a resting one, as they come."""

    def __init__(self, scratch: Scratch) -> None:
        self._colour: Image = scratch("parallax-colour", (SIDE, SIDE, 3), np.uint8)
        self._kept: Image = scratch("parallax-kept", (SIDE, SIDE), np.uint8)
        self._chip: Image = scratch("parallax-chip", (SIDE, SIDE), np.uint8)
        self._carried: Image = scratch("parallax-carried", (SIDE, SIDE), np.uint8)
        self._places: Floats | None = None
        self._depths: Floats = np.zeros(0)
        self._yaw = 0.0
        self._kept_s = 0.0
        self._compared_s = -PAUSE_S

    def look(self, frame: Image, face: Face, seconds: float) -> Parallax | None:
        """What this view says; None while the face rests, is too small, or can't be matched."""
        if face.inter_eye_px < SMALLEST_EYES_PX:
            return None
        to_chip = _to_chip(face)
        places = face.landmarks[_POINTS, :2].astype(np.float64) @ to_chip[:, :2].T + to_chip[:, 2]
        if self._places is None or abs(face.pose.yaw) < abs(self._yaw) - MORE_FRONTAL_DEGREES:
            self._keep(frame, face, to_chip, places, seconds)
            return None
        onto = _affine(self._places, places)
        if abs(float(np.linalg.det(onto[:, :2]))) < SMALLEST_AREA:
            return None
        landmarks = (places - onto[:, 2]) @ np.linalg.inv(onto[:, :2]).T
        claimed = parallax.claim(self._places / EYES_PX, self._depths, landmarks / EYES_PX)
        if claimed < REST_CLAIM and seconds - self._kept_s >= REST_S:
            self._keep(frame, face, to_chip, places, seconds)
        if claimed < parallax.SMALLEST_CLAIM or seconds - self._compared_s < PAUSE_S:
            return None
        self._compared_s = seconds
        self._cut(frame, to_chip, self._chip)
        cv2.warpAffine(
            self._chip,
            onto,
            (SIDE, SIDE),
            dst=self._carried,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        pixels, found = _search(self._kept, self._carried, self._places, landmarks)
        return parallax.compare(
            self._places / EYES_PX, self._depths, landmarks / EYES_PX, pixels / EYES_PX, found
        )

    def _keep(self, frame: Image, face: Face, to_chip: Floats, places: Floats, seconds: float) -> None:
        self._cut(frame, to_chip, self._kept)
        self._places = places
        self._depths = face.landmarks[_POINTS, 2] * (to_chip[0, 0] / EYES_PX)
        self._yaw, self._kept_s = face.pose.yaw, seconds

    def _cut(self, frame: Image, to_chip: Floats, into: Image) -> None:
        cv2.warpAffine(
            frame,
            to_chip,
            (SIDE, SIDE),
            dst=self._colour,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        cv2.cvtColor(self._colour, cv2.COLOR_RGB2GRAY, dst=into)
        cv2.GaussianBlur(into, (3, 3), 0.6, dst=into)


def _to_chip(face: Face) -> Floats:
    """2 x 3, from the frame to a chip in which the eyes would be EYES_PX apart if the face looked ahead."""
    eyes = face.inter_eye_px / max(math.cos(math.radians(face.pose.yaw)), 0.5)
    scale = EYES_PX / eyes
    x, y = face.landmarks[_EYE_CORNERS, :2].mean(axis=0).tolist()
    half = SIDE / 2.0
    return np.array([[scale, 0.0, half - scale * x], [0.0, scale, half - scale * (y + BELOW_EYES * eyes)]])


def _affine(places: Floats, others: Floats) -> Floats:
    """2 x 3, the affine map that best carries `places` onto `others`."""
    ones = np.column_stack([places, np.ones(len(places))])
    return np.asarray(np.linalg.lstsq(ones, others, rcond=None)[0].T, np.float64)


def _search(
    kept: Image, carried: Image, places: Floats, landmarks: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Where each point of `kept` lies in `carried` (n x 2), and whether it was found beyond doubt."""
    start = places.astype(np.float32)
    flat, flat_ok, flat_error = _track(kept, carried, start, start, _LEVELS)
    deep, deep_ok, deep_error = _track(kept, carried, start, landmarks.astype(np.float32), _LEVELS)
    is_deep = deep_error < flat_error
    best = np.where(is_deep[:, np.newaxis], deep, flat)
    low, high = np.minimum(flat_error, deep_error), np.maximum(flat_error, deep_error)
    same = np.linalg.norm(flat - deep, axis=1) <= AGREE_PX
    clear = (flat_ok & deep_ok & same) | (low < CLEARLY * high)
    back, back_ok, _ = _track(carried, kept, best, start, 0)
    agrees = np.linalg.norm(back - start, axis=1) <= AGREE_PX
    return best.astype(np.float64), (flat_ok | deep_ok) & clear & back_ok & agrees


def _track(
    one: Image, other: Image, points: NDArray[np.float32], guess: NDArray[np.float32], levels: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    at, ok, difference = cv2.calcOpticalFlowPyrLK(
        one,
        other,
        points.reshape(-1, 1, 2),
        guess.reshape(-1, 1, 2).copy(),
        winSize=(WINDOW_PX, WINDOW_PX),
        maxLevel=levels,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=_LEAST_TEXTURE,
    )
    known = ok.reshape(-1) > 0
    # Of a point that was not found OpenCV says nothing, not even a number.
    places = np.where(known[:, np.newaxis], at.reshape(-1, 2), points).astype(np.float32)
    return places, known, np.where(known, difference.reshape(-1), np.inf).astype(np.float32)
