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


_EMPTY_COUNTS = ("CapabilityBoundingSet", "AmbientCapabilities")
"""Settings whose empty value means nothing at all; elsewhere it means as if it had never been set."""

_BINDS = ("BindPaths", "BindReadOnlyPaths")
"""An empty value of either forgets both."""


def walls(text: str) -> list[tuple[str, str]]:
    """The settings of [Service] that a process behind this unit's walls needs, in order.

    An empty value takes back what came before it, and is then left out: systemd-run would take some of them
    for "nothing is allowed", which is more than the unit says.
    """
    found: list[tuple[str, str]] = []
    for key, value in _service(text):
        if key.startswith(_NO_WALL):
            continue
        if not value:
            forgotten = _BINDS if key in _BINDS else (key,)
            found = [setting for setting in found if setting[0] not in forgotten]
        if value or key in _EMPTY_COUNTS:
            found.append((key, value))
    return found


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
