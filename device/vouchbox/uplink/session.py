"""Which rows of the outbox are on their way to the broker: pure bookkeeping, no clock, no socket.

A row is offered by the vault, waits, is in flight under an MQTT packet id, and is settled by the broker's
PUBACK, good or bad. A lost connection puts everything in flight back to the front of the queue, in order,
so a row is sent at least once. Nothing here decides that a row is delivered: PUBACK precedes the broker's
disk, and only the relying party's acknowledgement lets the vault forget a row.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from vouchbox.messages import Outgoing, Published
from vouchbox.uplink.topics import Topics

STATUS_ROW = 0
"""Stands for a status document, which is no row of the outbox, in Published."""
WINDOW = 16
"""Rows in flight at once (MQTT 5 Receive Maximum is 20 at a default mosquitto)."""
WAITING_LIMIT = 256
"""Rows held in memory at once; the vault keeps every one of them on disk anyway."""

TOPIC_INVALID = 0x90
QUOTA_EXCEEDED = 0x97
"""Reason codes of MQTT 5, 2.4, that this room gives itself, without asking the broker."""


class Deliveries:
    """The rows this room holds for one connection to the vault."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._waiting: OrderedDict[int, Outgoing] = OrderedDict()
        self._in_flight: OrderedDict[int, Outgoing] = OrderedDict()
        self._status: dict[int, bytes] = {}

    def offer(self, row: Outgoing) -> Published | None:
        """Take a row from the vault. Returns its refusal when this room itself will not send it.

        A row that is already waiting or in flight is not taken twice; a settled one is, for the vault offers
        a row again until it is acknowledged.
        """
        if not self._topics.may_publish(row.topic):
            return _statement(row, TOPIC_INVALID, left=False)
        if row.row in self._waiting or any(row.row == other.row for other in self._in_flight.values()):
            return None
        if len(self._waiting) + len(self._in_flight) >= WAITING_LIMIT:
            return _statement(row, QUOTA_EXCEEDED, left=False)
        self._waiting[row.row] = row
        return None

    def take(self) -> Outgoing | None:
        """The next row to publish, or None when nothing waits or the window is full."""
        if not self._waiting or len(self._in_flight) >= WINDOW:
            return None
        return self._waiting.popitem(last=False)[1]

    def sent(self, row: Outgoing, packet: int) -> None:
        """`row` went out under MQTT packet id `packet`."""
        self._in_flight[packet] = row

    def status_sent(self, document: bytes, packet: int) -> None:
        """A status document went out under `packet`; it is reported, but never sent again from here."""
        self._status[packet] = document

    def settle(self, packet: int, reason_code: int) -> Published | None:
        """The broker's PUBACK for `packet`; None when nothing went out under that id."""
        row = self._in_flight.pop(packet, None)
        if row is not None:
            return _statement(row, reason_code)
        document = self._status.pop(packet, None)
        if document is None:
            return None
        return self._of_status(document, reason_code)

    def interrupted(self) -> list[Published]:
        """The connection is lost: what was in flight waits again, first and in its order.

        Returns a statement for each message that went out and got no answer.
        """
        unanswered = [_statement(row, 0, answered=False) for row in self._in_flight.values()]
        unanswered += [self._of_status(document, 0, answered=False) for document in self._status.values()]
        again = OrderedDict((row.row, row) for row in self._in_flight.values())
        again.update(self._waiting)
        self._in_flight.clear()
        self._status.clear()
        self._waiting = again
        return unanswered

    @property
    def status_pending(self) -> bool:
        """Whether the broker has yet to answer for a status document."""
        return bool(self._status)

    @property
    def held(self) -> int:
        """Rows waiting or in flight."""
        return len(self._waiting) + len(self._in_flight)

    def _of_status(self, document: bytes, reason_code: int, *, answered: bool = True) -> Published:
        return Published(
            row=STATUS_ROW,
            reason_code=reason_code,
            topic=self._topics.status,
            size=len(document),
            sha256=sha256(document).hexdigest(),
            answered=answered,
        )


def _statement(row: Outgoing, reason_code: int, *, left: bool = True, answered: bool = True) -> Published:
    return Published(
        row=row.row,
        reason_code=reason_code,
        topic=row.topic,
        size=len(row.payload),
        sha256=sha256(row.payload).hexdigest(),
        left=left,
        answered=answered,
    )
