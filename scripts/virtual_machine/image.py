"""The disk of a virtual machine: a Debian made by mmdebstrap, its kernel and initrd, kept for the next run.

What stands in a recipe is all that decides what the disk holds, so its hash is the name under which the
disk is kept. A disk is never written after it was made; each machine runs on a copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from virtual_machine import unpacked

_VERSION = 3
"""Goes up when this module makes another disk from the same recipe."""

_DISK_GIB = 4
"""Size of a disk; it is sparse."""

_LENT = ("etc/resolv.conf", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")

_SPARING = (
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc")),
)
"""No fsync, and none of what no machine of ours reads."""

_BASE = ("apt", "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "qemu-guest-agent")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


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
    """The image of a recipe, made now where it is missing, in minutes."""
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
        tree = fresh / "tree"
        if platform.machine() == _MACHINES[recipe.arch]:
            _install(recipe, tree)
            (found,) = (tree / "boot").glob("initrd.img-*")
            shutil.copyfile(found, fresh / "initrd")
        else:
            _unpack(recipe, tree)
            unpacked.initrd(tree, fresh / "initrd", fresh)
            shutil.rmtree(fresh / "initrd-tree")
        shutil.copyfile(tree / "boot" / f"vmlinuz-{unpacked.kernel_version(tree)}", fresh / "kernel")
        _settle(recipe, tree)
        file_system(tree, fresh / "disk", f"{_DISK_GIB}G")
        shutil.rmtree(tree)
        fresh.chmod(0o755)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _install(recipe: Recipe, tree: Path) -> None:
    """The usual way, for the machine that this is."""
    packages = ",".join((*_BASE, "initramfs-tools", f"linux-image-{recipe.arch}", *recipe.packages))
    _do(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={packages}",
        *_SPARING,
        recipe.suite,
        str(tree),
    )


def _unpack(recipe: Recipe, tree: Path) -> None:
    """For another machine: nothing of it runs here."""
    if recipe.steps:
        raise SystemExit(f"virtual_machine: {recipe.name} can only be made on {_MACHINES[recipe.arch]}.")
    packages = ",".join((*_BASE, "busybox-static", f"linux-image-{recipe.arch}", *recipe.packages))
    which = ("--include=?essential", f"--include={packages}")
    how = (f"--arch={recipe.arch}", "--variant=extract", "--skip=cleanup/apt/cache", *which)
    _do("mmdebstrap", "--quiet", *how, recipe.suite, str(tree))
    debs = sorted((tree / "var" / "cache" / "apt" / "archives").glob("*.deb"))
    unpacked.make_bootable(tree, debs)
    for deb in debs:
        deb.unlink()


def _settle(recipe: Recipe, tree: Path) -> None:
    """What each recipe's system has in common, then its own files and steps."""
    etc = tree / "etc"
    (etc / "fstab").write_text("/dev/vda / ext4 defaults,noatime 0 0\n")
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
