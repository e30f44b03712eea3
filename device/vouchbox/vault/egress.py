"""The ledger of everything that left the box: topic, size, hash and time. It never holds a payload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vouchbox.vault.store import Store


@dataclass(frozen=True, slots=True)
class Departure:
    """One message that left: Unix time, topic, bytes of the payload, its SHA-256 in hex."""

    time: int
    topic: str
    size: int
    sha256: str


def record(store: Store, departure: Departure) -> None:
    """Add one line."""
    store.execute(
        "INSERT INTO egress (time, topic, size, sha256) VALUES (?, ?, ?, ?)",
        (departure.time, departure.topic, departure.size, departure.sha256),
    )


def read(store: Store, *, limit: int = 10_000) -> Iterator[Departure]:
    """The newest `limit` lines, oldest first."""
    rows = store.execute(
        "SELECT time, topic, size, sha256 FROM "
        "(SELECT * FROM egress ORDER BY entry DESC LIMIT ?) ORDER BY entry",
        (limit,),
    )
    for time, topic, size, sha256 in rows:
        yield Departure(int(str(time)), str(topic), int(str(size)), str(sha256))
