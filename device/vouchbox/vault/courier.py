"""Between the database and the uplink: offers rows, keeps the egress ledger, hands out the status document.

It moves finished bytes only and decides nothing about a session.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from vouchbox.config import Box
from vouchbox.messages import MachineState, Published, StatusDocument
from vouchbox.vault import audit, egress, status, wear
from vouchbox.vault.clock import Clock
from vouchbox.vault.delivery import Schedule
from vouchbox.vault.doors import Doors
from vouchbox.vault.notary import Notary
from vouchbox.vault.outbox import Outbox
from vouchbox.vault.status import Health
from vouchbox.vault.store import Store

STATUS_PERIOD_S = 900.0
"""A status whose health is the same is not repeated earlier: it would count against a session's 8 KiB."""

LOOK_PERIOD_S = 1.0
"""The outbox is looked through this often, and at once when something was added."""

_STATUS_ROW = 0


class Courier:
    """Works for one uplink. Methods that write raise OutboxError when the disk refuses."""

    def __init__(
        self,
        box: Box,
        doors: Doors,
        store: Store,
        outbox: Outbox,
        notary: Notary,
        clock: Clock,
        public: dict[str, Any],
    ) -> None:
        self._topic = f"{box.topic}/status"
        self._doors = doors
        self._store = store
        self._outbox = outbox
        self._notary = notary
        self._clock = clock
        self._public = public
        self._schedule = Schedule()
        self._connected = False
        self._looked = float("-inf")
        self._told: tuple[Health, float] | None = None

    def uplink_changed(self) -> None:
        """A new uplink process, or none: nothing is connected until it says so, and it knows no status."""
        self._connected = False
        self._told = None
        with self._store.transaction():
            egress.give_up(self._store)

    def link(self, connected: bool) -> None:
        """The broker is reached, or not any more."""
        if connected and not self._connected:
            self._schedule.reconnected()
            self._looked = float("-inf")
        self._connected = connected

    def added(self) -> None:
        """Something new is in the outbox."""
        self._looked = float("-inf")

    def published(self, message: Published, counters: Counter[str]) -> None:
        """What became of a message that was handed to the uplink: its line of the ledger is completed."""
        if egress.answer_of(message) in (egress.Answer.REFUSED, egress.Answer.KEPT):
            counters["broker-refused"] += 1
        with self._store.transaction():
            known = egress.settle(self._store, message, int(self._clock.wall()))
        # The uplink says of itself that it is there, or leaves: those two only are of its own making.
        if not known and not (message.row == _STATUS_ROW and message.topic == self._topic):
            counters["uplink-disagrees"] += 1

    def offer(self) -> None:
        """Hand due rows to the uplink."""
        now = self._clock.steady()
        if not self._connected or now - self._looked < LOOK_PERIOD_S:
            return
        self._looked = now
        due = self._schedule.due(self._outbox.numbers(), now)
        rows = [self._outbox.read(number, self._schedule.offered(number, now)) for number in due]
        handed = [row for row in rows if row is not None]
        self._hand_over(*((row.topic, row.payload) for row in handed))
        for row in handed:
            if not self._doors.send("uplink", row):
                return

    def tell(self, health: Health, counters: Counter[str], machine: MachineState | None = None) -> None:
        """Hand out the status when health changed or the last one is old."""
        now = self._clock.steady()
        if self._told is not None and self._told[0] == health and now - self._told[1] < STATUS_PERIOD_S:
            return
        entries, head = audit.head(self._store)
        tally = status.Tally(
            self._outbox.waiting(),
            entries,
            head,
            self._notary.statement,
            dict(counters),
            machine.temperature_c if machine else None,
            wear.written_bytes(),
            self._store.commits,
        )
        payload = status.document(self._public, health, tally, int(self._clock.wall()))
        if self._doors.has("uplink"):
            self._hand_over((self._topic, payload))
            if self._doors.send("uplink", StatusDocument(payload)):
                self._told = (health, now)

    def _hand_over(self, *messages: tuple[str, bytes]) -> None:
        """Their lines of the ledger, in one write, before any of them goes."""
        if not messages:
            return
        now = int(self._clock.wall())
        with self._store.transaction():
            for topic, payload in messages:
                digest = hashlib.sha256(payload).hexdigest()
                egress.hand_over(self._store, egress.Departure(now, topic, len(payload), digest))
