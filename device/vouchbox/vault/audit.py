"""The append-only, hash-chained log: what was asked, refused, consented, stated and delivered.

Each head is SHA-256 over the head before it and the new entry, so an edit, a deletion or a new order breaks
every later head. Entries name parties, purposes, outcomes and reasons; never a person or a biometric value.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from vouchbox.vault.store import Store

GENESIS = bytes(32)
"""The head of an empty log."""

Detail = dict[str, str | int | list[str]]


class Event(StrEnum):
    """What can happen; the value stands in the log."""

    STARTED = "started"
    REQUEST = "request"
    REFUSAL = "refusal"
    CONSENT = "consent"
    VERDICT = "verdict"
    DELIVERY = "delivery"


def append(store: Store, event: Event, now: int, detail: Detail) -> None:
    """Add one entry, inside the caller's transaction."""
    number, head = _last(store)
    text = msgspec.json.encode(detail, order="sorted").decode()
    entry = number + 1
    store.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?)",
        (entry, now, event, text, _chain(head, entry, now, event, text)),
    )


def head(store: Store) -> tuple[int, str]:
    """How many entries there are, and the last head in hex."""
    number, last = _last(store)
    return number, last.hex()


def verify(store: Store) -> int | None:
    """None when the chain holds, else the number of the first entry that does not fit."""
    head = GENESIS
    rows = store.execute("SELECT entry, time, event, detail, head FROM audit ORDER BY entry")
    for number, (entry, time, event, text, stated) in enumerate(rows, start=1):
        head = _chain(head, number, int(str(time)), str(event), str(text))
        if entry != number or stated != head:
            return number
    return None


def _last(store: Store) -> tuple[int, bytes]:
    rows = store.execute("SELECT entry, head FROM audit ORDER BY entry DESC LIMIT 1")
    if not rows:
        return 0, GENESIS
    entry, head = rows[0]
    return int(str(entry)), head if isinstance(head, bytes) else GENESIS


def _chain(before: bytes, entry: int, now: int, event: str, text: str) -> bytes:
    return hashlib.sha256(before + msgspec.json.encode([entry, now, event, text])).digest()
