"""Recognise a camera that can't be judged by: black, covered, frozen, too slow. Numbers in, a reason out.

`look` reduces a frame to five numbers on a coarse grid; CameraWatch follows them over time. It accuses only
after a whole second (two for slowness) without one good frame, so that a dark but usable room, a blink of
the light or a clip with doubled frames passes. It never looks at a face and decides nothing about a person.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import (
    CameraBlack,
    CameraCovered,
    CameraError,
    CameraFrozen,
    CameraMissing,
    CameraTooSlow,
    CameraUnplugged,
    ClipError,
)
from vouchbox.reasons import Reason

GRID = (64, 48)
"""Width and height of the coarse picture that is fingerprinted."""

_DETAIL_GRID = (32, 24)
"""Detail is measured on cells this coarse, for averaging over them removes a dark sensor's noise."""

BLACK_LUMA = 16.0
"""Mean luma (0..255) up to which a picture can be black: the black level of video range, and some noise."""

BLACK_DETAIL = 4.0
"""A dark picture with more detail than this (luma steps between cells) shows a dark room, not a lens cap."""

COVERED_CONTRAST = 0.1
"""A lighter picture whose detail is less than this share of its luma shows what lies on the lens: light, but
no edge. The ratio does not change with the light; rooms with a person have 0.4 and more."""

TROUBLE_SECONDS = 1.0
"""A camera is called black, covered or frozen after this long without one good frame."""

TROUBLE_FRAMES = 5
"""... and at least this many frames, so that a slow start is not called anything."""

SLOW_RATE = 5.0
"""Frames per second below which movement can't be judged (the lowest rate the configuration allows)."""

SLOW_SECONDS = 2.0
"""The rate is taken over this long."""

SLOW_TOLERANCE = 0.9
"""Share of SLOW_RATE that still counts as it: clocks and timers jitter."""

_DETAIL_PERCENTILE = 98


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """One frame in numbers: its time, mean and standard deviation of its luma (0..255), the steepest luma
    steps between neighbouring grid cells (98th percentile), a hash that only equal coarse pictures share."""

    timestamp_ns: int
    luma: float
    spread: float
    detail: float
    fingerprint: int


def look(frame: Image, timestamp_ns: int) -> FrameNumbers:
    """The numbers of `frame` (h x w x 3, RGB); the coarse picture is forgotten at once."""
    coarse = cv2.resize(frame, GRID, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(coarse, cv2.COLOR_RGB2GRAY), np.uint8)
    numbers = measure(grey, timestamp_ns)
    coarse[:] = 0
    grey[:] = 0
    return numbers


def measure(grey: NDArray[Any], timestamp_ns: int) -> FrameNumbers:
    """The numbers of a coarse grey picture (GRID) that the caller made, and will wipe."""
    cells = cv2.resize(grey, _DETAIL_GRID, interpolation=cv2.INTER_AREA)
    across, down = cv2.absdiff(cells[:-1, 1:], cells[:-1, :-1]), cv2.absdiff(cells[1:, :-1], cells[:-1, :-1])
    steps = cv2.add(across, down).ravel()
    below = np.bincount(steps, minlength=256).cumsum()
    mean, spread = cv2.meanStdDev(grey)
    return FrameNumbers(
        timestamp_ns=timestamp_ns,
        luma=float(mean[0, 0]),
        spread=float(spread[0, 0]),
        detail=float(np.searchsorted(below, steps.size * _DETAIL_PERCENTILE / 100)),
        fingerprint=zlib.crc32(np.ascontiguousarray(grey).data),
    )


class CameraWatch:
    """Follows one camera through one session. Feed it every frame; it never forgets to doubt."""

    def __init__(self) -> None:
        self._trouble: Reason | None = None
        self._since_ns = 0
        self._frames = 0
        self._previous: FrameNumbers | None = None
        self._times: deque[int] = deque()

    def see(self, numbers: FrameNumbers) -> Reason | None:
        """What is wrong with the camera as of this frame, or None."""
        slow = self._slow(numbers.timestamp_ns)
        trouble = self._judge(numbers)
        if trouble is not self._trouble or trouble is None:
            began = (
                numbers if self._previous is None or trouble is not Reason.CAMERA_FROZEN else self._previous
            )
            self._trouble, self._since_ns, self._frames = trouble, began.timestamp_ns, 0
        self._frames += 1
        self._previous = numbers
        lasting = (numbers.timestamp_ns - self._since_ns) / 1e9
        if trouble is not None and lasting >= TROUBLE_SECONDS and self._frames >= TROUBLE_FRAMES:
            return trouble
        return Reason.CAMERA_TOO_SLOW if slow else None

    def check(self, numbers: FrameNumbers) -> None:
        """Like `see`, but raises the CameraError that fits."""
        reason = self.see(numbers)
        if reason is not None:
            raise error_for(reason)

    def _judge(self, numbers: FrameNumbers) -> Reason | None:
        if numbers.luma <= BLACK_LUMA and numbers.detail <= BLACK_DETAIL:
            return Reason.CAMERA_BLACK
        if numbers.luma > BLACK_LUMA and numbers.detail <= max(BLACK_DETAIL, COVERED_CONTRAST * numbers.luma):
            return Reason.CAMERA_COVERED
        if self._previous is not None and numbers.fingerprint == self._previous.fingerprint:
            return Reason.CAMERA_FROZEN
        return None

    def _slow(self, timestamp_ns: int) -> bool:
        times = self._times
        times.append(timestamp_ns)
        while len(times) > 2 and timestamp_ns - times[1] >= SLOW_SECONDS * 1e9:
            times.popleft()
        span = (timestamp_ns - times[0]) / 1e9
        return span >= SLOW_SECONDS and (len(times) - 1) / span < SLOW_RATE * SLOW_TOLERANCE


def error_for(reason: Reason) -> CameraError:
    """The error that names `reason`, one of the camera reasons of this module."""
    match reason:
        case Reason.CAMERA_BLACK:
            return CameraBlack("the camera sees only black", "take off the lens cap and switch on the light")
        case Reason.CAMERA_COVERED:
            return CameraCovered("something covers the lens", "uncover and clean it")
        case Reason.CAMERA_FROZEN:
            return CameraFrozen("the camera repeats one frame", "unplug it and plug it in again")
        case Reason.CAMERA_TOO_SLOW:
            return CameraTooSlow(
                f"the camera delivers less than {SLOW_RATE:.0f} frames per second",
                "give it more light, a smaller picture, or a faster port",
            )
        case _:
            raise ValueError(f"{reason} is no state of a camera that runs")


def reason_for(problem: CameraError) -> Reason:
    """The reason that a verdict carries for `problem`."""
    kinds: tuple[tuple[type[CameraError], Reason], ...] = (
        (ClipError, Reason.CLIP_UNREADABLE),
        (CameraUnplugged, Reason.CAMERA_UNPLUGGED),
        (CameraBlack, Reason.CAMERA_BLACK),
        (CameraCovered, Reason.CAMERA_COVERED),
        (CameraFrozen, Reason.CAMERA_FROZEN),
        (CameraTooSlow, Reason.CAMERA_TOO_SLOW),
        (CameraMissing, Reason.CAMERA_MISSING),
    )
    return next((reason for kind, reason in kinds if isinstance(problem, kind)), Reason.CAMERA_MISSING)
