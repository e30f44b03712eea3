"""Finds faces in a frame: BlazeFace short range, its anchors, and weighted non-maximum suppression.

The network sees 128 x 128 pixels, so a face below a tenth of the frame is lost in it; `views` names the
parts of a frame in which small faces can be searched for. Finding is not believing: a face counts only
after the landmark network confirmed it (tracking.py). Source: V. Bazarevsky et al., BlazeFace (2019), and
MediaPipe's face_detection_short_range graph (Apache-2.0) for anchors and suppression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import ModelError
from vouchbox.vision.observation import Box
from vouchbox.vision.runtime import Network
from vouchbox.vision.scratch import Scratch

OPERATING_THRESHOLD = 0.5
"""The one score, 0..1, from which on a detection is a candidate."""

OVERLAP = 0.3
"""Boxes that share more than this (intersection over union) are the same face."""

SMALLEST_VIEW_PX = 160
"""Parts of a frame below this side are not searched: a face in them is too small to judge."""

_SIDE = 128
_ANCHORS = 896
_VALUES = 16
_GRIDS = ((16, 2), (8, 6))


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle of the frame, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Detection:
    """One candidate: box and the two eyes in pixels of the frame (`eyes` is 2 x 2, x and y, the person's
    own right eye first), score 0..1."""

    box: Box
    eyes: NDArray[np.float32]
    score: float

    @property
    def side(self) -> float:
        """The larger side of the box in pixels."""
        return max(self.box.right - self.box.left, self.box.bottom - self.box.top)


def anchors() -> NDArray[np.float32]:
    """896 x 2 anchor centres in pixels of the network's input."""
    centres = [
        ((x + 0.5) * _SIDE / cells, (y + 0.5) * _SIDE / cells)
        for cells, repeats in _GRIDS
        for y in range(cells)
        for x in range(cells)
        for _ in range(repeats)
    ]
    return np.array(centres, np.float32)


