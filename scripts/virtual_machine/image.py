"""The disk of a virtual machine: a Debian made by mmdebstrap, its kernel and initrd, kept for the next run.

What stands in a recipe is all that decides what the disk holds, so its hash is the name under which the
disk is kept. A disk is never written after it was made; each machine runs on a copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from virtual_machine.emulation import emulated

_VERSION = 1
"""Goes up when this module makes another disk from the same recipe."""

_DISK_GIB = 4
"""Size of a disk; it is sparse."""

_LENT = ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")

_QUIETLY = ("man", "locale", "doc")
"""Folders of /usr/share that no machine of ours reads."""

_DRIVERS = "virtio_pci\nvirtio_blk\next4\n"
"""All that the initrd must bring to find the disk; a small one is unpacked fast where all is emulated."""

_KERNEL = """
set -e
cd "$1"
mkdir kernel etc/initramfs-tools/conf.d -p
echo MODULES=list > etc/initramfs-tools/conf.d/virtual-machine
printf '{drivers}' >> etc/initramfs-tools/modules
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
names=$(apt-cache depends --important linux-image-{arch})
name=$(echo "$names" | sed -n 's/^ *Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -1)
cd kernel
apt-get -qq download "$name"
# Repacked without compression: an emulated dpkg would unpack xz for a quarter of an hour.
dpkg-deb --raw-extract ./*.deb tree
rm ./*.deb
dpkg-deb -Znone --build tree kernel.deb >/dev/null
rm -r tree
cd ..
chroot . dpkg --force-unsafe-io --install /kernel/kernel.deb
rm -r kernel
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """`arch` is Debian's name of the machine. `files` are written, then a shell runs `steps` inside."""

    name: str
    suite: str
    arch: str
    packages: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that only equal recipes share."""
        return hashlib.sha256(f"{_VERSION} {self}".encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Image:
    """A disk with one ext4 file system, and what boots it."""

    arch: str
    disk: Path
    kernel: Path
    initrd: Path


def cache() -> Path:
    """Where images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vouchbox" / "machines"


def image(recipe: Recipe) -> Image:
    """The image of a recipe, made now where it is missing: minutes, and where it is emulated many of them."""
    folder = cache() / f"{recipe.name}-{recipe.suite}-{recipe.key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{recipe.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _make(recipe, folder)
    return Image(recipe.arch, folder / "disk", folder / "kernel", folder / "initrd")


def made(recipe: Recipe) -> bool:
    """Is the image there already?"""
    return (cache() / f"{recipe.name}-{recipe.suite}-{recipe.key}").is_dir()


def file_system(tree: Path, disk: Path, size: str) -> None:
    """An ext4 disk with the content of `tree`; `size` as mke2fs takes it."""
    _do("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(disk), size)


def _make(recipe: Recipe, folder: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f"{recipe.name}-part-", dir=folder.parent))
    try:
        with emulated(recipe.arch):
            _bootstrap(recipe, fresh / "tree", fresh / "hook")
        tree = fresh / "tree"
        for name in ("kernel", "initrd"):
            stem = {"kernel": "vmlinuz", "initrd": "initrd.img"}[name]
            (found,) = (tree / "boot").glob(f"{stem}-*")
            shutil.copyfile(found, fresh / name)
        file_system(tree, fresh / "disk", f"{_DISK_GIB}G")
        shutil.rmtree(tree)
        fresh.chmod(0o755)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _bootstrap(recipe: Recipe, tree: Path, hook: Path) -> None:
    own = _KERNEL.format(drivers=_DRIVERS.replace("\n", "\\n"), arch=recipe.arch)
    hook.write_text(own)
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _QUIETLY]
    needed = ("systemd", "systemd-sysv", "dbus", "udev", "kmod", "linux-base", "initramfs-tools", "zstd")
    packages = ",".join((*needed, "iproute2", "qemu-guest-agent", *recipe.packages))
    _do(
        *("mmdebstrap", "--quiet", f"--arch={recipe.arch}", "--variant=minbase", f"--include={packages}"),
        *("--dpkgopt=force-unsafe-io", *excluded, f'--customize-hook=sh "{hook}" "$1"'),
        *(recipe.suite, str(tree)),
    )
    hook.unlink()
    etc = tree / "etc"
    (etc / "fstab").write_text("/dev/vda / ext4 defaults,noatime 0 1\n")
    (etc / "hostname").write_text(f"{recipe.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost {recipe.name}\n")
    # Each copy is a machine of its own. An empty file is no first boot, which would switch on all there is.
    (etc / "machine-id").write_text("")
    for place, text in recipe.files:
        path = tree / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if recipe.steps:
        with _lent(tree):
            for step in recipe.steps:
                _do("chroot", str(tree), "sh", "-e", "-c", step)


@contextlib.contextmanager
def _lent(tree: Path) -> Iterator[None]:
    """The host's name server, package settings and certificates are lent to `tree`, so that steps can
    download."""
    before = {name: (tree / name).read_bytes() if (tree / name).is_file() else None for name in _LENT}
    for name in _LENT:
        if (Path("/") / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).unlink(missing_ok=True)
            shutil.copyfile(Path("/") / name, tree / name)
    try:
        yield
    finally:
        for name, content in before.items():
            (tree / name).unlink(missing_ok=True)
            if content is not None:
                (tree / name).write_bytes(content)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
