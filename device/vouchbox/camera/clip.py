"""A recorded clip as a source of frames: mp4, mov, mkv, webm, gif, mpg or avi, through OpenCV's ffmpeg.

Only a regular local file is opened, by descriptor, and ffmpeg may use no protocol but `file` and none but
the named container formats: a playlist or a concat script under the name of a video opens nothing else.
Nothing is written; the decoded picture lives in one locked buffer that `close` wipes. A clip can't know a
challenge, so what comes from here is always named SourceKind.CLIP.
"""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
from numpy.typing import NDArray

from vouchbox.camera.fitting import bounded, place
from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.errors import ClipError
from vouchbox.messages import SourceKind

CLIP_BYTES_LIMIT = 512 * 1024 * 1024
"""Size of a clip file, at most."""

CLIP_SECONDS_LIMIT = 600.0
"""Length of a clip, at most."""

CLIP_PIXELS_LIMIT = 4096 * 2304
"""Pixels of one frame, at most: a 4K phone clip."""

CLIP_SIDE_MINIMUM = 16
"""Pixels of a frame's shorter side, at least."""

LONGER_SIDE = 1280
"""Pixels of the longer side of a delivered frame, at most; larger clips are scaled down."""

CONTAINERS = ("mov", "matroska", "gif", "mpeg", "avi")
"""ffmpeg's names of the demuxers that may run; `mov` covers mp4, `matroska` covers webm, `mpeg` is mpg."""

CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg1video,mpeg2video,mjpeg,gif,h263"
)
"""ffmpeg's names of the decoders that may run: what phones, browsers, webcams and OpenCV write."""

