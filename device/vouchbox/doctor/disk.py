"""Has the vault's folder the right owner, no other readers, and room? And the folder of its sockets?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok, warning
from vouchbox.doctor.machine import PASS, READ, WRITE, Account, mode, name_of
from vouchbox.errors import OutboxError
from vouchbox.vault.store import FILE, Store

LEAST_BYTES = 8 * 1024 * 1024
"""With less than this the next write of the database may fail, and then no request is taken."""

LOW_BYTES = 128 * 1024 * 1024
LEAST_FILES = 64
FREE = "free space: `journalctl --vacuum-size=50M`, `apt clean`"


def room(free: int, files: int, read_only: bool, folder: Path) -> Finding:
    """Judge what statvfs(3) says: free bytes and free inodes for ordinary users (files < 0: not counted)."""
    if read_only:
        return fault(
            "disk",
            f"{folder} lies on a disk that can only be read",
            "mount it writable, or give [box] another `state`",
        )
    mib = free // (1024 * 1024)
    if free < LEAST_BYTES or 0 <= files < LEAST_FILES:
        left = f"{mib} MiB" if free < LEAST_BYTES else f"{files} files"
        return fault(
            "disk",
            f"the disk of {folder} is full ({left} left), so no request is taken",
            FREE,
        )
    if free < LOW_BYTES:
        return warning(
            "disk",
            f"the disk of {folder} is nearly full ({mib} MiB left)",
            FREE,
        )
    return ok("disk", f"{mib} MiB are free for {folder}")


def owner(facts: os.stat_result, folder: Path, vault: Account) -> Finding:
    """Judge owner and mode of the state folder: the vault's alone."""
    if not stat.S_ISDIR(facts.st_mode):
        return fault("state-folder", f"{folder} is no folder", "move it away and start the vault")
    if not vault.allows(facts, READ | WRITE | PASS):
        return fault(
            "state-folder",
            f"{vault.name} may not write {folder} ({name_of(facts.st_uid)}, mode {mode(facts)})",
            f"run chown {vault.name} {folder} and chmod 700 {folder}",
        )
    if facts.st_mode & 0o007 or facts.st_mode & 0o020:
        return fault(
            "state-folder", f"others may look into {folder} (mode {mode(facts)})", f"run chmod 700 {folder}"
        )
    return ok("state-folder", f"{folder} belongs to {name_of(facts.st_uid)} alone")


def check(config: Config, vault: Account) -> Iterator[Finding]:
    """The state folder, its disk and the database in it."""
    folder = config.box.state
    try:
        facts = folder.stat()
        yield owner(facts, folder, vault)
        space = os.statvfs(folder)
    except FileNotFoundError:
        yield warning("state-folder", f"{folder} is not there yet", "start the vault, which makes it")
        return
    except OSError as problem:
        yield not_checked("state-folder", f"can't look at {folder} ({problem.strerror})", "run this as root")
        return
    files = space.f_favail if space.f_files else -1
    yield room(space.f_bavail * space.f_frsize, files, bool(space.f_flag & os.ST_RDONLY), folder)
    yield from database(folder, vault)


def database(folder: Path, vault: Account) -> Iterator[Finding]:
    """Whether the database opens, is of this version, and is the vault's own."""
    path = folder / FILE
    try:
        facts = path.stat()
    except FileNotFoundError:
        yield ok("database", "there is none yet: the vault makes it at its first start")
        return
    except OSError as problem:
        yield not_checked("database", f"can't look at {path} ({problem.strerror})", "run this as root")
        return
    if facts.st_mode & 0o077 or not vault.allows(facts, READ | WRITE):
        yield fault(
            "database",
            f"{path} belongs to {name_of(facts.st_uid)} with mode {mode(facts)}",
            f"run chown {vault.name} {path} and chmod 600 {path}",
        )
        return
    if not os.access(path, os.R_OK):
        yield not_checked("database", f"this user may not read {path}", "run this as root")
        return
    try:
        store = Store(folder, read_only=True)
        try:
            (verdict,) = store.execute("PRAGMA quick_check(1)")[0]
        finally:
            store.close()
    except OutboxError as problem:
        yield of("database", problem)
        return
    except IndexError:
        verdict = "no answer"
    if verdict == "ok":
        yield ok("database", f"{path} is whole")
    else:
        yield fault("database", f"{path} is damaged", "stop the vault, keep a copy, and restore a backup")


def sockets(config: Config, vault: Account) -> Iterator[Finding]:
    """The folder of the vault's sockets: the vault writes, the other rooms pass, strangers do not."""
    folder = config.box.run
    try:
        facts = folder.stat()
    except OSError:
        yield warning(
            "run-folder", f"{folder} is not there yet", "run systemd-tmpfiles --create, or start the vault"
        )
        return
    if not vault.allows(facts, READ | WRITE | PASS):
        yield fault(
            "run-folder",
            f"{vault.name} may not write {folder} (mode {mode(facts)}, {name_of(facts.st_uid)})",
            "run systemd-tmpfiles --create vouchbox.conf",
        )
    elif facts.st_mode & 0o022:
        yield fault("run-folder", f"others may put sockets into {folder}", f"run chmod go-w {folder}")
    else:
        yield ok("run-folder", f"{folder} belongs to {name_of(facts.st_uid)}")
