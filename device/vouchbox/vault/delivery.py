"""When each row of the outbox is offered to the uplink, and offered again: pure bookkeeping of times.

A row is offered at once, then in growing intervals until its relying party acknowledges it. The broker is
told to drop its copy two intervals later, so a party that is away does not find a pile of equal copies.
"""

from __future__ import annotations

from collections.abc import Sequence

FIRST_INTERVAL_S = 30.0
LAST_INTERVAL_S = 900.0

BATCH = 32
"""Rows offered at once."""


class Schedule:
    """Times are in seconds of the steady clock. Nothing here survives a restart, nor needs to."""

    def __init__(self) -> None:
        self._next: dict[int, tuple[float, float]] = {}

    def due(self, rows: Sequence[int], now: float) -> list[int]:
        """Those of `rows`, all that the outbox holds, which should be offered now; at most BATCH."""
        waiting = set(rows)
        self._next = {row: times for row, times in self._next.items() if row in waiting}
        return [row for row in rows if self._next.get(row, (now, 0.0))[0] <= now][:BATCH]

    def offered(self, row: int, now: float) -> int:
        """The row goes out now; returns for how many seconds the broker may keep it."""
        _, before = self._next.get(row, (now, 0.0))
        interval = min(max(2 * before, FIRST_INTERVAL_S), LAST_INTERVAL_S)
        self._next[row] = (now + interval, interval)
        return int(2 * interval)

    def reconnected(self) -> None:
        """A new connection: everything that waits is offered at once."""
        self._next.clear()
