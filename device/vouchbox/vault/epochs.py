"""Epochs of templates: one number a party that only grows, kept where a copied file can't turn it back.

The registration names a party's epoch, for it is the same on every box of a fleet. The database remembers the
highest one that was ever in use, so a registration that was put back is refused; a database that was put back
is found by its signed head (signed_head.py). A new epoch revokes every template of the one before.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from vouchbox.errors import ConfigError, UsageError
from vouchbox.vault import audit, registry
from vouchbox.vault.formats import NAME
from vouchbox.vault.registry import Registry
from vouchbox.vault.store import Store

LAST_EPOCH = 1_000_000

_LINE = re.compile(r"^[ \t]*epoch[ \t]*=.*$", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def settle(store: Store, parties: Registry, now: int) -> None:
    """Take up the epochs of the registrations, inside the caller's transaction.

    Raises ConfigError when one is older than the epoch that was in use already.
    """
    for party in parties.values():
        used = in_use(store, party.id)
        if party.epoch < used:
            raise ConfigError(
                f"{party.id}.toml names epoch {party.epoch}, but epoch {used} was in use already",
                f"set epoch = {used} there, for an epoch never goes back",
            )
        if party.epoch > used:
            _begin(store, party.id, party.epoch, now)


def in_use(store: Store, party: str) -> int:
    """The highest epoch that this box ever used for `party`; 0 before the first."""
    rows = store.execute("SELECT epoch FROM epoch WHERE party = ?", (party,))
    return int(str(rows[0][0])) if rows else 0


def renew(store: Store, directory: Path, party: str, now: int) -> int:
    """Begin the next epoch of `party`: registration file, mark and audit entry; returns its number.

    The file is replaced before the mark is committed, so a power cut between the two leaves what `settle`
    completes at the next start. Raises ConfigError, UsageError or OutboxError, and then nothing has changed.
    """
    if not re.fullmatch(NAME, party):
        raise UsageError(f"{party!r} is no party's id", "give the id of its registration")
    path = directory / f"{party}.toml"
    registered = registry.load_party(path)
    epoch = max(registered.epoch, in_use(store, party)) + 1
    if epoch > LAST_EPOCH:
        raise UsageError("there is no further epoch", "register the party under another id")
    text = with_epoch(path.read_bytes().decode(), epoch)
    registry.parse(text.encode(), str(path))
    with store.transaction():
        _begin(store, party, epoch, now)
        _replace(path, text)
    return epoch


def with_epoch(text: str, epoch: int) -> str:
    """The registration in `text` with another epoch and nothing else changed."""
    table = _TABLE.search(text)
    end = table.start() if table else len(text)
    top, rest = text[:end], text[end:]
    line = f"epoch = {epoch}"
    top = _LINE.sub(line, top, count=1) if _LINE.search(top) else f"{line}\n{top}"
    changed = top + rest
    before, after = tomllib.loads(text), tomllib.loads(changed)
    if {**before, "epoch": epoch} != after:
        raise ConfigError("the registration is laid out in an unusual way", f"write {line} into it by hand")
    return changed


def _begin(store: Store, party: str, epoch: int, now: int) -> None:
    store.execute(
        "INSERT INTO epoch VALUES (?, ?) ON CONFLICT (party) DO UPDATE SET epoch = excluded.epoch",
        (party, epoch),
    )
    audit.append(store, audit.Event.EPOCH, now, {"party": party, "epoch": epoch})


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    try:
        facts = path.stat()
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            os.fchmod(handle, facts.st_mode & 0o777)
            if os.geteuid() == 0:
                os.fchown(handle, facts.st_uid, facts.st_gid)
            file.flush()
            os.fsync(handle)
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as problem:
        raise ConfigError(f"can't write {path} ({problem.strerror})", "run this as its owner") from None
