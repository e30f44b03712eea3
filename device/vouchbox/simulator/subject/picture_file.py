"""A portrait from a picture file: face and landmarks found by the networks that the box itself runs.

The person is cut out of the background by GrabCut (Rother, Kolmogorov and Blake, 2004), started from the
landmarks. Works for one person who looks at the camera. The picture stays in memory; nothing is written.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image, Stamp
from vouchbox.errors import UsageError
from vouchbox.simulator.subject.portraits import Portrait, eye_distance
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Face, Landmarks
from vouchbox.vision.observer import Observer
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock

LONGEST_PX = 1600
"""Larger pictures are made smaller before the face is looked for."""

SMALLEST_EYES_PX = 45.0
"""Distance between the eyes, at least: below this the head would be a blur."""

TURNED_DEGREES = 16.0
"""A head that is turned further than this (yaw or pitch) has no second half to show."""

AROUND_EYES = (4.6, 3.4, 4.2)
"""What is kept at the sides, above and below the face's middle, in distances between the eyes."""

BELOW_EYES = 3.4
"""A person must reach so far down; a picture that ends sooner is drawn out at its lower edge."""

SHORTEST_EYES = 2.5
"""A picture that ends above the shoulders can't be drawn out."""

SHOULDER_SLOPE = 0.6
"""How far a shoulder falls for each pixel beyond the picture's side, where it is drawn out."""

_CUT_ROUNDS = 5
_CUT_EYES_PX = 40.0
OPEN_RATIO = 0.30
"""The eyes' aspect ratio to which narrow eyes are opened."""

_OVAL_TOP, _CHIN = 10, 152
_SIDES = (234, 454)


@lru_cache(maxsize=16)
def from_file(path: Path) -> Portrait:
    """The portrait in `path`; raises UsageError that says why the picture can't serve."""
    picture = _read(path)
    face = _face(picture, path)
    level = _levelled(picture, face)
    face = _face(level, path)
    kept, landmarks, real = _framed(level, face.landmarks, path)
    ratio = (face.left_eye + face.right_eye) / 2.0
    wider = min(max(OPEN_RATIO / max(ratio, 0.01), 1.0), 1.6)
    return Portrait(kept, landmarks, _outline(kept, landmarks, real), wider)


def _read(path: Path) -> Image:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as problem:
        problem_text = problem.strerror or type(problem).__name__
        raise UsageError(f"the portrait {path} can't be read ({problem_text})", "name a picture") from None
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise UsageError(f"the portrait {path} is no picture that can be read", "use a JPEG or a PNG")
    scale = min(1.0, LONGEST_PX / max(decoded.shape[:2]))
    if scale < 1.0:
        decoded = cv2.resize(decoded, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8, copy=False)


@lru_cache(maxsize=1)
def _models() -> Models:
    return Models.load()


def _face(picture: Image, path: Path) -> Face:
    height, width = picture.shape[:2]
    observer = Observer(_models(), unlocked, width, height, StageClock(), keep_chips=False)
    face = None
    for number in range(4):
        # A small face is looked for in one part of the picture after the other.
        seen = observer.observe(picture, Stamp(number, number), 0.0).observation
        face = seen.face or face
        if seen.faces > 1:
            raise UsageError(f"the portrait {path} shows several faces", "cut one of them out")
    if face is None:
        raise UsageError(f"the portrait {path} shows no face", "use a picture of a face from the front")
    if face.inter_eye_px < SMALLEST_EYES_PX:
        raise UsageError(
            f"the face in {path} is too small: {face.inter_eye_px:.0f} pixels between the eyes",
            f"use a picture with {SMALLEST_EYES_PX:.0f} or more",
        )
    if max(abs(face.pose.yaw), abs(face.pose.pitch)) > TURNED_DEGREES:
        raise UsageError(f"the face in {path} is turned away", "use a picture of a face from the front")
    return face


