"""Changes the box's configuration file key by key; what else stands there, comments too, stays.

The new text is checked whole before it is written, must say exactly the old plus the changes, and takes the
old file's place in one move. The old text is kept beside it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.errors import ConfigError
from vouchbox.vault import keys_file

Scalar = str | int | float | bool
Tables = Mapping[tuple[str, ...], Mapping[str, Scalar]]
"""Table (`("vault", "token")` is [vault.token]) to its keys and values."""

MODE = 0o644
_HEADER = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(#.*)?$")


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked change of the file `path`: its text before (None: there was no file) and after."""

    path: Path
    before: str | None
    text: str
    config: Config

    @property
    def differences(self) -> tuple[str, ...]:
        """One line for each value that changes, for people."""
        old = flat(tomllib.loads(self.before or ""))
        new = flat(tomllib.loads(self.text))
        return tuple(
            f"{'.'.join(table)}.{key}: {_word(old.get(table, {}).get(key))} -> {_word(value)}"
            for table, values in new.items()
            for key, value in values.items()
            if old.get(table, {}).get(key) != value
        )


def draft(path: Path, changes: Tables) -> Draft:
    """The file `path` with `changes`, not written yet; raises ConfigError and names what is wrong."""
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"can't read {path} ({type(problem).__name__})", "give a readable file") from None
    text = edited(before or "", changes, str(path))
    return Draft(path, before, text, configuration.parse(text.encode(), str(path)))


def write(made: Draft) -> Path | None:
    """Put the draft in the file's place; returns where the file before is kept (None: nothing was lost).

    Raises ConfigError when the file was changed meanwhile or can't be written; then it is as it was.
    """
    if made.text == made.before:
        return None
    place = made.path.resolve()
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        kept = None
        mode = MODE
        if made.before is not None:
            if place.read_text(encoding="utf-8") != made.before:
                raise ConfigError(f"{place} was changed meanwhile", "run this again")
            mode = stat.S_IMODE(place.stat().st_mode)
            kept = _spare(place)
            keys_file.write_new(kept, made.before.encode(), mode)
        keys_file.replace(place, made.text.encode(), mode)
        place.chmod(mode)  # whatever the umask took away
    except OSError as problem:
        raise ConfigError(f"can't write {place} ({problem.strerror})", "run this as root") from None
    return kept


def edited(text: str, changes: Tables, where: str) -> str:
    """`text` with `changes`, line by line. Raises ConfigError where the outcome would not be exactly the old
    plus the changes, for example in a file that uses inline tables."""
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{where} is wrong ({problem})", "correct that line") from None
    _merge(expected, changes)
    lines = text.splitlines()
    for table, values in changes.items():
        for key, value in values.items():
            _set(lines, table, key, value)
    new = "\n".join(lines) + "\n" if lines else ""
    try:
        same = tomllib.loads(new) == expected
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        names = ", ".join(f"{'.'.join(table)}.{key}" for table, values in changes.items() for key in values)
        raise ConfigError(f"{where} is written in a way that can't be changed here", f"set {names} by hand")
    return new


def flat(
    document: Mapping[str, Any], where: tuple[str, ...] = ()
) -> dict[tuple[str, ...], dict[str, Scalar]]:
    """A TOML document as Tables. Raises ConfigError for arrays and dates, which no setting is."""
    found: dict[tuple[str, ...], dict[str, Scalar]] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found |= flat(value, (*where, key))
        elif isinstance(value, str | int | float | bool):
            found.setdefault(where, {})[key] = value
        else:
            raise ConfigError(f"{'.'.join((*where, key))} has a value that no setting takes", "take it out")
    return found


def _set(lines: list[str], table: tuple[str, ...], key: str, value: Scalar) -> None:
    start = next((number for number, line in enumerate(lines) if _name(line) == table), None)
    if start is None:
        lines += [*([""] if lines else []), f"[{'.'.join(table)}]", f"{key} = {_literal(value)}"]
        return
    end = next((n for n in range(start + 1, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    last = start
    for number in range(start + 1, end):
        found = re.match(r"^(\s*)([A-Za-z0-9_-]+)(\s*=\s*)(.*)$", lines[number])
        if found is None:
            continue
        last = number
        if found[2] == key:
            changed = f"{found[1]}{key}{found[3]}{_literal(value)}"
            lines[number] = _with_comment(changed, lines[number], found[4])
            return
    lines.insert(last + 1, f"{key} = {_literal(value)}")


def _name(line: str) -> tuple[str, ...] | None:
    found = _HEADER.match(line)
    return tuple(part.strip() for part in found[1].split(".")) if found else None


def _with_comment(changed: str, line: str, rest: str) -> str:
    for found in re.finditer("#", rest):
        try:
            tomllib.loads(f"value = {rest[: found.start()]}")
        except tomllib.TOMLDecodeError:
            continue
        column = len(line) - len(rest) + found.start()
        return f"{changed}  ".ljust(column) + rest[found.start() :]
    return changed


def _literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)


def _merge(document: dict[str, Any], changes: Tables) -> None:
    for table, values in changes.items():
        place: Any = document
        for part in table:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise ConfigError(f"{'.'.join(table)} is no table", "write it as a table")
        place.update(deepcopy(dict(values)))


def _spare(path: Path) -> Path:
    number = 1
    while os.path.lexists(spare := path.with_name(f"{path.name}.old-{number}")):
        number += 1
    return spare


def _word(value: object) -> str:
    return "(default)" if value is None else _literal(value) if isinstance(value, str | int | float) else "?"
