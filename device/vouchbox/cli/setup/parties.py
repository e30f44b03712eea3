"""The step `party`: registers relying parties at this box, every file or none. Safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vouchbox.errors import ConfigError
from vouchbox.vault import registration, registry
from vouchbox.vault.registry import Party


@dataclass(frozen=True, slots=True)
class Registered:
    """A party of this box; `new` is false when the very same registration was there already."""

    party: Party
    new: bool


def check(folder: Path, files: Iterable[Path]) -> tuple[Registered, ...]:
    """What `register` would do; raises ConfigError for a file that is wrong or says something else than the
    registration that is there. Changes nothing."""
    found: list[Registered] = []
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as problem:
            raise ConfigError(f"can't read {file} ({problem.strerror})", "give a readable file") from None
        party = registry.parse(data, str(file))
        there = folder / f"{party.id}.toml"
        if there.exists() and there.read_bytes() != data:
            raise ConfigError(
                f"{party.id} is registered already, and otherwise than {file} says",
                f"run `vouchbox relying-party add --replace {file}` if that is meant",
            )
        if party.id in {known.party.id for known in found}:
            raise ConfigError(f"two files register {party.id}", "give one")
        found.append(Registered(party, new=not there.exists()))
    return tuple(found)


def register(folder: Path, files: Iterable[Path]) -> tuple[Registered, ...]:
    """Put the registrations in `files` into `folder`; raises ConfigError, and then nothing is registered."""
    files = tuple(files)
    found = check(folder, files)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as problem:
        raise ConfigError(f"can't write to {folder} ({problem.strerror})", "run this as root") from None
    for file, known in zip(files, found, strict=True):
        if known.new:
            registration.add(folder, file)
    return found


def known(folder: Path) -> tuple[Party, ...]:
    """Who is registered at this box; raises ConfigError for a registration that would not load."""
    return tuple(registry.load(folder).values()) if folder.is_dir() else ()
