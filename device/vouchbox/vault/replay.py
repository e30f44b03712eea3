"""Was this request used before? The answer survives a power cut.

Every admitted request leaves its nonce and jti in the database until well after its expiry. The window is
bounded; what falls out of it raises a mark below which no expiry is accepted any more, so a clock that
jumps forwards and back lets nothing in twice.
"""

from __future__ import annotations

import sqlite3
from collections import deque

from vouchbox.reasons import Reason
from vouchbox.vault.request import CLOCK_SKEW_S, Request
from vouchbox.vault.store import Store

WINDOW_LIMIT = 100_000
"""Nonces kept at most."""

HOUR_S = 3600
_MARK = "nonces-forgotten-until"

REFUSALS_PER_MINUTE = 10
"""Signed refusals that one party gets in a minute; beyond, silence: a replay can't fill the disk."""


class ReplayWindow:
    """The persisted window. Call `admit` inside the transaction that records the session."""

    def __init__(self, store: Store, *, limit: int = WINDOW_LIMIT) -> None:
        self._store = store
        self._limit = limit

    def admit(self, request: Request, now: float) -> Reason | None:
        """None when `request` is new, and then it is remembered; otherwise why it is refused."""
        self._forget(now)
        if request.expires <= self._mark():
            return Reason.REQUEST_REPLAYED
        known = self._store.execute(
            "SELECT 1 FROM nonce WHERE party = ? AND (nonce = ? OR jti = ?)",
            (request.party, request.nonce, request.jti),
        )
        if known:
            return Reason.REQUEST_REPLAYED
        try:
            self._store.execute(
                "INSERT INTO nonce (party, nonce, jti, expires, seen) VALUES (?, ?, ?, ?, ?)",
                (request.party, request.nonce, request.jti, request.expires, int(now)),
            )
        except sqlite3.IntegrityError:
            return Reason.REQUEST_REPLAYED
        return None

    def _mark(self) -> int:
        return int(self._store.fact(_MARK) or 0)

    def _forget(self, now: float) -> None:
        self._drop_until(int(now) - CLOCK_SKEW_S - HOUR_S)
        [(count,)] = self._store.execute("SELECT count(*) FROM nonce")
        if int(str(count)) >= self._limit:
            [(oldest,)] = self._store.execute("SELECT min(expires) FROM nonce")
            self._drop_until(int(str(oldest)))

    def _drop_until(self, moment: int) -> None:
        gone = self._store.execute("SELECT max(expires) FROM nonce WHERE expires <= ?", (moment,))[0][0]
        if gone is not None:
            self._store.execute("DELETE FROM nonce WHERE expires <= ?", (moment,))
            self._store.remember(_MARK, str(max(self._mark(), int(str(gone)))))


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
