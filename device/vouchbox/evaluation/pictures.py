"""Pictures of a labelled set, and the one face in each: what every network that is compared looks at.

A still is read whole; of a clip some frames are taken, evenly spread. The face is found by the box's own
detector and landmarks. A tight crop may leave them too little to go by: there it is tried once more with a
margin around it, and last the whole picture is taken as the face. Nothing is written anywhere.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.clip import LONGER_SIDE
from vouchbox.camera.decoder import open_decoder, open_file
from vouchbox.camera.fitting import bounded, place
from vouchbox.camera.source import Image
from vouchbox.errors import ClipError, EvaluationError
from vouchbox.evaluation.manifest import Kind, Presentation
from vouchbox.vision.detector import Detector, views
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Box
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.tracking import SEARCH_VIEWS, Tracker

STILL_BYTES_LIMIT = 64 * 1024 * 1024

MARGIN = 0.5
"""Added on every side of a tight crop, in units of its longer side, before it is searched again."""

SMALLEST_SIDE = 16
"""Pixels; in a smaller picture no face is looked for."""

Found = Literal["found", "margin", "whole"]
"""The face was found in the picture, only after a margin was added, or the whole picture is taken for it."""


@dataclass(frozen=True, slots=True)
class Located:
    """A picture and its largest face, in pixels of the picture; the box may reach over its edges."""

    picture: Image
    box: Box
    how: Found


class FaceLocator:
    """Finds the largest face of single pictures with the box's own networks."""

    def __init__(self, models: Models) -> None:
        self._detector = Detector(models.detector, unlocked)
        self._finder = LandmarkFinder(models.landmarks, unlocked)

    def locate(self, picture: Image, kind: Kind) -> Located | None:
        """The largest face of `picture`, or None. Only a Kind.CROP is ever taken as a face as a whole."""
        if min(picture.shape[:2]) < SMALLEST_SIDE:
            return None
        box = self._find(picture)
        if box is not None:
            return Located(picture, box, "found")
        if kind is not Kind.CROP:
            return None
        height, width = picture.shape[:2]
        edge = round(MARGIN * max(height, width))
        wide: Image = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)))
        box = self._find(wide)
        if box is not None and box.right > edge and box.left - edge < width:
            moved = Box(box.left - edge, box.top - edge, box.right - edge, box.bottom - edge)
            return Located(picture, moved, "margin")
        return Located(picture, Box(0.0, 0.0, float(width), float(height)), "whole")

    def _find(self, picture: Image) -> Box | None:
        height, width = picture.shape[:2]
        tracker = Tracker(self._detector, self._finder, width, height)
        parts = sum(len(level) for level in views(width, height)[1:])
        # Each look searches other parts of the picture, as with the frames of a session.
        for _ in range(max(1, math.ceil(parts / (SEARCH_VIEWS - 1)))):
            mesh = tracker.follow(picture).mesh
            if mesh is not None:
                return mesh.box
        return None


def pictures(presentation: Presentation, frames: int) -> Iterator[Image]:
    """The still, or `frames` frames of the clip, evenly spread from the first to the last; RGB, at most
    LONGER_SIDE pixels long. Raises EvaluationError for a file that can't be read."""
    if presentation.kind is Kind.VIDEO:
        yield from _frames(presentation, frames)
    else:
        yield read_still(presentation)


def read_still(presentation: Presentation) -> Image:
    """The still as RGB, at most LONGER_SIDE pixels long; raises EvaluationError when it can't be read."""
    try:
        data = presentation.path.read_bytes() if _small(presentation) else b""
    except OSError:
        data = b""
    picture = None
    if data:
        try:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            picture = None
    if picture is None:
        raise EvaluationError(
            f"{presentation.name} is no picture that can be read", "give a png or jpeg, or take out the row"
        )
    return _fitted(picture)


def unreadable(presentation: Presentation, problem: ClipError) -> EvaluationError:
    """The sentence for a clip of the set that can't be played."""
    return EvaluationError(f"{presentation.name} can't be used, {problem.what}", problem.fix)


def _small(presentation: Presentation) -> bool:
    return presentation.path.stat().st_size <= STILL_BYTES_LIMIT


def _frames(presentation: Presentation, frames: int) -> Iterator[Image]:
    try:
        count = sum(1 for _ in _grabs(presentation))
        wanted = set(np.linspace(0, count - 1, min(frames, count)).round().astype(int).tolist())
        taken = 0
        for index, reader in enumerate(_grabs(presentation)):
            if index in wanted:
                decoded, picture = reader.retrieve()
                if decoded and picture is not None:
                    taken += 1
                    yield _fitted(picture)
    except ClipError as problem:
        raise unreadable(presentation, problem) from None
    if not taken:
        raise EvaluationError(f"{presentation.name} holds no frame", "record it again, or take out the row")


def _grabs(presentation: Presentation) -> Iterator[cv2.VideoCapture]:
    descriptor = open_file(presentation.path)
    try:
        reader = open_decoder(descriptor)
        try:
            while reader.grab():
                yield reader
        finally:
            reader.release()
    finally:
        os.close(descriptor)


def _fitted(picture: NDArray[Any]) -> Image:
    height, width = picture.shape[:2]
    wide, high = bounded(width, height, LONGER_SIDE)
    fitted: Image = np.empty((high, wide, 3), np.uint8)
    place(picture, fitted)
    return fitted
