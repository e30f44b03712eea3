"""The Raspberry Pi camera through picamera2: an RGB stream for judging and a small luma stream for
detection.

picamera2 and libcamera come from apt and are imported only when the camera opens. Few buffers (contiguous
memory is scarce), every wait has a deadline, and each DMA buffer is overwritten before it goes back to the
camera. Uses Picamera2, create_video_configuration, capture_request(wait=False), Job.get_result and
MappedArray as in picamera2 0.3.12 and later (the Picamera2 manual, chapters 4 to 6).

A Pi's own cameras deliver RGB as asked. Other pipelines of libcamera give what they have: NV12 is
converted, any other format is refused.
"""

from __future__ import annotations

import errno
import importlib
from concurrent.futures import TimeoutError as JobTimeout
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.errors import CameraError, CameraMissing, CameraUnplugged
from vouchbox.messages import SourceKind

BUFFERS = 3
"""One being exposed, one being read, one to spare. More can exhaust the contiguous memory (CMA)."""

FRAME_DEADLINE_S = 2.0
"""A camera that delivers nothing for this long is taken as unplugged."""

RGB, NV12 = "BGR888", "NV12"
"""Formats of the main stream that are understood. picamera2 names formats by their little-endian word:
BGR888 is R, G, B in memory. NV12 is luma, then chroma of half the height, BT.601."""

LUMA_FIRST = ("YUV420", "NV12")
"""Formats of the small stream whose first rows are the luma."""

SMALL_SIZE = (320, 240)
"""Width and height of the luma stream, at most; it follows the aspect of the main stream."""

_NANO = 1_000_000_000


class Picamera2Source:
    """Frames of the camera number `camera` in libcamera's list. `small` is the luma of the same moment."""

    kind = SourceKind.SENSOR

    def __init__(
        self,
        camera: int = 0,
        *,
        width: int = 640,
        height: int = 480,
        frame_rate: float = 15,
        frame_deadline_s: float = FRAME_DEADLINE_S,
        require_locked: bool = False,
    ) -> None:
        self.name = f"picamera2:{camera}"
        self.small: NDArray[np.uint8] | None = None
        self._number = camera
        self._wanted = (width, height, frame_rate)
        self._deadline_s = frame_deadline_s
        self._require_locked = require_locked
        self._library: ModuleType | None = None
        self._camera: Any = None
        self._memory: LockedMemory | None = None
        self._format = RGB
        self._interval_ns = 0
        self._index = 0
        self._last_ns = 0

    def open(self) -> FrameFormat:
        """Import picamera2, configure both streams, start; raises CameraMissing with what to check."""
        self.close()
        self._library = import_picamera2()
        width, height, rate = self._wanted
        try:
            known = self._library.Picamera2.global_camera_info()
            if self._number >= len(known):
                raise CameraMissing(
                    f"libcamera knows {len(known)} cameras, not number {self._number}",
                    "check the ribbon cable and `rpicam-hello --list-cameras`",
                )
            self._camera = self._library.Picamera2(self._number)
            return self._start(width, height, rate)
        except CameraError:
            self.close()
            raise
        except (RuntimeError, OSError, IndexError, ValueError) as problem:
            self.close()
            raise refused(problem) from problem
        except BaseException:
            self.close()
            raise

    def capture(self, into: Image) -> Stamp | None:
        """The next frame; raises CameraUnplugged when none comes within the deadline."""
        if self._camera is None or self._library is None or self.small is None:
            raise CameraUnplugged("the camera is not open", "call open() first")
        job = self._camera.capture_request(wait=False)
        try:
            request = job.get_result(timeout=self._deadline_s)
        except (TimeoutError, JobTimeout):
            self._camera.cancel_all_and_flush()
            raise CameraUnplugged(
                "the camera delivers no more frames", "switch the box off and check the ribbon cable"
            ) from None
        try:
            timestamp_ns = int(request.get_metadata()["SensorTimestamp"])
            _move(self._library.MappedArray, request, self._format, into, self.small)
        finally:
            request.release()
        dropped = 0
        if self._index:
            dropped = max(0, round((timestamp_ns - self._last_ns) / self._interval_ns) - 1)
        self._last_ns = max(self._last_ns, timestamp_ns)
        stamp = Stamp(self._index, self._last_ns, dropped)
        self._index += 1
        return stamp

    def close(self) -> None:
        """Stop and release the camera, wipe the luma picture; safe to call twice."""
        camera, self._camera = self._camera, None
        self.small = None
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        if camera is not None:
            try:
                camera.stop()
            finally:
                camera.close()

    def _start(self, width: int, height: int, rate: float) -> FrameFormat:
        interval_us = round(1_000_000 / rate)
        configuration = self._camera.create_video_configuration(
            main={"size": (width, height), "format": RGB},
            lores={"size": _small(width, height), "format": "YUV420"},
            raw=None,
            buffer_count=BUFFERS,
            queue=True,
            display=None,
            encode=None,
            controls={"FrameDurationLimits": (interval_us, interval_us)},
        )
        self._camera.configure(configuration)
        chosen = self._camera.camera_configuration()
        self._format = chosen["main"]["format"]
        if self._format not in (RGB, NV12) or chosen["lores"]["format"] not in LUMA_FIRST:
            raise CameraMissing(
                f"the camera delivers {self._format} and no RGB",
                "use a Raspberry Pi camera, or webcam:N for one on USB",
            )
        width, height = chosen["main"]["size"]
        small_width, small_height = chosen["lores"]["size"]
        self._memory = LockedMemory(small_width * small_height, require_locked=self._require_locked)
        self.small = self._memory.view((small_height, small_width))
        self._interval_ns, self._index, self._last_ns = interval_us * 1000, 0, 0
        self._camera.start()
        return FrameFormat(width, height, _NANO / self._interval_ns)


