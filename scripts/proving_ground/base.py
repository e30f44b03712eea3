"""The Debian that boxes are booted from, made once by mmdebstrap and kept in .cache/appliance/.

`python -m proving_ground.base` makes it ahead of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "systemd,systemd-sysv,dbus,python3,ca-certificates,iproute2"
"""What Raspberry Pi OS Lite has and these tests need; of vouchbox's dependencies only Python."""

TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter", "ip", "dpkg-deb")
ROOT = Path(__file__).resolve().parents[2]


def missing() -> str:
    """Why no box can be booted here, or an empty text."""
    if os.geteuid() != 0:
        return "booting a box takes root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (./scripts/setup dev)"
    return "" if cgroup2() else "no cgroup2 hierarchy is mounted here, as in a bare chroot"


def cgroup2() -> Path | None:
    """Where the cgroup2 hierarchy is mounted; nspawn can't boot a system without one."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


def base(root: Path = ROOT) -> Path:
    """The unpacked system, made now where it is missing."""
    recipe = hashlib.sha256(f"{SUITE} {PACKAGES} 3".encode()).hexdigest()[:12]
    folder = root / ".cache" / "appliance" / f"{SUITE}-{recipe}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _make(folder)
    return folder


def _make(folder: Path) -> None:
    fresh = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(fresh)],
        check=True,
    )
    # Each boot is a machine of its own. An empty file is no first boot, which would switch on all there is.
    (fresh / "etc" / "machine-id").write_text("")
    # The wire is set up from outside and shall carry nothing but what the box says.
    for unit in ("systemd-networkd.service", "systemd-networkd.socket", "systemd-timesyncd.service"):
        (fresh / "etc" / "systemd" / "system" / unit).symlink_to("/dev/null")
    (fresh / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    fresh.rename(folder)


if __name__ == "__main__":
    if not missing():
        base()
