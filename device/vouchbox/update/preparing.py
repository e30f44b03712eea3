"""Everything before the change: verify, refuse, take the file, keep what runs. It changes no package.

The file is copied into a folder that only root can enter while its digest is taken, so that what was verified
is what is installed. Nothing of it is parsed before its digest fits the signed one. What follows is the work
of a shell script (systemd/change-package), for no Python can be trusted while its own files are exchanged.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from vouchbox.errors import ConfigError, UpdateError, UpdateRefused
from vouchbox.update import packages, release
from vouchbox.update.release import Installed, Pinned, Release

LOCK_FD = 9
"""The script finds the lock of the update at this number (`flock 9`)."""

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where things lie: the pinned keys, the folder of updates (root's alone), the script that ships."""

    keys: Path = Path("/etc/vouchbox/update-keys.jwks.json")
    folder: Path = Path("/var/lib/vouchbox-update")
    script: Path = Path("/usr/lib/vouchbox/change-package")

    @property
    def unfinished(self) -> Path:
        """Is there while an update is under way or was cut off."""
        return self.folder / "unfinished"

    @property
    def kept_script(self) -> Path:
        """The script of the version that ran before, which knows the way back."""
        return self.folder / "change-package"


def require_root() -> None:
    """Raises UpdateError for anyone else."""
    if os.geteuid() != 0:
        raise UpdateError("only root may change the package", "run it with sudo")


def pinned(path: Path) -> Pinned:
    """The keys in the file `path`; raises UpdateRefused when there is none, ConfigError for a wrong file or
    one that others than root may write."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UpdateRefused(
            "no-key", "no key for updates is pinned on this box", f"put the maker's public keys into {path}"
        ) from None
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "make it a file of root") from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
            raise ConfigError(f"others may write {path}", f"run chown root {path} and chmod 644 {path}")
        return release.pinned(file.read(release.KEYS_LIMIT + 1), str(path))


def judge(signature: Path, keys: Pinned, box: Installed) -> Release:
    """The release in the file `signature`, which is one for `box`; raises UpdateRefused or UpdateError."""
    try:
        with signature.open("rb") as file:
            data = file.read(release.SIGNATURE_LIMIT + 1)
    except OSError as problem:
        raise UpdateError(
            f"can't read {signature} ({problem.strerror})",
            "put FILE.jws beside FILE, or name it: --signature",
        ) from None
    found = release.verify(data, keys)
    release.require_for(found, box, packages.is_older)
    return found


def require_room(place: Place, wanted: Release) -> None:
    """Raises UpdateError when the disk can't hold what an update needs at once."""
    needed = wanted.size + 2 * packages.installed_bytes()
    free = shutil.disk_usage(place.folder).free
    if free < needed:
        raise UpdateError(
            f"{free // 2**20} MiB are free and {needed // 2**20} MiB are needed", "free space on the disk"
        )


def take(source: Path, target: Path, wanted: Release) -> None:
    """Copy `source` to `target`, when size and SHA-256 are the signed ones.

    Raises UpdateRefused (digest) otherwise, and UpdateError when a file can't be read or written.
    """
    digest, left = hashlib.sha256(), wanted.size
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            while left >= 0 and (chunk := reading.read(min(_CHUNK, left + 1))):
                left -= len(chunk)
                digest.update(chunk)
                writing.write(chunk)
            writing.flush()
            os.fsync(writing.fileno())
    except OSError as problem:
        target.unlink(missing_ok=True)
        raise UpdateError(f"can't copy {source} ({problem.strerror})", "look at both disks") from None
    if left != 0 or digest.hexdigest() != wanted.sha256:
        target.unlink()
        raise UpdateRefused("digest", f"{source} is not the file that was signed", "copy it again")


def require_same(package: Path, wanted: Release) -> None:
    """Raises UpdateRefused (package) when the verified package calls itself otherwise than its release."""
    if packages.control(package) != (wanted.package, wanted.version, wanted.architecture):
        package.unlink()
        raise UpdateRefused("package", "the package is not what its release says", "tell its maker")


def lock(place: Place) -> None:
    """Take the lock of the update, for this process and the script that it becomes; raises UpdateError."""
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(place.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UpdateError("another update is under way", "wait for its end") from None
    if handle != LOCK_FD:
        os.dup2(handle, LOCK_FD)
        os.close(handle)
    os.set_inheritable(LOCK_FD, True)


def prepare(package: Path, signature: Path, place: Place) -> Release:
    """All of it; returns what is to be installed. The lock must be held. Raises as the steps above do."""
    box = packages.installed()
    wanted = judge(signature, pinned(place.keys), box)
    require_room(place, wanted)
    new, old = place.folder / "new.deb", place.folder / "old.deb"
    take(package, new, wanted)
    require_same(new, wanted)
    packages.make_again(old)
    shutil.copyfile(place.script, place.kept_script)
    return wanted
