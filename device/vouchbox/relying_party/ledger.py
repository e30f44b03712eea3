"""What a relying party must not forget: requests it made, verdicts it accepted, sealed templates. SQLite.

One file on one machine; several replicas of the service may share it. A verdict counts exactly once (its
`jti` is unique, and each request has one answer), however often it arrives. Templates stay sealed here: the
seal key lies elsewhere. An erased row is overwritten (secure_delete). Every method is one transaction that
is on the disk when it returns.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vouchbox.errors import OutboxError, VerdictInvalid
from vouchbox.messages import Action, Level
from vouchbox.relying_party.requests import Asked
from vouchbox.relying_party.withdrawals import Erased, Withdrawal

PENDING_LIMIT = 1000
"""Templates that wait for their verdict, at most."""
PENDING_S = 24 * 3600
"""Seconds that a template waits for its verdict."""
FORGET_S = 30 * 24 * 3600
"""Seconds after which a request and its verdict are forgotten; no verdict lives that long."""
_BUSY_S = 10.0
_DAY_S = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    jti TEXT PRIMARY KEY, box TEXT NOT NULL, nonce TEXT NOT NULL, subject TEXT NOT NULL,
    purpose TEXT NOT NULL, action TEXT NOT NULL, level TEXT NOT NULL,
    made INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS verdict (
    jti TEXT PRIMARY KEY, request TEXT NOT NULL UNIQUE, outcome TEXT NOT NULL, token BLOB NOT NULL,
    arrived INTEGER NOT NULL, kept INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS pending (
    sha256 TEXT PRIMARY KEY, verdict TEXT NOT NULL, payload BLOB NOT NULL, arrived INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS template (
    subject TEXT PRIMARY KEY, verdict TEXT NOT NULL, sha256 TEXT NOT NULL, payload BLOB NOT NULL,
    stored INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS withdrawal (
    verdict TEXT PRIMARY KEY, receipt TEXT NOT NULL, box TEXT NOT NULL, templates INTEGER NOT NULL,
    verdicts INTEGER NOT NULL, erased INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS pending_by_verdict ON pending (verdict);
"""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A request as the ledger knows it; `subject` is the customer's own handle, never a name."""

    jti: str
    box: str
    nonce: str
    subject: str
    purpose: str
    action: Action
    level: Level


