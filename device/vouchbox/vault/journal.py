"""Which session is open, so that a power cut in its middle still ends in exactly one verdict.

A session is written down before anyone is asked for consent, and struck out in the very transaction that
stores its verdict. Whatever is still open at start was interrupted. Nothing biometric is in it.
"""

from __future__ import annotations

import msgspec

from vouchbox.errors import OutboxError
from vouchbox.vault.request import Request
from vouchbox.vault.store import Store


def begin(store: Store, session: str, request: Request, now: int) -> None:
    """Write the session down."""
    store.execute("INSERT INTO session VALUES (?, ?, ?)", (session, msgspec.msgpack.encode(request), now))


def is_open(store: Store, session: str) -> bool:
    """Whether the session still owes its verdict."""
    return bool(store.execute("SELECT 1 FROM session WHERE session = ?", (session,)))


def end(store: Store, session: str) -> None:
    """Strike the session out."""
    store.execute("DELETE FROM session WHERE session = ?", (session,))


def interrupted(store: Store) -> list[tuple[str, Request]]:
    """Sessions that were open when the vault stopped; raises OutboxError when one is unreadable."""
    rows = store.execute("SELECT session, request FROM session ORDER BY started")
    try:
        return [
            (str(session), msgspec.msgpack.decode(blob, type=Request))
            for session, blob in rows
            if isinstance(blob, bytes)
        ]
    except msgspec.DecodeError:
        raise OutboxError("an open session is unreadable", "restore the database") from None
