"""Would what is written here still be there after the next start? With a read-only root it may not be.

Reads what the kernel tells about mounts; writes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vouchbox.errors import ConfigError

IN_MEMORY = {"tmpfs", "ramfs"}
_OVERLAID = re.compile(r"\b(overlayroot=tmpfs|boot=overlay)\b")
"""The kernel's command line where Raspberry Pi OS or overlayroot keeps the root's changes in memory."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """The kernel's two texts: /proc/self/mountinfo (proc(5)) and /proc/cmdline."""

    mountinfo: str
    cmdline: str

    @classmethod
    def here(cls) -> Mounts:
        """Of this machine."""
        return cls(Path("/proc/self/mountinfo").read_text(), Path("/proc/cmdline").read_text())

    def lasting(self, path: Path) -> bool:
        """Whether what is written at `path` survives a restart, as far as the kernel tells."""
        kind, options = self._at(path)
        if kind in IN_MEMORY:
            return False
        if kind != "overlay":
            return True
        if _OVERLAID.search(self.cmdline):
            return False
        upper = re.search(r"(?:^|,)upperdir=([^,]+)", options)
        if upper is None or not Path(upper[1]).is_dir():
            return True  # made by someone whose view of the disk is not ours, as in a container
        return self._at(Path(upper[1]))[0] not in IN_MEMORY

    def _at(self, path: Path) -> tuple[str, str]:
        """Type and options of the file system in which `path` lies."""
        best, found = -1, ("", "")
        for line in self.mountinfo.splitlines():
            left, _, right = line.partition(" - ")
            place = Path(left.split()[4].replace("\\040", " "))
            kind, _, options = right.split(" ", 2)
            # A later mount at the same place covers an earlier one.
            if path.is_relative_to(place) and len(place.parts) >= best:
                best, found = len(place.parts), (kind, options)
        return found


def require(path: Path, mounts: Mounts | None = None) -> None:
    """Raises ConfigError when a file at `path` would be gone after a restart."""
    there = path.resolve()
    while not there.exists():
        there = there.parent
    if not (mounts or Mounts.here()).lasting(there):
        raise ConfigError(
            f"{path} lies in memory and would be gone after a restart",
            "switch the overlay of the root off, or bind a folder there that lasts (systemd/README.md)",
        )