_PLAUSIBLE_RATE = (1.0, 240.0)
_USUAL_RATE = 30.0
_THINNING = 1.25
_READ_TIMEOUT_MS = 5000
_SKIPS_LIMIT = 60
_NAME_CHARACTERS = 64
_SILENT = 0


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
        self._interval = 1.0 / _USUAL_RATE
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
        """The next frame; None at the end of the clip or after `max_seconds`."""
        if self._reader is None:
            raise self._broken("is not open", "call open() first")
        dropped = 0
        while True:
            seconds = self._next()
            if seconds is None:
                return None
            if seconds < self._due:
                continue
            if self._late(seconds) and dropped < _SKIPS_LIMIT:
                dropped += 1
                continue
            if not self._retrieve(into):
                dropped += 1
                continue
            break
        if self._period:
            self._due = max(self._due + self._period, seconds + self._period - self._interval)
        stamp = Stamp(self._delivered, (self._start_ns or 0) + round(seconds * 1e9), dropped)
        self._delivered += 1
        return stamp

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

    # --- opening ---
    def _open(self) -> FrameFormat:
        self.close()
        self._descriptor = self._open_file()
        self._reader = self._open_decoder(self._descriptor)
        rate = self._reader.get(cv2.CAP_PROP_FPS)
        low, high = _PLAUSIBLE_RATE
        rate = rate if low <= rate <= high else _USUAL_RATE
        self._check_length(self._reader.get(cv2.CAP_PROP_FRAME_COUNT) / rate)
        self._interval = 1.0 / rate
        self._offset, self._last, self._due, self._delivered = 0.0, -math.inf, -math.inf, 0
        self._start_ns = None
        width, height = self._first_picture(self._reader)
        if self._max_rate is not None and rate > self._max_rate * _THINNING:
            self._period = 1.0 / self._max_rate
            rate = self._max_rate
        width, height = bounded(width, height, self._longer_side)
        return FrameFormat(width, height, rate)

    def _open_file(self) -> int:
        try:
            # O_NONBLOCK: opening a named pipe must not wait for its writer.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError:
            raise self._broken("does not exist", "give the path of a video file") from None
        except (OSError, ValueError) as problem:
            detail = problem.strerror if isinstance(problem, OSError) else "bad path"
            raise self._broken(f"can't be read ({detail})", "give a readable video file") from None
        state = os.fstat(descriptor)
        refusal = None
        if not stat.S_ISREG(state.st_mode):
            refusal = "is not a regular file", "give a video file"
        elif state.st_size == 0:
            refusal = "is empty", "record it again"
        elif state.st_size > CLIP_BYTES_LIMIT:
            refusal = f"is larger than {CLIP_BYTES_LIMIT >> 20} MiB", "cut it to a few seconds"
        if refusal is not None:
            os.close(descriptor)
            raise self._broken(*refusal)
        return descriptor

    def _open_decoder(self, descriptor: int) -> cv2.VideoCapture:
        restrain_ffmpeg()
        reader = cv2.VideoCapture(
            f"/proc/self/fd/{descriptor}",
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_N_THREADS, 1),
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _READ_TIMEOUT_MS),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS),
                *(cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE),
            ],
        )
        if not reader.isOpened():
            reader.release()
            raise self._broken("is no video that can be played", "use mp4, mov, mkv, webm, gif or mpg")
        reader.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return reader

    def _first_picture(self, reader: cv2.VideoCapture) -> tuple[int, int]:
        declared = reader.get(cv2.CAP_PROP_FRAME_WIDTH) * reader.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if declared > CLIP_PIXELS_LIMIT:
            raise self._too_large()
        self._grabbed = bool(reader.grab())
        if not self._grabbed:
            raise self._broken("holds no frame", "record it again")
        decoded, picture = reader.retrieve()
        if not decoded or picture is None or min(picture.shape[:2]) < CLIP_SIDE_MINIMUM:
            raise self._broken("holds no usable picture", "record it again")
        if picture.shape[0] * picture.shape[1] > CLIP_PIXELS_LIMIT:
            raise self._too_large()
        self._memory = LockedMemory(picture.nbytes, require_locked=self._require_locked)
        self._picture = self._memory.view(picture.shape)
        height, width = picture.shape[:2]
        picture[:] = 0
        return width, height

    # --- running ---
    def _next(self) -> float | None:
        """Seconds of the next grabbed picture since the first one; None at the end."""
        reader = self._reader
        if reader is None:
            return None
        if self._grabbed:
            self._grabbed = False
        elif not reader.grab():
            if not self._loop or self._last <= 0.0:
                return None
            reader = self._rewind()
            if reader is None:
                return None
        seconds = self._offset + reader.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        if not self._last < seconds < self._last + CLIP_SECONDS_LIMIT:
            # No timestamp, or one that goes backwards: count on at the nominal rate.
            seconds = max(0.0, self._last + self._interval)
        self._last = seconds
        if seconds > self._max_seconds:
            return None
        if not self._loop:
            self._check_length(seconds)
        return seconds

    def _rewind(self) -> cv2.VideoCapture | None:
        if self._reader is None or self._descriptor is None:
            return None
        self._reader.release()
        self._reader = self._open_decoder(self._descriptor)
        self._offset = self._last + self._interval
        return self._reader if self._reader.grab() else None

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
        if picture.shape[0] * picture.shape[1] > CLIP_PIXELS_LIMIT:
            raise self._too_large()
        place(picture, into)
        return True

    def _check_length(self, seconds: float) -> None:
        if math.isfinite(seconds) and seconds > CLIP_SECONDS_LIMIT:
            raise self._broken(f"is longer than {CLIP_SECONDS_LIMIT:.0f} s", "cut it to a few seconds")

    def _too_large(self) -> ClipError:
        return self._broken(f"has frames of more than {CLIP_PIXELS_LIMIT} pixels", "scale it down")

    def _broken(self, what: str, fix: str) -> ClipError:
        return ClipError(f"the clip {self.name} {what}", fix)


def restrain_ffmpeg() -> None:
    """Tell OpenCV's ffmpeg, through the environment it reads: known kinds of local files only, silently."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
        f"protocol_whitelist;file|format_whitelist;{','.join(CONTAINERS)}|codec_whitelist;{CODECS}"
    )
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    silence_opencv()


def silence_opencv() -> None:
    """OpenCV may not write to standard error: what went wrong is said once, by an error of ours."""
    # OpenCV 4.11 has the call at the top, later ones in a submodule.
    owner = cv2 if hasattr(cv2, "setLogLevel") else getattr(cv2.utils, "logging", None)
    if owner is not None:
        owner.setLogLevel(_SILENT)
