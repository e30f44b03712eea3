"""Runs behind the walls of a unit, tries what its room must not do, and prints what it got. Changes nothing.

Only the standard library, for it stands alone behind the walls. A file is only opened, never read; where it
could write, the file has no name and is gone at once; a socket is never connected.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

DONE = "done"


def attempt(deed: Callable[[], None]) -> str:
    """`done`, or the name of the errno with which the kernel refused."""
    try:
        deed()
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, "EUNKNOWN")
    return DONE


def speak(family: int) -> None:
    """Make a socket of that family."""
    socket.socket(family, socket.SOCK_STREAM).close()


def write(folder: str) -> None:
    """Make a file without a name in `folder`; where its file system knows none, ask whether one could."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as problem:
        if problem.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "no right") from None


def look(path: str) -> None:
    """Open for reading, and read nothing."""
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def device(path: str) -> None:
    """Open a device as a driver's user does, and ask it for nothing."""
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def standing() -> dict[str, str]:
    """What the kernel says about this process: the fields of /proc/PID/status that walls set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        name: found.get(name, "").strip() for name in ("Seccomp", "Seccomp_filters", "NoNewPrivs", "CapBnd")
    }


def answers(asked: dict[str, list[str]]) -> dict[str, object]:
    """What came of every attempt in `asked`: paths to write, to look at, and devices."""
    interfaces = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return {
        "socket": {
            "inet": attempt(lambda: speak(socket.AF_INET)),
            "inet6": attempt(lambda: speak(socket.AF_INET6)),
            "unix": attempt(lambda: speak(socket.AF_UNIX)),
        },
        "interfaces": sorted(line.split(":")[0].strip() for line in interfaces),
        "write": {path: attempt(lambda path=path: write(path)) for path in asked["write"]},  # type: ignore[misc]
        "secret": {path: attempt(lambda path=path: look(path)) for path in asked["secret"]},  # type: ignore[misc]
        "device": {path: attempt(lambda path=path: device(path)) for path in asked["device"]},  # type: ignore[misc]
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "user": os.getuid(),
        "standing": standing(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answers(json.loads(sys.argv[1]))) + "\n")