def views(width: int, height: int) -> tuple[tuple[View, ...], ...]:
    """Where to look in a frame of this size: level 0 the whole of it, level 1 overlapping squares over the
    shorter side, level 2 overlapping squares of half that side."""
    whole = (View(0, 0, width, height),)
    short = min(width, height)
    levels: list[tuple[View, ...]] = [whole]
    if max(width, height) > _SIDE:
        for side, overlap in ((short, 0.25), (short // 2, 0.4)):
            if side >= SMALLEST_VIEW_PX or (side == short and short >= _SIDE and width != height):
                levels.append(_squares(width, height, side, overlap))
    return tuple(levels)


def overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box (4: left, top, right, bottom) with each of n x 4."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0.0, None).prod(axis=1)
    area = (others[:, 2:] - others[:, :2]).prod(axis=1)
    both = area + (box[2:] - box[:2]).prod() - shared
    return np.asarray(shared / np.maximum(both, 1e-6), np.float32)


def suppress(
    boxes: NDArray[np.float32], eyes: NDArray[np.float32], scores: NDArray[np.float32]
) -> list[Detection]:
    """Join overlapping candidates into one each, weighted by score; the best first."""
    found: list[Detection] = []
    left = np.argsort(-scores)
    while left.size:
        best = left[0]
        same = overlap(boxes[best], boxes[left]) > OVERLAP
        same[0] = True
        group = left[same]
        weights = scores[group] / scores[group].sum()
        box = weights @ boxes[group]
        joined = np.tensordot(weights, eyes[group], 1).astype(np.float32)
        found.append(Detection(Box(*(float(v) for v in box)), joined, float(scores[best])))
        left = left[~same]
    return found


class Detector:
    """BlazeFace on views of a frame. An int8 file names `logit-low`, `logit-span` (1 value each) and
    `regressor-low`, `regressor-span` (16 values) in its manifest entry: real = output * span + low."""

    def __init__(self, network: Network, scratch: Scratch, threshold: float = OPERATING_THRESHOLD) -> None:
        if network.shape != (_SIDE, _SIDE, 3):
            raise ModelError("the detector model has another picture size", "install vouchbox again")
        self._network = network
        self._scratch = scratch
        self._canvas: Image = scratch("detector", network.shape, np.uint8)
        self._anchors = anchors()
        self._logits = network.output_of_size(_ANCHORS)
        self._regressors = network.output_of_size(_ANCHORS * _VALUES)
        self._logit = float(np.log(threshold / (1.0 - threshold)))
        self._size = (0, 0)

    def find(self, frame: Image, places: Sequence[View]) -> list[Detection]:
        """Candidates inside each of `places`, in pixels of the frame; for each place the best first."""
        levels: list[Image] = [frame]
        found: list[Detection] = []
        for view in places:
            found += self._find(levels, view)
        return found

    def _find(self, levels: list[Image], view: View) -> list[Detection]:
        scale = _SIDE / max(view.width, view.height)
        width, height = max(1, round(view.width * scale)), max(1, round(view.height * scale))
        left, top = (_SIDE - width) // 2, (_SIDE - height) // 2
        if (width, height) != self._size:
            self._canvas.fill(0)
            self._size = (width, height)
        level = max(0, math.floor(math.log2(1.0 / scale))) if scale < 1.0 else 0
        while len(levels) <= level:
            levels.append(self._half(levels[-1], len(levels)))
        step = 2**level
        rows = slice(view.top // step, (view.top + view.height) // step)
        columns = slice(view.left // step, (view.left + view.width) // step)
        inner = self._canvas[top : top + height, left : left + width]
        cv2.resize(levels[level][rows, columns], (width, height), dst=inner, interpolation=cv2.INTER_LINEAR)
        self._network.run(self._canvas)
        logits = self._network.output(self._logits).reshape(-1)
        logits = self._decoded("logit", logits)
        sure = np.flatnonzero(logits > self._logit)
        if not sure.size:
            return []
        values = self._network.output(self._regressors).reshape(_ANCHORS, _VALUES)[sure]
        values = self._decoded("regressor", values)
        centres = values[:, 0:2] + self._anchors[sure]
        half = values[:, 2:4] / 2.0
        boxes = np.hstack([centres - half, centres + half])
        eyes = values[:, 4:8].reshape(-1, 2, 2) + self._anchors[sure][:, None]
        origin = np.array([view.left - left / scale, view.top - top / scale], np.float32)
        boxes = (boxes / scale + np.tile(origin, 2)).astype(np.float32)
        eyes = (eyes / scale + origin).astype(np.float32)
        scores = (1.0 / (1.0 + np.exp(-logits[sure]))).astype(np.float32)
        return suppress(boxes, eyes, scores)

    def _half(self, picture: Image, level: int) -> Image:
        """The picture at half its size: halving by whole pixels is quick and does not alias."""
        rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
        half: Image = self._scratch(f"detector-{level}", (rows, columns, 3), np.uint8)
        whole = picture[: rows * 2, : columns * 2]
        cv2.resize(whole, (columns, rows), dst=half, interpolation=cv2.INTER_AREA)
        return half

    def _decoded(self, head: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        span = self._network.decode.get(f"{head}-span")
        if span is None:
            return values
        return values * span + self._network.decode[f"{head}-low"]


def distinct(found: list[Detection]) -> list[Detection]:
    """Detections of several views with each face only once, the largest first."""
    if not found:
        return []
    boxes = np.array([(d.box.left, d.box.top, d.box.right, d.box.bottom) for d in found], np.float32)
    kept: list[int] = []
    for i in sorted(range(len(found)), key=lambda i: -found[i].side):
        if not kept or not (_covered(boxes[i], boxes[kept]) > OVERLAP).any():
            kept.append(i)
    return [found[i] for i in kept]


def _covered(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the smaller of two boxes that the other covers: a half-seen face at a view's edge is small."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.clip(sides, 0.0, None).prod(axis=1)
    area = np.minimum((others[:, 2:] - others[:, :2]).prod(axis=1), (box[2:] - box[:2]).prod())
    return np.asarray(shared / np.maximum(area, 1e-6), np.float32)


def _squares(width: int, height: int, side: int, shared: float) -> tuple[View, ...]:
    """Squares that cover the frame, neighbours sharing at least `shared` of their side, the middle first."""
    rows = [(left, top) for top in _starts(height, side, shared) for left in _starts(width, side, shared)]
    middle = ((width - side) / 2, (height - side) / 2)
    rows.sort(key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2)
    return tuple(View(left, top, side, side) for left, top in rows)


def _starts(length: int, side: int, shared: float) -> list[int]:
    count = max(1, int(np.ceil((length - side) / (side * (1.0 - shared)))) + 1)
    if count == 1:
        return [max(0, (length - side) // 2)]
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
