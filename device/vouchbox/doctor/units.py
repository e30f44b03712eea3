"""The rooms' units as systemd sees them: there, running, and kept out of swap?"""

from __future__ import annotations

import grp
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vouchbox.doctor.finding import Finding, fault, not_checked, ok, warning
from vouchbox.doctor.machine import Machine
from vouchbox.doctor.walls import ROOMS

SECONDS = 20
MANY_RESTARTS = 2
"""A room that starts once more after so many ends does not just start."""

_ASKED = (
    "LoadState",
    "ActiveState",
    "SubState",
    "ConditionResult",
    "NeedDaemonReload",
    "MainPID",
    "ControlGroup",
    "User",
    "SupplementaryGroups",
    "NRestarts",
)
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Unit:
    """What `systemctl show` says about one room; empty where there is no systemd."""

    said: Mapping[str, str]

    @property
    def installed(self) -> bool:
        """Whether systemd knows the unit."""
        return self.said.get("LoadState") == "loaded"

    @property
    def stale(self) -> bool:
        """Whether the files were changed since systemd read them."""
        return self.said.get("NeedDaemonReload") == "yes"

    @property
    def main_pid(self) -> int:
        """The room's process, 0 where none runs."""
        return int(self.said.get("MainPID") or 0)

    @property
    def groups(self) -> frozenset[int]:
        """Groups that the unit adds to the room's user."""
        found = set()
        for name in self.said.get("SupplementaryGroups", "").split():
            try:
                found.add(int(name) if name.isdigit() else grp.getgrnam(name).gr_gid)
            except KeyError:
                continue
        return frozenset(found)

    @property
    def barred_from_swap(self) -> bool:
        """Whether the kernel lets nothing of it be swapped out (memory.swap.max of cgroup v2)."""
        place = _CGROUP / self.said.get("ControlGroup", "").lstrip("/") / "memory.swap.max"
        try:
            return place.read_text().strip() == "0"
        except OSError:
            return False


def systemctl(*arguments: str) -> str:
    """What systemctl prints; empty where it does not answer."""
    try:
        return subprocess.run(
            ["systemctl", "--no-pager", *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def read(machine: Machine) -> dict[str, Unit]:
    """Every room's unit."""
    if not machine.booted:
        return {room: Unit({}) for room in ROOMS}
    found = {}
    for room in ROOMS:
        text = systemctl("show", f"--property={','.join(_ASKED)}", f"vouchbox-{room}.service")
        found[room] = Unit(dict(line.split("=", 1) for line in text.splitlines() if "=" in line))
    return found


def check(machine: Machine, units: Mapping[str, Unit]) -> Iterator[Finding]:
    """One finding a room."""
    for room in ROOMS:
        unit = units[room]
        if not machine.booted:
            yield not_checked(f"unit-{room}", "systemd does not run this machine")
        elif not unit.installed:
            yield not_checked(
                f"unit-{room}", f"there is no unit vouchbox-{room}.service here", "install the package"
            )
        else:
            yield judge(room, unit.said)


def judge(room: str, said: Mapping[str, str]) -> Finding:
    """What the state of one unit means."""
    check, log = f"unit-{room}", f"look at `journalctl -u vouchbox-{room}`"
    restarts = int(said.get("NRestarts") or 0)
    match said.get("ActiveState"), said.get("SubState"):
        case "active", _:
            return ok(check, f"{room} runs")
        case "failed", _:
            return fault(
                check, f"{room} has failed", f"{log}, then `systemctl reset-failed` and start vouchbox.target"
            )
        case "activating", sub if sub == "auto-restart" or restarts >= MANY_RESTARTS:
            return fault(check, f"{room} ends again and again ({restarts} restarts)", log)
        case "activating", _:
            return warning(check, f"{room} is just starting", "ask again in a minute")
        case _ if said.get("ConditionResult") == "no":
            missing = "a certificate in /etc/vouchbox/tls" if room == "uplink" else "an identity"
            return warning(
                check,
                f"{room} was not started, for the box lacks {missing}",
                "run `vouchbox provision`, or put the certificate there",
            )
        case _:
            return warning(check, f"{room} does not run", "run `systemctl start vouchbox.target`")
