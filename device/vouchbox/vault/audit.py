"""The append-only, hash-chained log: what was asked, refused, consented, stated and delivered.

Each head is SHA-256 over the head before it and the new entry, so an edit, a deletion or a new order breaks
every later head; an end that was cut off shows against a head that was signed before (signed_head.py).
Entries hold identifiers, slugs and whole numbers only, and `append` takes nothing else: no name of a person,
no free text, and no fraction, which every biometric value is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from vouchbox.vault.store import Store

GENESIS = bytes(32)
"""The head of an empty log."""

Detail = dict[str, str | int | list[str]]

_WORD = re.compile(r"[A-Za-z0-9:/_.-]{0,128}")
_MEMBER = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MEMBERS = 16
_LIST = 32
_NUMBER = 2**53


class Event(StrEnum):
    """What can happen; the value stands in the log."""

    STARTED = "started"
    REQUEST = "request"
    REFUSAL = "refusal"
    CONSENT = "consent"
    VERDICT = "verdict"
    DELIVERY = "delivery"
    RECEIPT = "receipt"
    WITHDRAWAL = "withdrawal"
    ERASURE = "erasure"
    KEY = "key"
    EPOCH = "epoch"
    REGISTRATION = "registration"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: its number from 1 on, Unix time, what happened, the detail as JSON, the head."""

    number: int
    time: int
    event: str
    detail: str
    head: str


def append(store: Store, event: Event, now: int, detail: Detail) -> None:
    """Add one entry, inside the caller's transaction.

    Raises ValueError for a detail that could hold more than identifiers, slugs and whole numbers.
    """
    _require_plain(detail)
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


def head_at(store: Store, entry: int) -> str | None:
    """The head after that many entries in hex, or None when the log is shorter."""
    if entry == 0:
        return GENESIS.hex()
    rows = store.execute("SELECT head FROM audit WHERE entry = ?", (entry,))
    return rows[0][0].hex() if rows and isinstance(rows[0][0], bytes) else None


def verify(store: Store) -> int | None:
    """None when the chain holds, else the number of the first entry that does not fit.

    A chain alone can't tell that its end was cut off: compare `head_at` with a head known from elsewhere.
    """
    head = GENESIS
    rows = store.execute("SELECT entry, time, event, detail, head FROM audit ORDER BY entry")
    for number, (entry, time, event, text, stated) in enumerate(rows, start=1):
        try:
            head = _chain(head, number, int(str(time)), str(event), str(text))
        except ValueError:
            return number
        if entry != number or stated != head:
            return number
    return None


def read(store: Store, *, limit: int = 10_000) -> Iterator[Entry]:
    """The newest `limit` entries, oldest first."""
    rows = store.execute(
        "SELECT * FROM (SELECT entry, time, event, detail, head FROM audit ORDER BY entry DESC LIMIT ?)"
        " ORDER BY entry",
        (limit,),
    )
    for entry, time, event, text, stated in rows:
        shown = stated.hex() if isinstance(stated, bytes) else ""
        yield Entry(int(str(entry)), int(str(time)), str(event), str(text), shown)


def _require_plain(detail: Detail) -> None:
    if len(detail) > _MEMBERS:
        raise ValueError("an audit entry has too many members")
    for name, value in detail.items():
        if not _MEMBER.fullmatch(name):
            raise ValueError("an audit entry has a member with an odd name")
        values: list[str | int] = [*value] if isinstance(value, list) else [value]
        if len(values) > _LIST or not all(map(_is_plain, values)):
            raise ValueError(f"the audit member {name} is no identifier, slug or whole number")


def _is_plain(value: str | int) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return isinstance(value, int) and abs(value) < _NUMBER


def _last(store: Store) -> tuple[int, bytes]:
    rows = store.execute("SELECT entry, head FROM audit ORDER BY entry DESC LIMIT 1")
    if not rows:
        return 0, GENESIS
    entry, head = rows[0]
    return int(str(entry)), head if isinstance(head, bytes) else GENESIS


def _chain(before: bytes, entry: int, now: int, event: str, text: str) -> bytes:
    return hashlib.sha256(before + msgspec.json.encode([entry, now, event, text])).digest()
