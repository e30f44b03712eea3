"""The vault's only view of time: the wall, a steady count, time since boot, and whether the wall is right.

A Pi has no battery clock, so a verdict states whether time was synchronised. Deadlines use the steady
count, which no correction of the wall moves. Tests pass their own clock.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_UNSYNCHRONISED = 5
_TIMEX_BYTES = 512
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


CLOCK_SKEW_S = 30
"""Two clocks may differ by this much."""


@dataclass(frozen=True, slots=True)
class Span:
    """Two moments, Unix seconds, between which the present surely lies; equal when the time is known."""

    earliest: float
    latest: float

    @classmethod
    def at(cls, moment: float) -> Span:
        """The time is known."""
        return cls(moment, moment)

    def precedes(self, issued: float) -> bool:
        """Whether what was issued then surely comes from the future."""
        return issued > self.latest + CLOCK_SKEW_S

    def is_past(self, expires: float) -> bool:
        """Whether what expires then has surely expired."""
        return expires <= self.earliest - CLOCK_SKEW_S


class Clock(Protocol):
    """What the vault asks of a clock."""

    def wall(self) -> float:
        """Unix time in seconds; may jump."""

    def steady(self) -> float:
        """Seconds from an arbitrary start; never jumps, never goes back."""

    def uptime(self) -> int:
        """Whole seconds since the machine booted."""

    def boot(self) -> str:
        """A text that is new after each boot."""

    def synchronised(self) -> bool:
        """Whether the kernel says that the wall is disciplined by a time source."""


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def wall(self) -> float:
        """See Clock."""
        return time.time()

    def steady(self) -> float:
        """See Clock."""
        return time.monotonic()

    def uptime(self) -> int:
        """See Clock."""
        return int(time.clock_gettime(time.CLOCK_BOOTTIME))

    def boot(self) -> str:
        """See Clock; empty where the kernel does not tell."""
        try:
            return _BOOT_ID.read_text().strip()
        except OSError:
            return ""

    def synchronised(self) -> bool:
        """See Clock: adjtimex(2) in its reading form; False when the kernel does not answer."""
        state = int(self._libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
        return 0 <= state < _UNSYNCHRONISED
