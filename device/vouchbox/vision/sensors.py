"""Temperature and throttling of the machine, as the kernel shows them in /sys.

It reads a handful of small files and writes none. What is not there, not readable or not plausible is
unknown; it may never turn into "no". The firmware's own door, /dev/vcio, stays shut: vision is denied it.

Sources: Documentation/driver-api/thermal/sysfs-api.rst (millidegrees Celsius); drivers/firmware/raspberrypi.c
and drivers/hwmon/raspberrypi-hwmon.c of Raspberry Pi's kernel. `get_throttled` is the firmware's word in hex
as the hwmon driver polled it within the last 2 s: bits 0 to 3 are the present, bit 16 is what happened since
the poll before. Where it is missing, as reported of the Pi 5, `in0_lcrit_alarm` still tells of power.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vouchbox.machine import Sign

PLAUSIBLE_C = (-40.0, 150.0)
"""Temperatures outside are a sensor that is not wired."""

FILE_LIMIT = 64
"""Bytes of a file that are read; a number has no more."""

_ZONES = "class/thermal/thermal_zone*/temp"
_FIRMWARE = "devices/platform/soc*/soc*:firmware/get_throttled"
_HWMON = "class/hwmon/hwmon*/name"
_UNDER_VOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_LARGEST_WORD = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Reading:
    """One look: the hottest zone in degrees Celsius (None: unknown), and the firmware's four signs."""

    temperature_c: float | None = None
    under_voltage: Sign = Sign.UNKNOWN
    frequency_capped: Sign = Sign.UNKNOWN
    throttled: Sign = Sign.UNKNOWN
    soft_limit: Sign = Sign.UNKNOWN

    @property
    def signs(self) -> tuple[Sign, ...]:
        """The four signs."""
        return (self.under_voltage, self.frequency_capped, self.throttled, self.soft_limit)


class Sensors:
    """The files under `root`, which is /sys, or a folder of the same shape that simulates it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> Reading:
        """What they say now; never raises."""
        word, alarm = self._word(), self._alarm()
        under_voltage = Sign.UNKNOWN
        if word is not None or alarm is not None:
            low = bool(alarm) or bool((word or 0) & _UNDER_VOLTAGE)
            under_voltage = Sign.YES if low else Sign.NO
        return Reading(
            temperature_c=self._temperature(),
            under_voltage=under_voltage,
            frequency_capped=_sign(word, _CAPPED),
            throttled=_sign(word, _THROTTLED),
            soft_limit=_sign(word, _SOFT_LIMIT),
        )

    def _temperature(self) -> float | None:
        found = [_number(path) for path in self._find(_ZONES)]
        degrees = [millidegrees / 1000.0 for millidegrees in found if millidegrees is not None]
        lowest, highest = PLAUSIBLE_C
        return max((value for value in degrees if lowest <= value <= highest), default=None)

    def _word(self) -> int | None:
        words = (_number(path, 16) for path in self._find(_FIRMWARE))
        return next((word for word in words if word is not None and 0 <= word <= _LARGEST_WORD), None)

    def _alarm(self) -> int | None:
        for path in self._find(_HWMON):
            if _text(path) == "rpi_volt":
                return _number(path.with_name("in0_lcrit_alarm"))
        return None

    def _find(self, pattern: str) -> list[Path]:
        # Looked for each time: a driver may be loaded long after this process started.
        try:
            return sorted(self._root.glob(pattern))
        except OSError:
            return []


def _sign(word: int | None, bit: int) -> Sign:
    if word is None:
        return Sign.UNKNOWN
    return Sign.YES if word & bit else Sign.NO


def _number(path: Path, base: int = 10) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(FILE_LIMIT).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
