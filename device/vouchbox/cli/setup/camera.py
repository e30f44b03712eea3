"""The step `camera`: opens the configured source and sees frames move; a frame is never stored.

A process of its own, as the user of the vision room, sees the frames (doctor/trial.py); numbers come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from vouchbox.cli.setup import child
from vouchbox.config import Camera, Config
from vouchbox.doctor import trying
from vouchbox.doctor.machine import Account
from vouchbox.errors import CameraError, UsageError

LONGEST_S = 60.0
"""A driver that has not answered after this long is stuck."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the camera delivered: pixels, frames in all, and how many a second of its own time."""

    width: int
    height: int
    frames: int
    rate: float


def try_source(config: Config, longest_s: float = LONGEST_S) -> Seen:
    """Watch the camera of `config` for a moment, as the vision room's user; raises CameraError."""
    user = child.vision_user(config)
    account = None if user is None else Account(user.name, user.uid, user.gid, frozenset(user.groups))
    request = {
        "camera": msgspec.to_builtins(config.camera),
        "locked": config.vision.require_locked_memory,
    }
    try:
        facts = trying.attempt("camera", request, longest_s, account)
    except (trying.TrialFailed, trying.TrialImpossible) as problem:
        raise CameraError(problem.what, problem.fix) from None
    return msgspec.convert(facts, Seen)


def require_source(source: str) -> None:
    """Raises UsageError for the name of a source that there is not; opens nothing."""
    from vouchbox.camera.opening import open_source
    from vouchbox.simulator.subject import spec

    if source.startswith("simulated:"):
        spec.parse(source.removeprefix("simulated:"))
    elif not source:
        raise UsageError("the camera has no name", "use picamera2, webcam:N or clip:FILE")
    else:
        open_source(Camera(source))