def import_picamera2() -> ModuleType:
    """The picamera2 module; raises CameraMissing, which tells apart the three ways it can be absent."""
    try:
        return importlib.import_module("picamera2")
    except ImportError as problem:
        if problem.name == "libcamera" or "libcamera" in str(problem):
            raise CameraMissing(
                "picamera2 finds no libcamera",
                "run `sudo apt install python3-libcamera` and make the venv with --system-site-packages",
            ) from problem
        raise CameraMissing(
            "picamera2 is not installed",
            "run `sudo apt install --no-install-recommends python3-picamera2` and make the venv with "
            "--system-site-packages, or use a webcam or a clip",
        ) from problem
    except ValueError as problem:
        # "numpy.dtype size changed": apt's simplejpeg was built for another numpy than the venv has.
        raise CameraMissing(
            "picamera2 does not fit the numpy of this environment",
            "install the dependency set of this Python (numpy<2 on Bookworm)",
        ) from problem


def refused(problem: Exception) -> CameraMissing:
    """What libcamera's refusal to open or start usually means."""
    chain = _chain(problem)
    text = " ".join(str(link) for link in chain).lower()
    if any(isinstance(link, PermissionError) for link in chain) or ("dma" in text and "heap" in text):
        return CameraMissing(
            "this user may not use the camera's memory (/dev/dma_heap)",
            "add the user to the group video and check the udev rule 60-dma-heap.rules",
        )
    if "allocate memory" in text or any(getattr(link, "errno", None) == errno.ENOMEM for link in chain):
        return CameraMissing(
            "the contiguous memory for camera buffers is used up",
            "close other camera programs, use a smaller picture, or set dtoverlay=vc4-kms-v3d,cma-256 in "
            "/boot/firmware/config.txt",
        )
    if "busy" in text or "acquire" in text:
        return CameraMissing("another program uses the camera", "close it")
    return CameraMissing(
        "the camera does not open", "check the ribbon cable and `rpicam-hello --list-cameras`"
    )


def _chain(problem: BaseException) -> list[BaseException]:
    """A problem and what it came from: picamera2 says only that it could not open, and libcamera says why."""
    links: list[BaseException] = []
    link: BaseException | None = problem
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links


def _move(mapped_array: Any, request: Any, form: str, into: Image, small: NDArray[np.uint8]) -> None:
    """Copy both streams out of the DMA buffers, the main one as RGB, and overwrite these."""
    with mapped_array(request, "main", write=True) as mapped:
        height, width = into.shape[:2]
        wanted = into.shape if form == RGB else (height * 3 // 2, width)
        if mapped.array.shape != wanted:
            raise CameraUnplugged("the camera changed its picture size", "restart the box")
        if form == RGB:
            np.copyto(into, mapped.array)
        else:
            cv2.cvtColor(mapped.array, cv2.COLOR_YUV2RGB_NV12, dst=into)
        mapped.array[:] = 0
    with mapped_array(request, "lores", write=True) as mapped:
        height, width = small.shape
        np.copyto(small, mapped.array[:height, :width])
        mapped.array[:] = 0


def _small(width: int, height: int) -> tuple[int, int]:
    """The largest even size of the same aspect within SMALL_SIZE (YUV 4:2:0 needs even sides)."""
    scale = min(1.0, SMALL_SIZE[0] / width, SMALL_SIZE[1] / height)
    return int(width * scale) & ~1, int(height * scale) & ~1
