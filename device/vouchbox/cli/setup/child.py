"""How setup starts a room's code: as a process of its own and, on a box, as the room's own Unix user.

So a camera that only root may open is found now and not by the first customer, and the process that sees
frames never is the one that makes keys.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import resource
from dataclasses import dataclass

from vouchbox.config import Config

VISION_GROUPS = ("video", "vouchbox")
"""The groups of the vision room's unit, where this machine has them."""


@dataclass(frozen=True, slots=True)
class RoomUser:
    """The user of the vision room, and the group by which it reaches the vault's socket."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    house: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command that becomes this user (setpriv(1))."""
        groups = (
            f"--groups={','.join(str(number) for number in self.groups)}" if self.groups else "--clear-groups"
        )
        return ("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", groups)


def vision_user(config: Config) -> RoomUser | None:
    """The user that [vault.users] names for vision; None where setup may not or need not become another."""
    named = config.vault.users.get("vision")
    if os.geteuid() != 0 or named is None:
        return None
    try:
        entry = pwd.getpwnam(named) if isinstance(named, str) else pwd.getpwuid(named)
    except KeyError:
        return None
    groups = []
    for name in VISION_GROUPS:
        with contextlib.suppress(KeyError):
            groups.append(grp.getgrnam(name).gr_gid)
    house = groups[-1] if groups else entry.pw_gid
    return RoomUser(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(groups), house)


def allow_locked_memory() -> None:
    """Let children lock their frames into memory, as LimitMEMLOCK does in the unit, if the kernel agrees."""
    with contextlib.suppress(OSError, ValueError):
        unlimited = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (unlimited, unlimited))