class Ledger:
    """The ledger in the file `path`; raises OutboxError when the disk refuses. Not shared by threads."""

    def __init__(self, path: Path) -> None:
        try:
            # SQLite gives its write-ahead log the mode of the file, so the mode must be right from the start.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as problem:
            raise OutboxError(f"can't open the ledger {path} ({problem})", "give a writable file") from None

    def remember(self, asked: Asked, subject: str, now: float) -> None:
        """A request is about to be sent for `subject`."""
        row = (asked.jti, asked.box, asked.nonce, subject, asked.purpose, asked.action, asked.level, int(now))
        self._write("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def request(self, jti: str) -> Remembered | None:
        """The request with this `jti`, if this party made it."""
        row = self._one(
            "SELECT jti, box, nonce, subject, purpose, action, level FROM request WHERE jti = ?", jti
        )
        if row is None:
            return None
        name, box, nonce, subject, purpose, action, level = row
        return Remembered(name, box, nonce, subject, purpose, Action(action), Level(level))

    def accept(self, jti: str, request: str, outcome: str, token: bytes, now: float) -> bool:
        """Record a verified verdict; False when it is here already, its request has another answer, or the
        consent behind it was withdrawn before it came."""
        row = (jti, request, outcome, token, int(now))
        with self._transaction():
            if self.withdrawn(jti) is not None:
                self._write("UPDATE request SET subject = '' WHERE jti = ?", (request,))
                return False
            return self._write("INSERT OR IGNORE INTO verdict VALUES (?, ?, ?, ?, ?, 0)", row) == 1

    def verdict(self, jti: str) -> bytes | None:
        """The token of an accepted verdict, unless it was erased."""
        row = self._one("SELECT token FROM verdict WHERE jti = ? AND token != x''", jti)
        return None if row is None else row[0]

    def answer(self, request: str) -> bytes | None:
        """The token of the accepted verdict that answers `request`, unless it was erased."""
        row = self._one("SELECT token FROM verdict WHERE request = ? AND token != x''", request)
        return None if row is None else row[0]

    def park(self, digest: str, verdict: str, payload: bytes, now: float) -> None:
        """Keep a template whose verdict has not arrived; the oldest make room beyond PENDING_LIMIT."""
        row = (digest, verdict, payload, int(now))
        with self._transaction():
            if self.withdrawn(verdict) is not None:
                return
            self._write("INSERT OR IGNORE INTO pending VALUES (?, ?, ?, ?)", row)
            self._write(
                "DELETE FROM pending WHERE sha256 NOT IN"
                " (SELECT sha256 FROM pending ORDER BY arrived DESC, rowid DESC LIMIT ?)",
                (PENDING_LIMIT,),
            )

    def parked(self, verdict: str) -> list[bytes]:
        """The templates that wait for this verdict."""
        with closing(self._run("SELECT payload FROM pending WHERE verdict = ?", (verdict,))) as found:
            return [row[0] for row in found]

    def store(self, subject: str, verdict: str, digest: str, payload: bytes, now: float, days: int) -> bool:
        """Keep the sealed template of `subject`, in place of an earlier one, for `days` days.

        False when this verdict's template was kept once before, or its consent was withdrawn: a late copy
        must not come back after a newer enrolment or an erasure.
        """
        row = (subject, verdict, digest, payload, int(now), int(now) + days * _DAY_S)
        with self._transaction():
            if self.withdrawn(verdict) is not None:
                return False
            first = self._write("UPDATE verdict SET kept = 1 WHERE jti = ? AND kept = 0", (verdict,)) == 1
            if first:
                self._write("INSERT OR REPLACE INTO template VALUES (?, ?, ?, ?, ?, ?)", row)
            self._write("DELETE FROM pending WHERE verdict = ?", (verdict,))
        return first

    def template(self, subject: str, now: float) -> bytes | None:
        """The sealed template message of `subject`, unless it is erased or past its retention."""
        row = self._one("SELECT payload FROM template WHERE subject = ? AND until > ?", subject, int(now))
        return None if row is None else row[0]

    def erase(self, subject: str) -> int:
        """Erase the template of `subject` and unlink its requests; returns how many templates went."""
        with self._transaction():
            count = self._write("DELETE FROM template WHERE subject = ?", (subject,))
            self._write("UPDATE request SET subject = '' WHERE subject = ?", (subject,))
        self._checkpoint()
        return count

    def withdraw(self, told: Withdrawal, now: float) -> Erased:
        """Erase what belongs to the verdict of a withdrawal, and keep that it was withdrawn.

        The same withdrawal again, or another one with the same receipt, gets the answer of the first. Raises
        VerdictInvalid when the verdict was withdrawn by another receipt.
        """
        with self._transaction():
            before = self.withdrawn(told.verdict)
            receipt = self._one("SELECT receipt FROM withdrawal WHERE verdict = ?", told.verdict)
            if receipt is not None and receipt[0] != told.receipt:
                raise VerdictInvalid(
                    "the receipt is not that verdict's", "nobody but the person can withdraw"
                )
            if before is None:
                before = Erased(*self._erase_verdict(told.verdict), int(now))
                row = (told.verdict, told.receipt, told.box, before.templates, before.verdicts, before.at)
                self._write("INSERT INTO withdrawal VALUES (?, ?, ?, ?, ?, ?)", row)
        self._checkpoint()
        return before

    def withdrawn(self, verdict: str) -> Erased | None:
        """What was erased when the consent behind `verdict` was withdrawn."""
        row = self._one("SELECT templates, verdicts, erased FROM withdrawal WHERE verdict = ?", verdict)
        return None if row is None else Erased(*row)

    def _erase_verdict(self, verdict: str) -> tuple[int, int]:
        templates = self._write("DELETE FROM template WHERE verdict = ?", (verdict,))
        templates += self._write("DELETE FROM pending WHERE verdict = ?", (verdict,))
        self._write(
            "UPDATE request SET subject = '' WHERE jti = (SELECT request FROM verdict WHERE jti = ?)",
            (verdict,),
        )
        verdicts = self._write(
            "UPDATE verdict SET token = x'', outcome = 'withdrawn', kept = 1 WHERE jti = ? AND token != x''",
            (verdict,),
        )
        return templates, verdicts

    def sweep(self, now: float) -> int:
        """Erase what is past its time; returns how many templates went."""
        with self._transaction():
            count = self._write("DELETE FROM template WHERE until <= ?", (int(now),))
            self._write("DELETE FROM pending WHERE arrived <= ?", (int(now) - PENDING_S,))
            self._write("DELETE FROM verdict WHERE arrived <= ?", (int(now) - FORGET_S,))
            self._write("DELETE FROM request WHERE made <= ?", (int(now) - FORGET_S,))
            self._write("DELETE FROM withdrawal WHERE erased <= ?", (int(now) - FORGET_S,))
        self._checkpoint()
        return count

    def read(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Rows of a SELECT, for export.py."""
        with closing(self._run(query, values)) as found:
            return found.fetchall()

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = {
            "requests": "SELECT count(*) FROM request",
            "verdicts": "SELECT count(*) FROM verdict",
            "pending": "SELECT count(*) FROM pending",
            "templates": "SELECT count(*) FROM template",
            "withdrawals": "SELECT count(*) FROM withdrawal",
        }
        return {name: row[0] for name, query in tables.items() if (row := self._one(query)) is not None}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._write("BEGIN IMMEDIATE", ())
        try:
            yield
        except BaseException:
            self._db.rollback()
            raise
        self._write("COMMIT", ())

    def _checkpoint(self) -> None:
        # The write-ahead log would still hold what was erased.
        with closing(self._run("PRAGMA wal_checkpoint(TRUNCATE)", ())):
            pass

    def _one(self, query: str, *values: str | int) -> tuple[Any, ...] | None:
        with closing(self._run(query, values)) as found:
            row: tuple[Any, ...] | None = found.fetchone()
            return row

    def _write(self, query: str, values: tuple[object, ...]) -> int:
        with closing(self._run(query, values)) as done:
            return done.rowcount

    def _run(self, query: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as problem:
            raise OutboxError(f"the ledger refuses ({problem})", "check the disk") from None