def _levelled(picture: Image, face: Face) -> Image:
    """The picture turned until the eyes are level, about the face."""
    eyes = face.landmarks[[33, 263], :2]
    tilt = math.degrees(math.atan2(float(eyes[1, 1] - eyes[0, 1]), float(eyes[1, 0] - eyes[0, 0])))
    x, y = (float(value) for value in face.landmarks[:, :2].mean(0))
    size = (picture.shape[1], picture.shape[0])
    turn = cv2.getRotationMatrix2D((x, y), tilt, 1.0)
    turned = cv2.warpAffine(picture, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _framed(picture: Image, landmarks: Landmarks, path: Path) -> tuple[Image, Landmarks, tuple[int, int]]:
    """Head and shoulders with room at the sides, drawn out where the picture ends too soon, and the columns
    between which the picture is real."""
    height, width = picture.shape[:2]
    unit = eye_distance(landmarks)
    x, y = (float(value) for value in landmarks[:, :2].mean(0))
    if height - y < SHORTEST_EYES * unit:
        raise UsageError(f"the portrait {path} ends above the shoulders", "use a picture that shows them")
    aside, above, below = (share * unit for share in AROUND_EYES)
    left, right = max(0, int(x - aside)), min(width, int(x + aside))
    top, bottom = max(0, int(y - above)), min(height, int(y + below))
    before, after = max(0, left - int(x - aside)), max(0, int(x + aside) - right)
    missing = max(0, round(y + BELOW_EYES * unit) - bottom)
    kept = cv2.copyMakeBorder(
        picture[top:bottom, left:right], 0, missing, before, after, cv2.BORDER_REPLICATE
    )
    moved = landmarks.copy()
    moved[:, :2] += (before - left, -top)
    return np.asarray(kept, np.uint8), moved, (before, before + right - left)


def _outline(picture: Image, landmarks: Landmarks, real: tuple[int, int]) -> NDArray[np.float32]:
    """The person's edge, points x 2: GrabCut on a small copy, the largest piece, smoothed."""
    scale = _CUT_EYES_PX / eye_distance(landmarks)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    first, last = math.ceil(real[0] * scale), math.floor(real[1] * scale)
    mask = _suspected(small.shape, landmarks * scale)
    kept = np.ascontiguousarray(mask[:, first:last])
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(
        np.ascontiguousarray(small[:, first:last]), kept, (0, 0, 1, 1), models[0], models[1], _CUT_ROUNDS,
        cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    inside = np.zeros(small.shape[:2], np.uint8)
    inside[:, first:last] = ((kept == cv2.GC_FGD) | (kept == cv2.GC_PR_FGD)) * np.uint8(255)
    _draw_out(inside, first, last)
    soft = cv2.GaussianBlur(inside, (0, 0), 2.0)
    pieces, _ = cv2.findContours((soft > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(pieces, key=cv2.contourArea)
    smooth = cv2.approxPolyDP(largest, 0.7, True).reshape(-1, 2).astype(np.float32)
    return np.asarray((smooth + 0.5) / scale, np.float32)


def _draw_out(inside: NDArray[np.uint8], first: int, last: int) -> None:
    """Let shoulders that the picture's sides cut off fall beyond them, in place."""
    height, width = inside.shape
    for edge, beyond in ((first, range(first)), (last - 1, range(last, width))):
        rows = np.flatnonzero(inside[height // 2 :, edge])
        if len(rows):
            shoulder = height // 2 + int(rows[0])
            for column in beyond:
                inside[min(shoulder + round(SHOULDER_SLOPE * abs(column - edge)), height) :, column] = 255


def _suspected(shape: tuple[int, ...], landmarks: Landmarks) -> NDArray[np.uint8]:
    """Where a person certainly is (face, neck, chest), may be (hair, shoulders), and is not."""
    height, width = shape[:2]
    left, right = landmarks[_SIDES[0], :2], landmarks[_SIDES[1], :2]
    top, chin = landmarks[_OVAL_TOP, :2], landmarks[_CHIN, :2]
    x, y = ((left + right + top + chin) / 4.0).tolist()
    wide, tall = float(right[0] - left[0]) / 2.0, float(chin[1] - top[1]) / 2.0
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)

    def oval(up: float, half_width: float, half_height: float, value: int) -> None:
        axes = (int(half_width * wide), int(half_height * tall))
        cv2.ellipse(mask, (int(x), int(y - up * tall)), axes, 0, 0, 360, (value,), -1)

    def trunk(start: float, above: float, below: float, value: int) -> None:
        corners = [(-above, start), (above, start), (below, height), (-below, height)]
        points = np.array([(x + side * wide, down) for side, down in corners], np.int32)
        cv2.fillPoly(mask, [points], (value,))

    oval(0.25, 1.9, 1.9, cv2.GC_PR_BGD)
    mask[int(chin[1] + 0.35 * tall) :] = cv2.GC_PR_BGD
    oval(0.15, 1.25, 1.4, cv2.GC_PR_FGD)
    trunk(float(chin[1]), 0.75, 2.3, cv2.GC_PR_FGD)
    oval(0.2, 1.03, 1.17, cv2.GC_FGD)
    trunk(y, 0.4, 0.9, cv2.GC_FGD)
    return mask
