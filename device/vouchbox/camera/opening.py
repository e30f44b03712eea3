"""From the configuration's `source` to a FrameSource. Opens no device itself: that is the source's `open`."""

from __future__ import annotations

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.picamera2_source import Picamera2Source
from vouchbox.camera.source import FrameSource
from vouchbox.camera.webcam import WebcamSource
from vouchbox.config import Camera
from vouchbox.errors import UsageError

WEBCAM_NUMBER_LIMIT = 63
"""V4L2's device numbers that are worth trying."""

_CHOICES = "use picamera2, webcam:N or clip:FILE"


def open_source(camera: Camera, *, require_locked: bool = False) -> FrameSource:
    """The source that `camera.source` names, not opened yet; raises UsageError for a name that is none.

    `require_locked` makes the source refuse to open (MemoryLockError) where its buffers can't be locked.
    """
    scheme, _, rest = camera.source.partition(":")
    match scheme:
        case "picamera2":
            return Picamera2Source(
                _number(rest or "0", camera.source),
                width=camera.width,
                height=camera.height,
                frame_rate=camera.frame_rate,
                require_locked=require_locked,
            )
        case "webcam":
            return WebcamSource(
                _number(rest or "0", camera.source),
                width=camera.width,
                height=camera.height,
                frame_rate=camera.frame_rate,
                require_locked=require_locked,
            )
        case "clip" if rest:
            return ClipSource(
                rest, pace=camera.pace, max_rate=camera.frame_rate, require_locked=require_locked
            )
        case "clip":
            raise UsageError("the source clip: names no file", "write clip:FILE")
        case "simulated":
            raise UsageError(
                f"the source {camera.source} exists only in the simulator",
                "start it with `vouchbox simulate --subject NAME`",
            )
        case _:
            raise UsageError(f"there is no source {camera.source!r}", _CHOICES)


def _number(text: str, source: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= WEBCAM_NUMBER_LIMIT):
        raise UsageError(f"{source!r} names no camera", _CHOICES)
    return int(text)
