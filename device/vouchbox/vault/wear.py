"""How much this process has made the kernel write to the disk: SD cards wear out, so the box counts.

It reads one small file about its own process and writes none. A kernel that does not count is `None`, not 0.
Source: Documentation/filesystems/proc.rst, 3.3, /proc/<pid>/io: `write_bytes` is what was sent to be written,
`cancelled_write_bytes` what was deleted again before it was. The file system's own journal comes on top.
"""

from __future__ import annotations

from pathlib import Path

_COUNTS = Path("/proc/self/io")


def written_bytes(counts: Path = _COUNTS) -> int | None:
    """Bytes since the process began; None where the kernel does not tell."""
    try:
        lines = dict(line.split(": ", 1) for line in counts.read_text("ascii").splitlines())
        return max(0, int(lines["write_bytes"]) - int(lines["cancelled_write_bytes"]))
    except (OSError, ValueError, KeyError):
        return None
