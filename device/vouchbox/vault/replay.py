"""Was this request used before? The answer survives a power cut, a reboot and every jump of the clock.

Every admitted request leaves its nonce and jti in the database until well after its expiry. The window of
each party is bounded. What falls out of it, by age or because it is full, raises that party's mark, below
which no expiry is accepted any more. So a full window, and a clock that jumps forwards and back, refuse too
much rather than let anything in twice.
"""

from __future__ import annotations

import sqlite3
from collections import deque

from vouchbox.reasons import Reason
from vouchbox.vault.clock import CLOCK_SKEW_S, Span
from vouchbox.vault.request import Request
from vouchbox.vault.store import Store

WINDOW_LIMIT = 10_000
"""Nonces kept of one party, at most. A party may ask 3600 times an hour and a nonce is kept for little more
than that, so only a clock that stands still or jumps can fill it."""

KEPT_S = 3600
"""Nonces are kept this long after their expiry."""

_MARK = "nonces-forgotten-until"
"""Version 1 of the database had one mark for all parties; it still counts."""

REFUSALS_PER_MINUTE = 10
"""Signed refusals that one party gets in a minute; beyond, silence: a replay can't fill the disk."""


class ReplayWindow:
    """The persisted window. Call `admit` inside the transaction that counts the request."""

    def __init__(self, store: Store, *, limit: int = WINDOW_LIMIT) -> None:
        self._store = store
        self._limit = limit

    def admit(self, request: Request, present: Span) -> Reason | None:
        """None when `request` is new, and then it is remembered; otherwise why it is refused."""
        party = request.party
        self._forget(party, present)
        if request.expires <= self._mark(party):
            return Reason.REQUEST_REPLAYED
        known = self._store.execute(
            "SELECT 1 FROM nonce WHERE party = ? AND (nonce = ? OR jti = ?)",
            (party, request.nonce, request.jti),
        )
        if known:
            return Reason.REQUEST_REPLAYED
        try:
            self._store.execute(
                "INSERT INTO nonce (party, nonce, jti, expires, seen) VALUES (?, ?, ?, ?, ?)",
                (party, request.nonce, request.jti, request.expires, int(present.earliest)),
            )
        except sqlite3.IntegrityError:
            return Reason.REQUEST_REPLAYED
        return None

    def _mark(self, party: str) -> int:
        rows = self._store.execute("SELECT forgotten FROM party_time WHERE party = ?", (party,))
        return max(int(str(rows[0][0])) if rows else 0, int(self._store.fact(_MARK) or 0))

    def _forget(self, party: str, present: Span) -> None:
        self._drop_until(party, int(present.earliest) - CLOCK_SKEW_S - KEPT_S)
        [(count,)] = self._store.execute("SELECT count(*) FROM nonce WHERE party = ?", (party,))
        if int(str(count)) >= self._limit:
            [(oldest,)] = self._store.execute("SELECT min(expires) FROM nonce WHERE party = ?", (party,))
            self._drop_until(party, int(str(oldest)))

    def _drop_until(self, party: str, moment: int) -> None:
        gone = self._store.execute(
            "SELECT max(expires) FROM nonce WHERE party = ? AND expires <= ?", (party, moment)
        )[0][0]
        if gone is None:
            return
        self._store.execute("DELETE FROM nonce WHERE party = ? AND expires <= ?", (party, moment))
        self._store.execute(
            "INSERT INTO party_time (party, forgotten) VALUES (?, ?)"
            " ON CONFLICT (party) DO UPDATE SET forgotten = max(forgotten, excluded.forgotten)",
            (party, int(str(gone))),
        )


class RefusalBudget:
    """How many signed refusals each party still gets; in memory, by the steady clock."""

    def __init__(self) -> None:
        self._said: dict[str, deque[float]] = {}

    def spend(self, party: str, steady: float) -> bool:
        """Whether one more refusal may be said to `party` now."""
        said = self._said.setdefault(party, deque(maxlen=REFUSALS_PER_MINUTE))
        if len(said) == REFUSALS_PER_MINUTE and steady - said[0] < 60.0:
            return False
        said.append(steady)
        return True
