"""Makes a Debian of another machine bootable without running one of its programs.

Its packages are unpacked here and not configured, for their scripts would take an hour in an emulator: what
these scripts would have left behind and a boot needs is made by hand, and dpkg's records say that they are
installed. The package under test is no part of this: its scripts run in the booted system.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
from pathlib import Path

DRIVERS = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
"""All that the initrd must bring to find the disk."""

_INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod /lib/$module; done
until /bin/busybox mount -t ext4 /dev/vda /root; do /bin/busybox sleep 0.1; done
/bin/busybox mount -o move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
"""

_RECORD = ("list", "md5sums", "conffiles", "preinst", "postinst", "prerm", "postrm", "triggers", "shlibs")


def make_bootable(tree: Path, debs: list[Path]) -> None:
    """Give `tree`, into which `debs` were unpacked, accounts, records of its packages, and module lists."""
    etc, base = tree / "etc", tree / "usr" / "share" / "base-passwd"
    shutil.copyfile(base / "passwd.master", etc / "passwd")
    shutil.copyfile(base / "group.master", etc / "group")
    (etc / "shadow").write_text("root:*:20000:0:99999:7:::\n")
    (etc / "shadow").chmod(0o640)
    (switch,) = (tree / "usr" / "share").glob(
        "*/nsswitch.conf"
    )  # base-files' or, since Debian 13, libc-bin's
    shutil.copyfile(switch, etc / "nsswitch.conf")
    (etc / "modules").touch()  # kmod's link in modules-load.d leads there
    awk = tree / "usr" / "bin" / "awk"
    if not awk.is_symlink():
        awk.symlink_to("mawk")
    _do("systemd-sysusers", f"--root={tree}", "-", text=_accounts(tree))
    _do("depmod", "--basedir", str(tree), kernel_version(tree))
    record(tree / "var" / "lib" / "dpkg", debs)
    # Nothing is to be rebuilt at the first boot: see systemd-update-done.service(8).
    for name in ("etc", "var"):
        (tree / name / ".updated").touch()


def _accounts(tree: Path) -> str:
    """What systemd-sysusers is to make. An older one here knows no `u!` (an account that is locked) and would
    leave that account out, and with it the service that needs it."""
    parts = sorted((tree / "usr" / "lib" / "sysusers.d").glob("*.conf"))
    return re.sub(r"^([a-z])!", r"\1", "\n".join(part.read_text() for part in parts), flags=re.MULTILINE)


def kernel_version(tree: Path) -> str:
    """Of the one kernel in it."""
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    return kernel.name.removeprefix("vmlinuz-")


def initrd(tree: Path, target: Path, work: Path) -> None:
    """The smallest one that finds the disk: busybox, DRIVERS and what these need, in the order of loading."""
    root = work / "initrd-tree"
    for name in ("bin", "dev", "lib", "root"):
        (root / name).mkdir(parents=True)
    shutil.copyfile(tree / "usr" / "bin" / "busybox", root / "bin" / "busybox")
    (root / "bin" / "busybox").chmod(0o755)
    modules = tree / "usr" / "lib" / "modules" / kernel_version(tree)
    needs = dict(line.split(":", 1) for line in (modules / "modules.dep").read_text().splitlines())
    order: list[str] = []
    for path in needs:
        if re.split(r"[/.]", path.replace("-", "_"))[-3 if path.endswith(".xz") else -2] in DRIVERS:
            order += [*reversed(needs[path].split()), path]
    names = list(dict.fromkeys(order))
    for path in names:
        data = (modules / path).read_bytes()
        plain = lzma.decompress(data) if path.endswith(".xz") else data
        (root / "lib" / Path(path).name.removesuffix(".xz")).write_bytes(plain)
    loaded = (Path(path).name.removesuffix(".xz") for path in names)
    (root / "modules").write_text("\n".join(loaded) + "\n")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    listed = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with target.open("wb") as out:
        pack = ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"]
        subprocess.run(pack, cwd=root, input=listed, stdout=out, check=True)


def record(dpkg: Path, debs: list[Path]) -> None:
    """Write into `dpkg`, as /var/lib/dpkg, what dpkg would have written about each package."""
    info = dpkg / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "format").write_text("1\n")
    status: list[str] = []
    for deb in debs:
        fields = _read("dpkg-deb", "--field", str(deb)).rstrip("\n")
        known = dict(re.findall(r"^(Package|Architecture|Multi-Arch): (.*)$", fields, re.MULTILINE))
        status.append(
            re.sub(r"^(Package: .*)$", r"\1\nStatus: install ok installed", fields, count=1, flags=re.M)
        )
        name = known["Package"]
        if known.get("Multi-Arch") == "same":
            name += f":{known['Architecture']}"
        held = info / f"{name}.control"
        held.mkdir()
        _do("dpkg-deb", "--control", str(deb), str(held))
        for kind in _RECORD[1:]:
            if (held / kind).is_file():
                shutil.copy(held / kind, info / f"{name}.{kind}")
        shutil.rmtree(held)
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], capture_output=True, check=True).stdout
        files = subprocess.run(["tar", "--list"], input=tar, capture_output=True, check=True).stdout.decode()
        paths = ["/." if path == "./" else path[1:].rstrip("/") for path in files.splitlines()]
        (info / f"{name}.list").write_text("\n".join(paths) + "\n")
    (dpkg / "status").write_text("\n\n".join(status) + "\n\n")
    for name in ("available", "diversions", "statoverride"):
        (dpkg / name).touch()
    (dpkg / "updates").mkdir(exist_ok=True)
    (dpkg / "triggers").mkdir(exist_ok=True)


def _do(*command: str, text: str | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _read(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
