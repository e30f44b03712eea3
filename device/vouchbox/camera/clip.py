"""A recorded clip as a source of frames: mp4, mov, mkv, webm, gif, mpg or avi, through OpenCV's ffmpeg.

What may be opened is decoder.py's business; here the frames are timed, thinned out, scaled and delivered.
Nothing is written; the decoded picture lives in one locked buffer that `close` wipes. A clip can't know a
challenge, so what comes from here is always named SourceKind.CLIP.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
from numpy.typing import NDArray

from vouchbox.camera.decoder import (
    CLIP_SIDE_MINIMUM,
    USUAL_RATE,
    broken,
    check_length,
    check_size,
    open_decoder,
    open_file,
    rate_of,
)
from vouchbox.camera.fitting import bounded, place
from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.messages import SourceKind

LONGER_SIDE = 1280
"""Pixels of the longer side of a delivered frame, at most; larger clips are scaled down."""

GAP_LIMIT_S = 2.0
"""A jump of the timestamps by more than this is taken as their defect, not as time."""

_THINNING = 1.25
_SKIPS_LIMIT = 60
_NAME_CHARACTERS = 64


class ClipSource:
    """Frames of the file `path`. `pace` "real" delivers them when they are due and drops those that come
    too late, as a camera would; "fast" delivers every one at once.

    `loop` starts again at the end, time going on. `max_seconds` ends the clip early. `max_rate` (frames per
    second) thins out a clip that is much faster. Every failure is a ClipError.
    """

    kind = SourceKind.CLIP

    def __init__(
        self,
        path: Path | str,
        *,
        pace: Literal["real", "fast"] = "real",
        loop: bool = False,
        max_seconds: float | None = None,
        max_rate: float | None = None,
        longer_side: int = LONGER_SIDE,
        require_locked: bool = False,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = Path(path)
        self.name = self._path.name[:_NAME_CHARACTERS] or "clip"
        self._pace = pace
        self._loop = loop
        self._max_seconds = math.inf if max_seconds is None else max_seconds
        self._max_rate = max_rate
        self._longer_side = longer_side
        self._require_locked = require_locked
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._descriptor: int | None = None
        self._reader: cv2.VideoCapture | None = None
        self._memory: LockedMemory | None = None
        self._picture: NDArray[Any] | None = None
        self._interval = 1.0 / USUAL_RATE
        self._period = 0.0
        self._grabbed = False
        self._offset = 0.0
        self._last = -math.inf
        self._due = -math.inf
        self._delivered = 0
        self._start_ns: int | None = None

    def open(self) -> FrameFormat:
        """Check the file, decode its first frame; raises ClipError."""
        try:
            return self._open()
        except BaseException:
            self.close()
            raise

    def capture(self, into: Image) -> Stamp | None:
        """The next frame; None at the end of the clip or after `max_seconds`. Raises ClipError."""
        if self._reader is None:
            raise broken("is not open", "call open() first")
        dropped = 0
        while (seconds := self._next()) is not None:
            if seconds < self._due - self._interval / 2:
                continue
            if dropped < _SKIPS_LIMIT and self._late(seconds):
                dropped += 1
                continue
            if self._retrieve(into):
                return self._stamp(seconds, dropped)
            dropped += 1
            if dropped > 2 * _SKIPS_LIMIT:
                raise broken("can't be decoded any further", "record it again")
        return None

    def close(self) -> None:
        """Release the decoder and wipe the picture; safe to call twice."""
        if self._reader is not None:
            self._reader.release()
            self._reader = None
        self._picture = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> FrameFormat:
        self.close()
        self._descriptor = open_file(self._path)
        self._reader = open_decoder(self._descriptor)
        rate = rate_of(self._reader)
        self._interval, self._period, self._offset = 1.0 / rate, 0.0, 0.0
        self._last, self._due, self._delivered, self._start_ns = -math.inf, -math.inf, 0, None
        width, height = self._first_picture(self._reader)
        if self._max_rate is not None and rate > self._max_rate * _THINNING:
            self._period = 1.0 / self._max_rate
            rate = self._max_rate
        return FrameFormat(*bounded(width, height, self._longer_side), rate)

    def _first_picture(self, reader: cv2.VideoCapture) -> tuple[int, int]:
        """Decode one picture, for its true width and height: the container may lie, or hold no frame."""
        self._grabbed = bool(reader.grab())
        if not self._grabbed:
            raise broken("holds no frame", "record it again")
        decoded, picture = reader.retrieve()
        if not decoded or picture is None or min(picture.shape[:2]) < CLIP_SIDE_MINIMUM:
            raise broken("holds no usable picture", "record it again")
        height, width = picture.shape[:2]
        check_size(width, height)
        self._memory = LockedMemory(picture.nbytes, require_locked=self._require_locked)
        self._picture = self._memory.view(picture.shape)
        picture[:] = 0
        return width, height

    def _next(self) -> float | None:
        """Seconds of the next grabbed picture since the first one; None at the end."""
        reader, fresh = self._reader, self._last < 0.0
        if reader is None:
            return None
        if self._grabbed:
            self._grabbed = False
        elif not reader.grab():
            reader, fresh = self._rewind(), True
            if reader is None:
                return None
        place_s = reader.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        expected = max(0.0, self._last + self._interval)
        seconds = self._offset + place_s
        if fresh or not abs(seconds - expected) < GAP_LIMIT_S:
            # The start, a jump that no camera makes, or no number at all: count on from here.
            self._offset = expected - place_s if math.isfinite(place_s) else 0.0
            seconds = expected
        elif seconds <= self._last:
            seconds = expected
        self._last = seconds
        if not self._loop:
            check_length(seconds)
        return seconds if seconds <= self._max_seconds else None

    def _rewind(self) -> cv2.VideoCapture | None:
        if not self._loop or self._reader is None or self._descriptor is None:
            return None
        self._reader.release()
        self._reader = None
        self._reader = open_decoder(self._descriptor)
        return self._reader if self._reader.grab() else None

    def _stamp(self, seconds: float, dropped: int) -> Stamp:
        if self._period:
            due = self._due if math.isfinite(self._due) else seconds
            self._due = max(due + self._period, seconds + self._period / 2)
        stamp = Stamp(self._delivered, (self._start_ns or 0) + round(seconds * 1e9), dropped)
        self._delivered += 1
        return stamp

    def _late(self, seconds: float) -> bool:
        """Wait until the frame at `seconds` is due; True when it is more than a frame too late."""
        if self._pace == "fast":
            return False
        now = self._clock_ns()
        if self._start_ns is None:
            self._start_ns = now - round(seconds * 1e9)
        ahead = (self._start_ns - now) / 1e9 + seconds
        if ahead > 0:
            self._sleep(ahead)
        return -ahead > max(self._interval, self._period)

    def _retrieve(self, into: Image) -> bool:
        if self._reader is None or self._picture is None:
            return False
        decoded, picture = self._reader.retrieve(self._picture)
        if not decoded or picture is None:
            return False
        check_size(picture.shape[1], picture.shape[0])
        place(picture, into)
        if picture.shape != self._picture.shape:
            picture[:] = 0  # the clip changed its size, so OpenCV made an array of its own
        return True
