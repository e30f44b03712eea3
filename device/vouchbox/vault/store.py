"""The vault's one database: SQLite with a write-ahead log, every commit on the disk before it counts.

It opens, checks the schema and gives transactions; which rows there are is the business of the outbox, the
journal, the replay window, the audit log and the egress ledger, so that one transaction can span them all.
The tables stand in schema.py: a database of an earlier version is brought up to date in one transaction, one
of a later version is refused. Deleted rows are overwritten (secure_delete). Any trouble of the disk is an
OutboxError, and what was begun is undone. One thread only.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vouchbox.errors import OutboxError
from vouchbox.vault.schema import MIGRATIONS, SCHEMA_VERSION

FILE = "vault.sqlite"
LOCK_FILE = "vault.lock"

PRAGMAS = (
    "page_size=1024",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",
    "foreign_keys=ON",
)
"""Pages of 1 KiB, for every commit writes whole pages, and the rows are small: half as many bytes are written
as with the default of 4 KiB. A database that was made with other pages keeps them."""

Value = str | int | float | bytes | None
Row = tuple[Value, ...]


class Store:
    """The open database."""

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        """Open it in `directory`, and create it unless `read_only`; raises OutboxError when that fails."""
        path = directory / FILE
        self.commits = 0
        """Transactions put on the disk since it was opened; each costs an SD card at least one write."""
        self._lock: int | None = None
        try:
            if read_only:
                self._connection = _reader(path)
                return
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._lock = _only_one(directory)
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        except OutboxError:
            raise
        except (OSError, sqlite3.Error):
            raise OutboxError(f"can't open {path}", "look at that folder and its owner") from None
        try:
            for pragma in PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            self._prepare(path)
        except sqlite3.Error:
            self.close()
            raise OutboxError(f"{path} is damaged or the disk is full", "look at the disk") from None

    def _prepare(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= SCHEMA_VERSION:
            self.close()
            raise OutboxError(f"{path} is of a later version", "use the vouchbox that wrote it")
        if version < SCHEMA_VERSION:
            steps = "".join(MIGRATIONS[version:])
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {steps} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; on the disk when it ends. Raises OutboxError when the disk refuses."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
            self.commits += 1
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def execute(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one statement and return its rows; raises OutboxError when the database refuses.

        A broken constraint comes through as sqlite3.IntegrityError, for it says something about the data.
        """
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as problem:
            raise OutboxError(
                f"the database refuses ({problem.sqlite_errorname})", "free space on the disk"
            ) from None

    def fact(self, name: str) -> str:
        """A remembered value, empty when there is none."""
        rows = self.execute("SELECT value FROM fact WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def remember(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        self.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def forget_deleted(self) -> None:
        """Empty the write-ahead log, so that deleted rows are gone from it too."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close; the log is folded into the file."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _only_one(directory: Path) -> int:
    # A second vault would end the first one's session as interrupted and take its sockets.
    lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OutboxError(f"another vault works in {directory}", "stop it first") from None
    return lock


def _reader(path: Path) -> sqlite3.Connection:
    # A database that nobody has open may have no write-ahead log, and a reader can't make one.
    quiet = not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=5.0)
