"""How much a room may write to its log: repeated lines are counted, said once, and never lost in silence.

Whoever floods a door with rubbish shall fill neither the journal nor the SD card under it. The first lines of
a kind pass, the rest of the period is counted, and the count is written. It changes no line, reads no line
for its content, and may never hide that something was left out.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

PERIOD_S = 60.0
"""Lines are counted over this long, from the first of a kind."""

BURST = 20
"""Lines of one kind that pass in a period: more than the sessions that a box can hold in a minute."""

TOTAL = 300
"""Lines of all kinds that pass in a period: less than the unit's LogRateLimitBurst, so that the journal
itself drops nothing."""

KINDS = 128
"""Kinds that are told apart; whatever else comes in the same period counts as one."""

TEXT = 200
"""Characters of the line that a count quotes."""

OTHERS = "(several kinds)"
_OF_ALL = ""


@dataclass(slots=True)
class _Count:
    since: float
    text: str
    said: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines like `text` were not written in the period that is over."""

    lines: int
    text: str

    def __str__(self) -> str:
        return f"{self.lines} more lines like this were left out: {self.text}"


class LineLimit:
    """Pure: lines and the time in seconds in, a decision out. Raises nothing."""

    def __init__(self, burst: int = BURST, total: int = TOTAL, period_s: float = PERIOD_S) -> None:
        self._burst, self._total, self._period_s = burst, total, period_s
        self._kinds: dict[str, _Count] = {}
        self._of_all = _Count(float("-inf"), _OF_ALL)

    def admit(self, kind: str, text: str, now: float) -> bool:
        """Whether this line may be written; call `over` first, which closes the periods that are over."""
        if now - self._of_all.since >= self._period_s:
            self._of_all = _Count(now, _OF_ALL)
        count = self._kinds.get(kind)
        if count is None:
            if len(self._kinds) >= KINDS:
                kind, text = OTHERS, OTHERS
            count = self._kinds.setdefault(kind, _Count(now, text[:TEXT]))
        if count.said >= self._burst or self._of_all.said >= self._total:
            count.left_out += 1
            return False
        count.said += 1
        self._of_all.said += 1
        return True

    def over(self, now: float) -> list[LeftOut]:
        """What was left out in the periods that are over by `now` (infinity: in all), and forget it."""
        ended = [kind for kind, count in self._kinds.items() if now - count.since >= self._period_s]
        counts = [self._kinds.pop(kind) for kind in ended]
        return [LeftOut(count.left_out, count.text) for count in counts if count.left_out]

    @property
    def owing(self) -> bool:
        """Whether a count is still to be written."""
        return any(count.left_out for count in self._kinds.values())


class LimitedHandler(logging.StreamHandler[TextIO]):
    """Writes to `stream` what `limit` admits, and each count when its period is over, new line or not."""

    def __init__(
        self,
        stream: TextIO,
        limit: LineLimit,
        monotonic: Callable[[], float] = time.monotonic,
        wake_s: float = PERIOD_S,
    ) -> None:
        super().__init__(stream)
        self._limit = limit
        self._monotonic = monotonic
        self._wake_s = wake_s
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler; the handler's lock is held."""
        now = self._monotonic()
        self._settle(now)
        text = record.getMessage()
        # Errors come as "%s" and their sentence; all else is told apart by its form.
        kind = text if record.msg == "%s" else str(record.msg)
        if self._limit.admit(f"{record.name} {record.levelno} {kind}", text, now):
            super().emit(record)
        elif self._timer is None:
            self._wait()

    def close(self) -> None:
        """Write what is still owed."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._settle(float("inf"))
        finally:
            self.release()
        super().close()

    def _settle(self, now: float) -> None:
        for said in self._limit.over(now):
            super().emit(logging.LogRecord("vouchbox", logging.WARNING, __file__, 0, str(said), None, None))

    def _wait(self) -> None:
        self._timer = threading.Timer(self._wake_s, self._wake)
        self._timer.daemon = True
        self._timer.start()

    def _wake(self) -> None:
        self.acquire()
        try:
            self._timer = None
            self._settle(self._monotonic())
            if self._limit.owing:
                self._wait()
        finally:
            self.release()


def log_to_stderr(level: int = logging.INFO) -> None:
    """What a daemon logs goes to the journal by way of stderr, within the limits above."""
    handler = LimitedHandler(sys.stderr, LineLimit())
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
