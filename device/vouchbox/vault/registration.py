"""Puts a relying party's registration into the box's folder, whole or not at all.

What is wrong never gets there: a file is checked by registry.parse before it is written, replaces another
only when told so, and never brings an older epoch. The vault reads the folder when it starts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from vouchbox.errors import ConfigError
from vouchbox.vault import registry
from vouchbox.vault.registry import Party

MODE = 0o644
"""A registration holds public keys and public words; the operator writes it, the vault reads it."""


def add(directory: Path, source: Path, *, replace: bool = False) -> Party:
    """Check the registration in `source` and put it into `directory` as `<id>.toml`; returns the party.

    Raises ConfigError when it is wrong, registered already (without `replace`), of an older epoch than the
    one it replaces, or can't be written. Then the folder is as it was.
    """
    try:
        data = source.read_bytes()
    except OSError as problem:
        raise ConfigError(f"can't read {source} ({problem.strerror})", "give a readable file") from None
    party = registry.parse(data, str(source))
    target = directory / f"{party.id}.toml"
    if replace and target.exists():
        _require_epoch(party, registry.load_party(target))
    spare = directory / f".{party.id}.{secrets.token_hex(8)}"
    try:
        _write(spare, data)
        if replace:
            spare.replace(target)
        else:
            target.hardlink_to(spare)
        _settle(directory)
    except FileExistsError:
        raise ConfigError(f"{party.id} is registered already", "add --replace to change it") from None
    except OSError as problem:
        raise ConfigError(f"can't write to {directory} ({problem.strerror})", "look at that folder") from None
    finally:
        with contextlib.suppress(OSError):
            spare.unlink(missing_ok=True)
    return party


def _require_epoch(new: Party, old: Party) -> None:
    if new.epoch < old.epoch:
        raise ConfigError(
            f"the registration of {new.id} names epoch {new.epoch}, but {old.epoch} is in use",
            f"set epoch = {old.epoch}, for an epoch never goes back",
        )


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, MODE)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _settle(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
