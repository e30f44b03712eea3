"""Is the configuration strict, whole and out of others' hands, and do its users exist?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, fault, of, ok, warning
from vouchbox.doctor.machine import READ, Machine
from vouchbox.errors import ConfigError

CHECK = "configuration"


def read(path: Path) -> tuple[Config | None, Finding]:
    """The configuration, or None, and what is to be said about the file."""
    try:
        config = configuration.load(path)
        facts = path.stat()
    except ConfigError as problem:
        return None, of(CHECK, problem)
    except OSError as problem:
        return None, fault(CHECK, f"can't read {path} ({problem.strerror})", "give a readable file")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return config, fault(CHECK, f"others than its owner may change {path}", f"run chmod go-w {path}")
    return config, ok(CHECK, f"{path} is whole: this is {config.box.audience}")


def check(config: Config, path: Path, machine: Machine, installed: bool) -> Iterator[Finding]:
    """Whether each room's user exists and may read the file; `installed`: the rooms have units here."""
    users = config.vault.users
    if not users:
        yield (
            warning(
                "users",
                "no room has a Unix user of its own in [vault.users], so the vault knows nobody who knocks",
                "name them, as /etc/vouchbox/vouchbox.toml of the package does",
            )
            if installed
            else ok("users", "every room runs as this user, as on a developer's machine")
        )
        return
    absent = []
    for room, user in users.items():
        try:
            account = machine.account(room, user)
        except KeyError:
            absent.append(str(user))
            continue
        if not account.reaches(path, READ):
            yield fault(
                "users",
                f"{account.name} may not read {path}",
                f"run chmod a+r {path}, and a+x on its folders; no secret stands there",
            )
    for user in sorted(set(absent)):
        yield fault(
            "users", f"[vault.users] names {user}, whom this machine does not know", "run systemd-sysusers"
        )
    if not absent:
        yield ok(
            "users", f"every room's user exists: {', '.join(sorted({str(user) for user in users.values()}))}"
        )
