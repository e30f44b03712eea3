"""Reads a unit as `systemctl cat` prints it, drop-ins included, and says what of it makes the walls. Pure.

The lines are kept in their order, for a later one adds to or resets an earlier one (systemd.exec(5)).
"""

from __future__ import annotations

from collections.abc import Iterator

_NO_WALL = (
    "Type",
    "NotifyAccess",
    "Exec",
    "Restart",
    "Watchdog",
    "Timeout",
    "Standard",
    "Log",
    "Syslog",
    "LoadCredential",
    "SetCredential",
    "ImportCredential",
    "PIDFile",
    "RemainAfterExit",
    "FileDescriptor",
    "Sockets",
    "RuntimeMaxSec",
)
"""Beginnings of settings that say how the room runs, and its keys, which the probe shall not get."""


def walls(text: str) -> list[tuple[str, str]]:
    """The settings of [Service] that a process behind this unit's walls needs, in order."""
    return [(key, value) for key, value in _service(text) if not key.startswith(_NO_WALL)]


def _service(text: str) -> Iterator[tuple[str, str]]:
    section, pending = "", ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith(("#", ";")) or (not bare and not pending):
            continue
        if bare.endswith("\\"):
            pending += bare[:-1] + " "
            continue
        whole, pending = pending + bare, ""
        if whole.startswith("["):
            section = whole
        elif section == "[Service]" and "=" in whole:
            key, value = whole.split("=", 1)
            yield key.strip(), value.strip()
