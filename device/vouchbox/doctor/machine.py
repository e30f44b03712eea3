"""The machine as the doctor sees it: where the kernel shows itself, who the rooms are, who may do what.

Only reading. The places are parameters, so that a test can show another machine; the rights of a user are
worked out from owner, group and mode, and nothing is opened to find them.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

READ, WRITE, PASS = 4, 2, 1
"""Bits of a right, as in the mode of a file: read, write, pass through (a folder)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user and every group of the process in question. Root may do everything."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int]

    def allows(self, facts: os.stat_result, right: int) -> bool:
        """Whether the classic permissions (path_resolution(7)) grant `right` on the file of `facts`."""
        if self.uid == 0:
            return True
        if facts.st_uid == self.uid:
            granted = facts.st_mode >> 6
        elif facts.st_gid == self.gid or facts.st_gid in self.groups:
            granted = facts.st_mode >> 3
        else:
            granted = facts.st_mode
        return granted & right == right

    def reaches(self, path: Path, right: int) -> bool:
        """Whether it may do that to `path`, every folder on the way included; False where that is unknown."""
        place = path.resolve()
        try:
            through = all(self.allows(folder.stat(), PASS) for folder in place.parents)
            return through and self.allows(place.stat(), right)
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Machine:
    """`proc` and `dev` are where the kernel shows processes and devices, `systemd` where its manager is if
    one runs, `groups` what a room's unit adds to its user (room to group ids)."""

    proc: Path = Path("/proc")
    dev: Path = Path("/dev")
    systemd: Path = Path("/run/systemd/system")
    clock_marks: tuple[Path, ...] = (
        Path("/var/lib/systemd/timesync/clock"),
        Path("/usr/lib/clock-epoch"),
        Path("/etc/fake-hwclock.data"),
    )
    groups: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def booted(self) -> bool:
        """Whether systemd runs this machine (sd_booted(3))."""
        return self.systemd.is_dir()

    @property
    def root(self) -> bool:
        """Whether the doctor may look everywhere."""
        return os.geteuid() == 0

    def account(self, room: str, user: int | str | None) -> Account:
        """The room's user, with the groups of its unit; without one, whoever runs this.

        Raises KeyError for a user that this machine does not know.
        """
        if user is None:
            return Account("this user", os.geteuid(), os.getegid(), frozenset(os.getgroups()))
        entry = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
        own = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, own | self.groups.get(room, frozenset()))


def present(path: Path) -> bool:
    """Whether there is something at `path`; False also where this user can't see that."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def mode(facts: os.stat_result) -> str:
    """Permissions as a person writes them, for example `640`."""
    return f"{stat.S_IMODE(facts.st_mode):o}"


def name_of(uid: int) -> str:
    """The user's name, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
