"""Finished messages that are not yet known to be with their relying party.

A row is on the disk before it is sent, and leaves only on the party's own signed acknowledgement: the
broker's PUBACK precedes its disk and is no proof. Rows hold signed or sealed bytes only. When the outbox
is full nothing new is accepted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vouchbox.errors import OutboxError
from vouchbox.messages import Outgoing
from vouchbox.vault.ack import Acknowledgement
from vouchbox.vault.formats import WITHDRAWAL_CONTENT_TYPE
from vouchbox.vault.store import Row, Store, Value

ROW_LIMIT = 4000
"""Rows that may wait; with 2 KiB each that is 8 MB."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message to be."""

    party: str
    topic: str
    payload: bytes
    content_type: str
    correlation: bytes

    @property
    def sha256(self) -> str:
        """Digest of the payload in hex; what an acknowledgement names."""
        return hashlib.sha256(self.payload).hexdigest()


class Outbox:
    """The rows in the database."""

    def __init__(self, store: Store, *, limit: int = ROW_LIMIT) -> None:
        self._store = store
        self._limit = limit

    def require_room(self) -> None:
        """Raises OutboxError when no further session should begin."""
        if self.waiting() >= self._limit:
            raise OutboxError("too many messages wait for their relying party", "bring that party back")

    def put(self, session: str, parcel: Parcel) -> int:
        """Add a row inside the caller's transaction; returns its number."""
        columns = "session, party, topic, payload, content_type, correlation, sha256"
        values: tuple[Value, ...] = (
            session,
            parcel.party,
            parcel.topic,
            parcel.payload,
            parcel.content_type,
            parcel.correlation,
            parcel.sha256,
        )
        marks = ", ".join("?" * len(values))
        [(row,)] = self._store.execute(
            f"INSERT INTO outbox ({columns}) VALUES ({marks}) RETURNING row",  # noqa: S608 - constants
            values,
        )
        return int(str(row))

    def acknowledge(self, ack: Acknowledgement) -> list[tuple[int, str]]:
        """Remove what the party says it holds, inside the caller's transaction: row and session of each.

        A withdrawal stays: only the party's erasure receipt answers it.
        """
        gone: list[tuple[int, str]] = []
        for digest in ack.delivered:
            rows = self._store.execute(
                "DELETE FROM outbox WHERE party = ? AND sha256 = ? AND content_type != ?"
                " RETURNING row, session",
                (ack.party, digest, WITHDRAWAL_CONTENT_TYPE),
            )
            gone += [(int(str(row)), str(session)) for row, session in rows]
        return gone

    def drop(self, session: str, content_type: str) -> None:
        """Remove the rows of that session and kind, which need not or must not be sent any more, inside the
        caller's transaction."""
        self._store.execute(
            "DELETE FROM outbox WHERE session = ? AND content_type = ?", (session, content_type)
        )

    def numbers(self) -> list[int]:
        """The numbers of all rows, oldest first."""
        return [int(str(row)) for (row,) in self._store.execute("SELECT row FROM outbox ORDER BY row")]

    def read(self, number: int, expiry_s: int) -> Outgoing | None:
        """A row as the uplink wants it, or None when it is gone. `expiry_s` is for the broker's copy."""
        found = self._store.execute(
            "SELECT row, topic, payload, content_type, correlation FROM outbox WHERE row = ?", (number,)
        )
        return _outgoing(found[0], expiry_s) if found else None

    def waiting(self) -> int:
        """How many rows there are."""
        return int(str(self._store.execute("SELECT count(*) FROM outbox")[0][0]))

    def waiting_for(self, session: str) -> bool:
        """Whether a row of that session still waits."""
        return bool(self._store.execute("SELECT 1 FROM outbox WHERE session = ? LIMIT 1", (session,)))

    def matches(self, row: int, size: int, sha256: str) -> bool:
        """Whether the row exists and is that many bytes with that digest."""
        return bool(
            self._store.execute(
                "SELECT 1 FROM outbox WHERE row = ? AND length(payload) = ? AND sha256 = ?",
                (row, size, sha256),
            )
        )


def _outgoing(row: Row, expiry_s: int) -> Outgoing:
    number, topic, payload, content_type, correlation = row
    if not isinstance(payload, bytes) or not isinstance(correlation, bytes):
        raise OutboxError("a row of the outbox is damaged", "restore the database")
    return Outgoing(int(str(number)), str(topic), payload, str(content_type), correlation, expiry_s)
