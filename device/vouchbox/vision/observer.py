"""From one frame to numbers: the only place where frames, landmarks, pose, eyes and quality meet.

Everything it derives from pixels lies in scratch memory of the session's ring; what it hands out is an
Observation and the quality values, which hold none.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera import health
from vouchbox.camera.source import Image, Stamp
from vouchbox.vision.detector import Detector
from vouchbox.vision.embedding import BestChips
from vouchbox.vision.eyes import aspect_ratios, inter_eye_distance
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.matching import ParallaxMatcher
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Face, Observation
from vouchbox.vision.passive import EVERY, PassiveNetwork
from vouchbox.vision.pose import head_pose
from vouchbox.vision.quality import FrameQuality, Values, fitness
from vouchbox.vision.scratch import Scratch
from vouchbox.vision.stages import StageClock
from vouchbox.vision.tracking import Tracker

_COLUMNS, _ROWS = health.GRID
_ROWS_PER_CELL = 2
"""Rows of the frame that a row of the coarse picture averages: more cost time and tell nothing more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame: the observation, its quality values (None without a face), what the camera's health is
    judged by."""

    observation: Observation
    quality: Values | None
    health: health.FrameNumbers


class Observer:
    """Looks at the frames of one session, which all have one size. With `keep_chips` the best frames' chips
    are kept for the embedding."""

    def __init__(
        self, models: Models, scratch: Scratch, width: int, height: int, clock: StageClock, keep_chips: bool
    ) -> None:
        self._width, self._height = width, height
        self._clock = clock
        finder = LandmarkFinder(models.landmarks, scratch)
        self._tracker = Tracker(Detector(models.detector, scratch), finder, width, height)
        self._quality = FrameQuality(scratch)
        self._passive = PassiveNetwork(models.liveness, scratch)
        self._parallax = ParallaxMatcher(scratch)
        self._with_face = 0
        self._colour: Image = scratch("coarse-colour", (_ROWS, _COLUMNS, 3), np.uint8)
        self._greys: Image = scratch("coarse-grey", (2, _ROWS, _COLUMNS), np.uint8)
        self._difference: Image = scratch("coarse-difference", (_ROWS, _COLUMNS), np.uint8)
        self._frames = 0
        # Whole numbers of rows to a cell keep the averaging on OpenCV's quick path; what does not fit is left
        # out at the top and the bottom.
        rows = _ROWS * _ROWS_PER_CELL
        step = height // rows
        first = (height - rows * step) // 2
        self._rows = slice(first, first + rows * step, step) if step else slice(None)
        self.chips = BestChips(scratch) if keep_chips else None

    def observe(self, frame: Image, stamp: Stamp, seconds: float) -> Seen:
        """The numbers of the next frame; `seconds` counts from the first one."""
        self._clock.start()
        grey, change = self._coarse(frame)
        numbers = health.measure(grey, stamp.timestamp_ns)
        self._clock.lap("coarse")
        found = self._tracker.follow(frame)
        self._clock.lap("face")
        face, values, scores, parallax = None, None, None, None
        if found.mesh is not None:
            points = found.mesh.points
            left, right = aspect_ratios(points)
            face = Face(
                box=found.mesh.box,
                landmarks=points,
                presence=found.mesh.presence,
                pose=head_pose(points),
                left_eye=left,
                right_eye=right,
                inter_eye_px=inter_eye_distance(points),
            )
            self._clock.lap("pose")
            values = self._quality.measure(self._tracker.crop, face, self._width, self._height)
            self._clock.lap("quality")
            parallax = self._parallax.look(frame, face, seconds)
            self._clock.lap("parallax")
            if self._with_face % EVERY == 0:
                scores = self._passive.look(frame, face.box)
                self._clock.lap("passive")
            self._with_face += 1
            if self.chips is not None and found.faces == 1:
                self.chips.offer(frame, points, fitness(values))
                self._clock.lap("chips")
        observation = Observation(
            index=stamp.index,
            seconds=seconds,
            dropped=stamp.dropped,
            faces=found.faces,
            face=face,
            tracked=found.tracked,
            fingerprint=numbers.fingerprint,
            change=change,
            luma=numbers.luma,
            passive=scores,
            parallax=parallax,
        )
        return Seen(observation, values, numbers)

    def _coarse(self, frame: Image) -> tuple[NDArray[np.uint8], float]:
        grey, before = self._greys[self._frames % 2], self._greys[(self._frames + 1) % 2]
        size = (_COLUMNS, _ROWS)
        cv2.resize(frame[self._rows], size, dst=self._colour, interpolation=cv2.INTER_AREA)
        cv2.cvtColor(self._colour, cv2.COLOR_RGB2GRAY, dst=grey)
        self._frames += 1
        if self._frames == 1:
            return grey, 0.0
        cv2.absdiff(grey, before, dst=self._difference)
        return grey, float(cv2.mean(self._difference)[0])
