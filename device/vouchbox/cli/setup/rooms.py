"""Starts the rooms of a box anew, through systemd, once it is set up; and says which of them does not run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from vouchbox.errors import RoomGone

TARGET = "vouchbox.target"
ROOMS = ("vault", "vision", "uplink")
LONGEST_S = 300.0
_SYSTEMD = Path("/run/systemd/system")
"""It is there where systemd runs (sd_booted(3))."""

_IDLE = ("active", "inactive")
"""A room whose condition does not hold yet, for example the uplink without a certificate, is inactive."""


def managed() -> bool:
    """Whether systemd runs here and has the units of a box."""
    if not _SYSTEMD.is_dir() or shutil.which("systemctl") is None:
        return False
    return _ask("is-enabled", TARGET) == "enabled"


def restart() -> dict[str, str]:
    """Restart every room and wait; room to its state. Raises RoomGone for one that does not come up."""
    try:
        done = subprocess.run(
            ["systemctl", "restart", TARGET], capture_output=True, check=False, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        raise RoomGone("the rooms do not come up", "look into `journalctl -u 'vouchbox-*'`") from None
    states = {room: _ask("is-active", f"vouchbox-{room}.service") for room in ROOMS}
    gone = [room for room, state in states.items() if state not in _IDLE]
    if gone or done.returncode:
        unit = f"vouchbox-{gone[0]}" if gone else TARGET
        raise RoomGone(f"{unit} does not come up", f"look into `journalctl -u {unit}`")
    return states


def _ask(*words: str) -> str:
    done = subprocess.run(
        ["systemctl", *words], capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
    return done.stdout.strip()
