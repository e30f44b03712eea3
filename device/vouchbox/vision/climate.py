"""The machine's heat and power while the room works: read now and then, told to the vault, turned to a pace.

The edge around pace.py: it owns the clock and the sensors. It tells seldom, for what vision may send between
two sessions is bounded, and it may never hold up a frame: a reading costs a few small files of /sys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from vouchbox.machine import Pace
from vouchbox.messages import MachineState
from vouchbox.vision import pace
from vouchbox.vision.sensors import Reading, Sensors

READ_S = 2.0
"""The firmware's own word is no fresher than this."""

TELL_S = 300.0
"""While nothing else happens the vault is told no more often: the wall's budget lasts for days of changes."""

TELL_DEGREES = 5
"""A temperature that differs by less from the one told is no news."""

log = logging.getLogger("vouchbox.vision")


class Climate:
    """One machine. Never raises."""

    def __init__(self, sensors: Sensors, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sensors = sensors
        self._monotonic = monotonic
        self._state = pace.State()
        self._reading = Reading()
        self._read_s = float("-inf")
        self._told: MachineState | None = None
        self._told_s = float("-inf")
        self._look()

    def pace(self) -> Pace:
        """What holds now; the sensors are read when the last reading is old."""
        self._look()
        return self._state.pace

    def now(self) -> MachineState:
        """What to tell a vault that knows nothing yet."""
        self._look()
        self._told, self._told_s = pace.told(self._state, self._reading), self._monotonic()
        return self._told

    def news(self, *, at_once: bool = False) -> MachineState | None:
        """What to tell the vault unasked; None as long as nothing changed, or too soon unless `at_once`."""
        self._look()
        if self._told is not None:
            soon = self._monotonic() - self._told_s < TELL_S
            if (soon and not at_once) or not _differ(self._told, pace.told(self._state, self._reading)):
                return None
        return self.now()

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._read_s < READ_S:
            return
        before, self._read_s = self._state, now
        self._reading = self._sensors.read()
        self._state = pace.advance(before, self._reading, now)
        if self._state.step > before.step:
            log.warning(
                "the machine is too hot or short of power: fewer frames are looked at (%s)", self._state.pace
            )
        elif self._state.step < before.step:
            log.info("the machine has recovered: more frames are looked at (%s)", self._state.pace)


def _differ(one: MachineState, other: MachineState) -> bool:
    if _words(one) != _words(other):
        return True
    if one.temperature_c is None or other.temperature_c is None:
        return one.temperature_c is not other.temperature_c
    return abs(one.temperature_c - other.temperature_c) >= TELL_DEGREES


def _words(said: MachineState) -> MachineState:
    return msgspec.structs.replace(said, temperature_c=None)
