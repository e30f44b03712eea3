"""A USB webcam: V4L2 through OpenCV, read by its own thread, so that a stuck driver never hangs a session.

The thread keeps only the newest frame, in one of two locked buffers; a frame that nobody fetched in time is
overwritten and counted as dropped. Nothing is written anywhere else. When the driver hangs for good, the
thread is left behind with its own handle and wipes its buffers when it wakes.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
from numpy.typing import NDArray

from vouchbox.camera.decoder import silence_opencv
from vouchbox.camera.fitting import place
from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.errors import CameraMissing, CameraUnplugged
from vouchbox.messages import SourceKind

FRAME_DEADLINE_S = 2.0
"""A camera that delivers nothing for this long is taken as unplugged."""

OPEN_DEADLINE_S = 8.0
"""Time for the first frame: some webcams need seconds to start."""

DRIVER_BUFFERS = 2
"""Frames the driver may queue; more would only make frames older."""

FRAME_BYTES_LIMIT = 1920 * 1080 * 3
"""Bytes of one decoded frame, at most."""

_UNCOMPRESSED_PIXELS = 640 * 480
_JOIN_S = 0.5
_CLOCK_SLACK_NS = 2_000_000_000
_FAILURES_LIMIT = 30
_FAILURE_PAUSE_S = 0.02


class Reader(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def grab(self) -> bool: ...
    def retrieve(self, image: Any = ...) -> tuple[bool, Any]: ...
    def get(self, prop: int) -> float: ...
    def release(self) -> None: ...


class WebcamSource:
    """Frames of /dev/video`number`. `connect` opens the device; it is a parameter so that tests can bring a
    camera that hangs, lies or vanishes."""

    kind = SourceKind.WEBCAM

    def __init__(
        self,
        number: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        frame_rate: float = 15,
        frame_deadline_s: float = FRAME_DEADLINE_S,
        open_deadline_s: float = OPEN_DEADLINE_S,
        require_locked: bool = False,
        connect: Callable[[int, int, int, float], Reader] | None = None,
    ) -> None:
        self.name = f"webcam:{number}"
        self._number = number
        self._wanted = (width, height, frame_rate)
        self._frame_deadline_s = frame_deadline_s
        self._open_deadline_s = open_deadline_s
        self._require_locked = require_locked
        self._connect = connect or open_v4l2
        self._capture: _Capture | None = None
        self._index = 0
        self._last_ns = 0

    def open(self) -> FrameFormat:
        """Open the device and wait for its first frame; raises CameraMissing."""
        self.close()
        width, height, rate = self._wanted
        memories = (self._memory(), self._memory())
        reader = self._connect(self._number, width, height, rate)
        self._index, self._last_ns = 0, 0
        self._capture = _Capture(reader, memories)
        shape = self._capture.wait_for_shape(self._open_deadline_s)
        if shape is None:
            self.close()
            raise CameraMissing(
                f"/dev/video{self._number} opened but delivers no frame",
                "plug it into another port, or close the program that uses it",
            )
        reported = reader.get(cv2.CAP_PROP_FPS)
        plausible = math.isfinite(reported) and 1.0 <= reported <= 240.0
        return FrameFormat(shape[1], shape[0], float(reported if plausible else rate))

    def capture(self, into: Image) -> Stamp | None:
        """The newest frame that was not fetched yet; raises CameraUnplugged when none comes in time."""
        if self._capture is None:
            raise CameraUnplugged("the webcam is not open", "call open() first")
        fetched = self._capture.fetch(into, self._frame_deadline_s)
        if fetched is None:
            raise CameraUnplugged(
                f"/dev/video{self._number} delivers no more frames", "check its cable and plug it in again"
            )
        timestamp_ns, dropped = fetched
        self._last_ns = max(self._last_ns, timestamp_ns)
        stamp = Stamp(self._index, self._last_ns, dropped)
        self._index += 1
        return stamp

    def close(self) -> None:
        """Stop the thread, release the device, wipe both buffers; safe to call twice."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None

    def _memory(self) -> LockedMemory:
        return LockedMemory(FRAME_BYTES_LIMIT, require_locked=self._require_locked)


