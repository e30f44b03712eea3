"""Remembers scores by content, so that a second run is quick and a broken-off one goes on where it was.

A key is the digest of a file's bytes and of everything that scores it; a value is a short JSON text of
numbers. No path, picture, crop or embedding is ever stored.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from vouchbox.errors import EvaluationError

VALUE_BYTES_LIMIT = 128 * 1024
"""A frame's worth of pixels is several times larger: it can't be put here even by mistake."""

_TABLE = "CREATE TABLE IF NOT EXISTS score (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"


def default_path() -> Path:
    """Where scores are remembered unless told otherwise (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "vouchbox" / "evaluation.sqlite"


class ScoreCache:
    """Scores in one SQLite file (None: remember nothing). Raises EvaluationError for a file that is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=30.0)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_TABLE)
        except (sqlite3.Error, OSError) as problem:
            raise self._unusable(problem) from None

    def get(self, key: str) -> bytes | None:
        """What was put under `key`, or None."""
        try:
            row = self._database.execute("SELECT value FROM score WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as problem:
            raise self._unusable(problem) from None
        return bytes(row[0]) if row else None

    def put(self, key: str, value: bytes) -> None:
        """Remember `value`, at most VALUE_BYTES_LIMIT bytes (else ValueError)."""
        if len(value) > VALUE_BYTES_LIMIT:
            raise ValueError(f"a score of {len(value)} bytes is no score")
        try:
            self._database.execute("INSERT OR REPLACE INTO score VALUES (?, ?)", (key, value))
        except sqlite3.Error as problem:
            raise self._unusable(problem) from None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unusable(self, problem: Exception) -> EvaluationError:
        name = self._path.name if self._path is not None else "in memory"
        return EvaluationError(
            f"the cache {name} can't be used ({type(problem).__name__})",
            "delete it, or name another",
        )


def digest_of_file(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex; raises EvaluationError when it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise EvaluationError(
            f"{path.name} can't be read ({problem.strerror})", "make it readable, or take out the row"
        ) from None


def key_of(*parts: str) -> str:
    """One key of several parts, none of which can run into the next."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
