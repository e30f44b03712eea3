"""Reads the CSV that lists presentations: what was shown, as what it is labelled, where the file lies.

Everything is checked before any file is looked at: a wrong manifest measures nothing. Rows are never
dropped, mended or guessed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from vouchbox.errors import UsageError

MANIFEST_BYTES_LIMIT = 64 * 1024 * 1024

_NAME_CHARACTERS = 160
_COLUMNS = ("path", "kind", "label", "attack")

Choice = TypeVar("Choice", bound=StrEnum)


class Kind(StrEnum):
    """A video, a still picture of the whole scene, or a still picture cut close to the face."""

    VIDEO = "video"
    FULL = "full"
    CROP = "crop"


class Label(StrEnum):
    """Bona fide or attack presentation (ISO/IEC 30107-1)."""

    BONA_FIDE = "bonafide"
    ATTACK = "attack"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One row. `name` is the path as written, `species` the PAI species ("" when bona fide), `seen` whether
    the row says that a network was trained on it."""

    name: str
    path: Path
    kind: Kind
    label: Label
    species: str
    person: str
    seen: bool

    @property
    def bona_fide(self) -> bool:
        """Is it labelled bona fide?"""
        return self.label is Label.BONA_FIDE


def read_manifest(path: Path) -> tuple[Presentation, ...]:
    """The presentations of a CSV with at least the columns path, kind, label, attack; person and train are
    read where they are. Relative paths start at the CSV. Raises UsageError for anything that is wrong."""
    rows = [_presentation(path.parent, line, row) for line, row in _rows(path)]
    if not rows:
        raise UsageError("the manifest lists no presentation", "add at least one row")
    _check_files(rows)
    return tuple(rows)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        if path.stat().st_size > MANIFEST_BYTES_LIMIT:
            raise UsageError("the manifest is too large", "split it")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            absent = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if absent:
                raise UsageError(
                    f"the manifest has no column {', '.join(absent)}",
                    f"name the columns {', '.join(_COLUMNS)} in its first line",
                )
            # A row that is too short has None as value, one that is too long has None as key.
            return [
                (reader.line_num, {key: (value or "").strip() for key, value in row.items() if key})
                for row in reader
            ]
    except OSError as problem:
        raise UsageError(f"the manifest can't be read ({problem.strerror})", "give a CSV file") from None
    except (csv.Error, UnicodeDecodeError):
        raise UsageError("the manifest is no CSV file in UTF-8", "write it anew") from None


def _presentation(folder: Path, line: int, row: dict[str, str]) -> Presentation:
    name = row["path"]
    if not name or "\0" in name:
        raise UsageError(f"line {line} of the manifest names no file", "fill in its path")
    kind, label = _one_of(Kind, row["kind"], line), _one_of(Label, row["label"], line)
    species = row["attack"] if label is Label.ATTACK else ""
    if label is Label.ATTACK and not species:
        raise UsageError(
            f"line {line} of the manifest is an attack of no species", "write print, replay_phone or the like"
        )
    return Presentation(
        name, folder / name, kind, label, species, row.get("person", ""), row.get("train", "") == "yes"
    )


def _one_of(choices: type[Choice], word: str, line: int) -> Choice:
    try:
        return choices(word)
    except ValueError:
        what = choices.__name__.lower()
        raise UsageError(
            f"line {line} of the manifest has the unknown {what} {word!r}",
            f"use {', '.join(choice.value for choice in choices)}",
        ) from None


def _check_files(rows: list[Presentation]) -> None:
    missing = [row.name[:_NAME_CHARACTERS] for row in rows if not _is_there(row.path)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(
            f"the manifest names {missing[0]}{more}, which does not exist",
            "paths count from the folder of the CSV",
        )
    names = set()
    for row in rows:
        if row.name in names:
            raise UsageError(f"the manifest names {row.name} twice", "a presentation counts once")
        names.add(row.name)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a name that no file can have
