"""What each room must not be able to do, and what it means if it could. Pure: the probe's answers in,
findings out.

The rooms' walls stand in systemd/README.md; here is the part of them that a stranger would miss first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vouchbox.doctor.finding import Finding, fault, ok

ROOMS = ("vision", "vault", "uplink")
REFUSED = frozenset({"EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EAFNOSUPPORT"})
"""How a wall refuses: by a right, a filter, a read-only mount, or as if nothing were there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Paths that exist on this box and must be closed to a room, and what it needs to be one."""

    write: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    network: bool = False

    @property
    def question(self) -> dict[str, list[str]]:
        """What the probe is asked."""
        return {
            "write": list(self.write),
            "secret": list(self.secret),
            "device": [*self.device, *self.needs],
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """What the kernel says about the room that runs now: fields of /proc/PID/status, and whether its network
    is its own."""

    status: Mapping[str, str] = field(default_factory=dict)
    own_network: bool = False


def judge(room: str, limits: Limits, answers: Mapping[str, Any], running: Standing | None) -> list[Finding]:
    """Every wall of `room` that does not stand, or one finding that all do."""
    check = f"sandbox-{room}"
    broken = list(_broken(room, limits, answers))
    if running is not None:
        broken += _outdated(room, limits, answers, running)
    found = [fault(check, what, _fix(room, lines)) for what, lines in broken]
    if found:
        return found
    tried = sum(len(paths) for paths in (limits.write, limits.secret, limits.device))
    tried += 0 if limits.network else 3
    return [ok(check, f"behind its walls {room} was refused all of {tried} things that it must not do")]


def _broken(room: str, limits: Limits, answers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not limits.network:
        for family in ("inet", "inet6"):
            if answers["socket"][family] not in REFUSED:
                yield f"{room} can open a network socket ({family})", "RestrictAddressFamilies=AF_UNIX"
        if answers["interfaces"] != ["lo"]:
            yield f"{room} sees the network's interfaces", "PrivateNetwork=yes"
    elif answers["socket"]["inet"] != "done":
        yield (
            f"{room} can't open a network socket, which it needs",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        )
    for path in limits.write:
        if answers["write"][path] not in REFUSED:
            yield f"{room} can write to {path}", "ProtectSystem=strict, TemporaryFileSystem=, UMask="
    for path in limits.secret:
        if answers["secret"][path] not in REFUSED:
            yield f"{room} can open {path}", "InaccessiblePaths=, User="
    for path in limits.device:
        if answers["device"][path] not in REFUSED:
            yield (
                f"{room} can open the device {path}",
                "DevicePolicy=closed, PrivateDevices= or InaccessiblePaths=",
            )
    for path in limits.needs:
        if answers["device"][path] in REFUSED:
            yield (
                f"{room} can't open {path} from within its unit ({answers['device'][path]})",
                "SupplementaryGroups=video and DeviceAllow=",
            )
    if answers["core"] != 0:
        yield f"{room} may leave a core dump", "LimitCORE=0"
    if answers["user"] == 0:
        yield f"{room} runs as root", f"User=vouchbox-{room}"
    standing = answers["standing"]
    if standing["Seccomp"] != "2":
        yield f"no system call is barred to {room}", "SystemCallFilter="
    if standing["NoNewPrivs"] != "1" or int(standing["CapBnd"] or "1", 16):
        yield f"{room} could gain privileges", "NoNewPrivileges=yes and CapabilityBoundingSet="


def _outdated(
    room: str, limits: Limits, answers: Mapping[str, Any], running: Standing
) -> Iterator[tuple[str, str]]:
    """The room that runs was started behind other walls than its unit has now."""
    differing = sorted(
        name for name, value in answers["standing"].items() if running.status.get(name, value) != value
    )
    if differing:
        yield (
            f"the {room} that runs now stands behind other walls than its unit has ({', '.join(differing)})",
            "",
        )
    elif not limits.network and not running.own_network:
        yield f"the {room} that runs now is not cut off from the network", ""


def _fix(room: str, lines: str) -> str:
    unit = f"vouchbox-{room}"
    again = "`systemctl daemon-reload` and `systemctl restart vouchbox.target`"
    if not lines:
        return f"run {again}"
    return f"see `systemctl cat {unit}` for what overrules {lines}, take that drop-in away, then {again}"
