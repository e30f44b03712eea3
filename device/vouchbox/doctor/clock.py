"""Is the clock disciplined by a time source, and not behind what this box already knows to be past?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import vouchbox
from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, fault, ok, warning
from vouchbox.doctor.machine import Machine
from vouchbox.errors import OutboxError
from vouchbox.vault import audit
from vouchbox.vault.clock import CLOCK_SKEW_S, SystemClock
from vouchbox.vault.store import FILE, Store

NTP = "reach a time server: `timedatectl set-ntp true`, then `timedatectl timesync-status`"


def judge(now: float, synchronised: bool, past: Mapping[str, float]) -> Iterator[Finding]:
    """`past` names moments (Unix seconds) that surely lie behind us."""
    behind = {what: moment for what, moment in past.items() if moment > now + CLOCK_SKEW_S}
    if behind:
        what, moment = max(behind.items(), key=lambda item: item[1])
        yield fault(
            "clock",
            f"the clock says {_date(now)}, which is before {what} ({_date(moment)})",
            f"set it, then {NTP}; if that moment is wrong itself, the clock once ran ahead",
        )
    elif not synchronised:
        yield warning(
            "clock",
            f"the clock ({_date(now)}) is not synchronised, so verdicts say that their time is not known",
            NTP,
        )
    else:
        yield ok("clock", f"the clock is synchronised: {_date(now)}")


def check(config: Config, machine: Machine) -> Iterator[Finding]:
    """The clock of this machine against what the box remembers."""
    clock = SystemClock()
    return judge(clock.wall(), clock.synchronised(), known_past(config, machine))


def known_past(config: Config, machine: Machine) -> dict[str, float]:
    """When the program was installed, when the clock last stood right, what the audit log wrote last."""
    marks = {f"the time kept in {mark}": mark for mark in machine.clock_marks}
    marks["this program was installed"] = Path(vouchbox.__file__)
    found = {}
    for what, mark in marks.items():
        try:
            found[what] = mark.stat().st_mtime
        except OSError:
            continue
    try:
        if (config.box.state / FILE).exists():
            found["the last entry of the audit log"] = _last_entry(config.box.state)
    except (OSError, OutboxError):
        pass  # disk.py says what is wrong with that folder
    return found


def _last_entry(state: Path) -> float:
    store = Store(state, read_only=True)
    try:
        return float(max((entry.time for entry in audit.read(store, limit=50)), default=0))
    finally:
        store.close()


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
