"""What the vault knows of the box's own state: vision, machine, disk, clock. It judges nothing and nobody.

It says in the log when the clock is not set at the start, and when it is at last.
"""

from __future__ import annotations

import logging

import msgspec

from vouchbox.messages import MachineState, VisionReady
from vouchbox.vault.clock import Clock
from vouchbox.vault.status import Health

log = logging.getLogger("vouchbox.vault")


class Vitals:
    """For one vault. `storing`: whether the disk took the last write; `machine`: what vision said of it last,
    None as long as nobody said anything."""

    def __init__(self, clock: Clock) -> None:
        self.storing = True
        self.machine: MachineState | None = None
        self._vision: VisionReady | None = None
        self._clock = clock
        self._synchronised = True

    def vision_joined(self, ready: VisionReady) -> None:
        """The vision room is there."""
        self._vision, self.machine = msgspec.structs.replace(ready, machine=None), ready.machine

    def vision_left(self) -> None:
        """The vision room is gone, and with it the only one who reads the machine's sensors."""
        self._vision = self.machine = None

    def health(self) -> Health:
        """How it stands now, by the kernel's word on the clock; without the temperature, for every change of
        health is worth a status."""
        self._ask_for_clock()
        machine = self.machine and msgspec.structs.replace(self.machine, temperature_c=None)
        return Health(self._vision, self._synchronised, self.storing, machine)

    def _ask_for_clock(self) -> None:
        before, self._synchronised = self._synchronised, self._clock.synchronised()
        if before and not self._synchronised:
            log.warning(
                "the clock is not synchronised, and verdicts say so: give the box a time server (NTP) or a "
                "battery clock."
            )
        elif self._synchronised and not before:
            log.info("the clock is synchronised now")