class _Capture:
    """The thread and what it shares: the newest frame, when it was taken, how many were overwritten."""

    def __init__(self, reader: Reader, memories: tuple[LockedMemory, LockedMemory]) -> None:
        self._reader = reader
        self._condition = threading.Condition()
        self._memories = memories
        self._newest: NDArray[Any] | None = None
        self._back = 0
        self._shape: tuple[int, ...] | None = None
        self._timestamp_ns = 0
        self._overwritten = 0
        self._stopping = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="webcam", daemon=True)
        self._thread.start()

    def wait_for_shape(self, timeout_s: float) -> tuple[int, ...] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._shape is not None or self._ended, timeout_s)
            return self._shape

    def fetch(self, into: Image, timeout_s: float) -> tuple[int, int] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._newest is not None or self._ended, timeout_s)
            if self._newest is None:
                return None
            place(self._newest, into)
            dropped, self._overwritten, self._newest = self._overwritten, 0, None
            return self._timestamp_ns, dropped

    def stop(self) -> None:
        with self._condition:
            self._stopping.set()
            self._newest = None
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            for memory in self._memories:
                memory.close()

    def _run(self) -> None:
        try:
            failures = 0
            while not self._stopping.is_set() and failures < _FAILURES_LIMIT:
                if self._reader.grab() and self._take():
                    failures = 0
                else:
                    failures += 1
                    time.sleep(_FAILURE_PAUSE_S)
        except cv2.error:
            pass  # a driver that fails is a camera that delivers no more; fetch() says so
        finally:
            self._reader.release()
            with self._condition:
                self._ended = True
                self._newest = None
                for memory in self._memories:
                    memory.close()
                self._condition.notify_all()

    def _take(self) -> bool:
        timestamp_ns = sensor_time(self._reader.get(cv2.CAP_PROP_POS_MSEC), time.monotonic_ns())
        with self._condition:
            if self._stopping.is_set():
                return False
            memory = self._memories[self._back]
        shape = self._shape
        into = memory.view(shape) if shape is not None else None
        decoded, picture = self._reader.retrieve(into) if into is not None else self._reader.retrieve()
        if not decoded or picture is None or not 0 < picture.nbytes <= FRAME_BYTES_LIMIT:
            return False
        with self._condition:
            if self._stopping.is_set():
                return False
            if into is None or picture.ctypes.data != memory.address:
                # The first frame, or a size that changed: OpenCV made an array of its own.
                kept = memory.view(picture.shape)
                kept[:] = picture
                picture[:] = 0
                picture = kept
            self._shape = picture.shape
            self._overwritten += self._newest is not None
            self._newest, self._timestamp_ns = picture, timestamp_ns
            self._back = 1 - self._back
            self._condition.notify_all()
        return True


def sensor_time(driver_ms: float, now_ns: int) -> int:
    """The driver's own time of the frame where it is on our clock (V4L2 stamps CLOCK_MONOTONIC), else now."""
    if math.isfinite(driver_ms):
        stamp_ns = round(driver_ms * 1e6)
        if 0 <= now_ns - stamp_ns <= _CLOCK_SLACK_NS:
            return stamp_ns
    return now_ns


def open_v4l2(number: int, width: int, height: int, frame_rate: float) -> Reader:
    """Open /dev/video`number` with few buffers; raises CameraMissing with what to check."""
    device = Path(f"/dev/video{number}")
    if not device.exists():
        raise CameraMissing(
            f"there is no camera at {device}", "plug it in and look at `ls /dev/video*` for its number"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraMissing(f"this user may not open {device}", "add the user to the group video")
    silence_opencv()
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(math.ceil(FRAME_DEADLINE_S)))
    reader = cv2.VideoCapture(number, cv2.CAP_V4L2)
    if not reader.isOpened():
        reader.release()
        raise CameraMissing(
            f"{device} does not open as a camera", "close the program that uses it, or try the next number"
        )
    # Small pictures uncompressed: no JPEG artefacts, nothing to decode. Larger ones exceed USB 2.
    code = b"YUYV" if width * height <= _UNCOMPRESSED_PIXELS else b"MJPG"
    reader.set(cv2.CAP_PROP_FOURCC, int.from_bytes(code, "little"))
    reader.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    reader.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    reader.set(cv2.CAP_PROP_FPS, frame_rate)
    reader.set(cv2.CAP_PROP_BUFFERSIZE, DRIVER_BUFFERS)
    return reader
