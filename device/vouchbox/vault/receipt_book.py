"""The receipts this box gave and the withdrawals it was brought: two tables, nothing secret in them.

A receipt is kept as long as the person's answer counts. The code that withdraws is not here: a receipt goes
by the code's digest. A withdrawal stays until its receipt's time is over and the erasure was confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.vault.store import Row, Store

KEPT_AFTER_ERASURE_S = 366 * 86_400
"""How long the box can show that an erasure was confirmed."""

RECEIPT_LIMIT = 20_000
"""Receipts kept at most; beyond, the oldest makes room, and withdraws by its QR code only."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A receipt: its id, session (the verdict's jti), party, full form, Unix seconds from and until."""

    receipt: str
    session: str
    party: str
    token: bytes
    issued: int
    until: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal: its id, the receipt's, the verdict's, party, the box that gave the receipt, when it was
    asked for, and the relying party's signed erasure receipt once there is one."""

    withdrawal: str
    receipt: str
    verdict: str
    party: str
    box: str
    asked: int
    erased: int | None = None
    erasure: bytes = b""


def keep(store: Store, kept: Kept, *, limit: int = RECEIPT_LIMIT, now: int | None = None) -> None:
    """Add a receipt and drop those whose time is over, inside the caller's transaction.

    `now` is the time when that is known; without it none is dropped for its time: a clock that was never set
    must not take away anybody's withdrawal.
    """
    if now is not None:
        _sweep(store, now)
    [(count,)] = store.execute("SELECT count(*) FROM receipt")
    if int(str(count)) >= limit:
        store.execute(
            "DELETE FROM receipt WHERE receipt = (SELECT receipt FROM receipt ORDER BY issued LIMIT 1)"
        )
    store.execute(
        "INSERT INTO receipt (receipt, session, party, token, issued, until) VALUES (?, ?, ?, ?, ?, ?)",
        (kept.receipt, kept.session, kept.party, kept.token, kept.issued, kept.until),
    )


def find(store: Store, receipt: str) -> Kept | None:
    """The receipt with that id."""
    rows = store.execute(
        "SELECT receipt, session, party, token, issued, until FROM receipt WHERE receipt = ?", (receipt,)
    )
    if not rows:
        return None
    name, session, party, token, issued, until = rows[0]
    return Kept(str(name), str(session), str(party), _blob(token), int(str(issued)), int(str(until)))


def withdraw(store: Store, asked: Withdrawn) -> None:
    """Write a withdrawal down, inside the caller's transaction."""
    store.execute(
        "INSERT INTO withdrawal (withdrawal, receipt, verdict, party, box, asked) VALUES (?, ?, ?, ?, ?, ?)",
        (asked.withdrawal, asked.receipt, asked.verdict, asked.party, asked.box, asked.asked),
    )


def withdrawal(store: Store, receipt: str) -> Withdrawn | None:
    """The withdrawal of the receipt with that id."""
    rows = store.execute(
        "SELECT withdrawal, receipt, verdict, party, box, asked, erased, erasure FROM withdrawal"
        " WHERE receipt = ?",
        (receipt,),
    )
    return _withdrawn(rows[0]) if rows else None


def erased(store: Store, receipt: str, at: int, erasure: bytes) -> None:
    """Keep the relying party's erasure receipt, inside the caller's transaction; the first one stays."""
    store.execute(
        "UPDATE withdrawal SET erased = ?, erasure = ? WHERE receipt = ? AND erased IS NULL",
        (at, erasure, receipt),
    )


def _sweep(store: Store, now: int) -> None:
    store.execute("DELETE FROM receipt WHERE until < ?", (now,))
    store.execute("DELETE FROM withdrawal WHERE erased < ?", (now - KEPT_AFTER_ERASURE_S,))


def _withdrawn(row: Row) -> Withdrawn:
    name, receipt, verdict, party, box, asked, at, erasure = row
    return Withdrawn(
        str(name),
        str(receipt),
        str(verdict),
        str(party),
        str(box),
        int(str(asked)),
        None if at is None else int(str(at)),
        _blob(erasure),
    )


def _blob(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""
