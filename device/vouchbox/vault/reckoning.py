"""What time can it be? A span that surely holds the present, also on a box whose clock was never set.

A Pi has no battery clock. While the kernel says that time is synchronised, the wall is taken at its word.
Otherwise the wall is not used at all: the earliest the present can be is when the party's newest admitted
request was issued, plus the seconds that this machine ran since; there is no latest. The party's own
signature vouches for that moment, so no party's wrong clock harms another. It survives a reboot.
"""

from __future__ import annotations

from vouchbox.vault.clock import Clock, Span
from vouchbox.vault.store import Store

_BOOTS = "boots"


class Reckoning:
    """The view of time of one vault; boots are counted in the store when the vault starts."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def present(self, party: str) -> Span:
        """Between which two moments the present lies, as far as requests of `party` tell."""
        if self._clock.synchronised():
            return Span.at(self._clock.wall())
        return Span(self._earliest(party), float("inf"))

    def heard(self, party: str, issued: int) -> None:
        """A request of `party` that was issued then is admitted now; inside the caller's transaction.

        A synchronised wall has vouched for `issued`, so it replaces whatever was thought before; else time
        only moves on.
        """
        if not self._clock.synchronised() and issued <= self._earliest(party):
            return
        self._store.execute(
            "INSERT INTO party_time (party, forgotten, issued, boot, uptime) VALUES (?, 0, ?, ?, ?)"
            " ON CONFLICT (party) DO UPDATE"
            " SET issued = excluded.issued, boot = excluded.boot, uptime = excluded.uptime",
            (party, issued, self._boots(), self._clock.uptime()),
        )

    def _earliest(self, party: str) -> float:
        rows = self._store.execute("SELECT issued, boot, uptime FROM party_time WHERE party = ?", (party,))
        if not rows:
            return 0.0
        issued, boot, uptime = (int(str(value)) for value in rows[0])
        # After a reboot all that is known is that this boot lies wholly after that moment.
        since = self._clock.uptime() - (uptime if boot == self._boots() else 0)
        return float(issued + max(since, 0))

    def _boots(self) -> int:
        return int(self._store.fact(_BOOTS) or 0)
