"""Which of the camera's frames are looked at when the machine is to be spared, and how few are too few.

Pure: times in, a decision out. It leaves frames out evenly and looks at none. It may never choose a rate at
which the liveness tests could not do their work, and a session that came below it all the same is no session.
"""

from __future__ import annotations

from vouchbox.machine import Pace
from vouchbox.messages import Level
from vouchbox.vision import continuity

SHARES = {Pace.FULL: 1.0, Pace.EASED: 0.75, Pace.LEAST: 0.5}
"""The share of the camera's frames at each pace."""

KEPT = {Level.ACTIVE: 10.0, Level.PASSIVE: 8.0}
"""Frames per second that are looked at whatever the heat."""

NEEDED = {Level.ACTIVE: 7.0, Level.PASSIVE: 4.5}
"""Frames per second below which a session is not judged at all."""

_SLACK = 0.25
"""Share of the camera's interval by which a frame may come before it is due: cameras jitter."""


def kept(level: Level, seconds: float) -> float:
    """Frames per second that a session of `seconds` must keep: those of its level, and enough for the number
    of frames with a face that continuity wants."""
    return max(KEPT[level], continuity.FRAMES / continuity.SEEN_SHARE / seconds)


def too_few(level: Level, frames: int, seconds: float) -> bool:
    """Whether `frames` that were looked at within `seconds` (first to last) are below what is needed."""
    return frames > 1 and seconds > 0.0 and (frames - 1) / seconds < NEEDED[level]


class Thinning:
    """For one session. `frame_rate` is the camera's, `least` what must be kept (frames per second)."""

    def __init__(self, frame_rate: float, least: float) -> None:
        self._rate = max(frame_rate, 1.0)
        self._least = least
        self._due_ns: float | None = None

    def rate(self, pace: Pace) -> float:
        """Frames per second that are looked at."""
        return min(self._rate, max(self._least, SHARES[pace] * self._rate))

    def due(self, timestamp_ns: int, pace: Pace) -> bool:
        """Whether the frame of that time is to be looked at."""
        rate = self.rate(pace)
        if rate >= self._rate:
            self._due_ns = None
            return True
        period_ns = 1e9 / rate
        due_ns = timestamp_ns if self._due_ns is None else self._due_ns
        if timestamp_ns + _SLACK * 1e9 / self._rate < due_ns:
            return False
        self._due_ns = max(due_ns + period_ns, timestamp_ns + period_ns / 2)
        return True
