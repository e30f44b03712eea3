"""What dpkg knows: the installed package, versions, and a package made again from what is installed.

The edge to dpkg and dpkg-deb; it installs nothing (systemd/change-package does). The package that goes back
when an update fails is made from the files that run now, for the one they came from may be on no disk any
more.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from vouchbox.errors import UpdateError
from vouchbox.update.release import PACKAGE, Installed

PRISTINE = Path("/usr/lib/vouchbox/conffiles")
"""Configuration files as they shipped. A package made from edited ones would make dpkg take the edits for the
default, and the next version overwrite them."""

_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "md5sums")
_DROPPED = re.compile(r"^(Status|Conffiles|Config-Version):.*\n(?: .*\n)*", re.MULTILINE)
_OPTIONAL = "/usr/share/doc/"
"""A system may leave these out (path-exclude of dpkg.cfg)."""


def installed() -> Installed:
    """Version, architecture and suite of this box; raises UpdateError where it has no such package."""
    state = _say("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", PACKAGE).split()
    if len(state) != 2 or state[0] != "installed":
        raise UpdateError(f"the package {PACKAGE} is not installed here", "install it with apt first")
    suite = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', _os_release(), re.MULTILINE)
    return Installed(state[1], _say("dpkg", "--print-architecture"), suite[1] if suite else "unknown")


def is_older(first: str, second: str) -> bool:
    """Whether `first` is the older Debian version."""
    done = subprocess.run(["dpkg", "--compare-versions", first, "lt", second], check=False)
    return done.returncode == 0


def control(package: Path) -> tuple[str, str, str]:
    """Name, version and architecture as the package itself says; only for files that were verified."""
    fields = _say("dpkg-deb", "--show", "--showformat=${Package}\t${Version}\t${Architecture}", str(package))
    name, version, architecture = (*fields.split("\t"), "", "", "")[:3]
    return name, version, architecture


def installed_bytes() -> int:
    """How much room the installed package takes, in bytes."""
    return 1024 * int(_say("dpkg-query", "--show", "--showformat=${Installed-Size}", PACKAGE) or 0)


def make_again(target: Path) -> None:
    """Make the installed package again as the file `target`; raises UpdateError when a file of it is missing.

    Needs root. The files are linked, not copied, where they lie on one file system with `target`.
    """
    tree = target.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    try:
        (tree / "DEBIAN").mkdir(parents=True, mode=0o755)
        (tree / "DEBIAN").chmod(0o755)
        tree.chmod(0o755)
        settings = _control_files(tree / "DEBIAN")
        for name in _say("dpkg-query", "--listfiles", PACKAGE).splitlines():
            if name.startswith("/") and name != "/.":
                _take(Path(name), tree / name[1:], settings)
        fresh = target.with_suffix(".part")
        build = ("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(fresh))
        _say(*build)
        fresh.replace(target)
    except OSError as problem:
        if isinstance(problem, UpdateError):
            raise
        raise UpdateError(
            f"the installed package can't be kept ({problem.strerror}: {problem.filename})",
            "see `dpkg --verify vouchbox`, and free space on the disk",
        ) from None
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _control_files(folder: Path) -> set[str]:
    """Fill DEBIAN; the names of the configuration files."""
    said = _say("dpkg-query", "--status", PACKAGE) + "\n"
    (folder / "control").write_text(_DROPPED.sub("", said))
    for path in map(Path, _say("dpkg-query", "--control-path", PACKAGE).splitlines()):
        kind = path.name.partition(".")[2]
        if kind in _SCRIPTS:
            shutil.copy(path, folder / kind)
    # dpkg keeps this list to itself; a line is a path, its digest, and a word more for one that is gone.
    lines = _say("dpkg-query", "--show", "--showformat=${Conffiles}", PACKAGE).splitlines()
    settings = [line.split()[0] for line in lines if len(line.split()) == 2]
    (folder / "conffiles").write_text("".join(f"{name}\n" for name in settings))
    return set(settings)


def _take(source: Path, target: Path, settings: set[str]) -> None:
    if str(source) in settings:
        # Copied, for a link would make the settings and their pristine copy one file on the box.
        shutil.copy2(PRISTINE / source.name, target)
        return
    if not source.exists() and not source.is_symlink() and str(source).startswith(_OPTIONAL):
        return
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        target.mkdir()
        target.chmod(source.stat().st_mode & 0o7777)
    else:
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
        shutil.copy2(source, target)


def _os_release() -> str:
    return Path("/etc/os-release").read_text()


def _say(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise UpdateError(f"{command[0]} refuses ({last})", "see that dpkg is in order: dpkg --audit")
    return done.stdout.strip()
