"""How long each stage of a session took: a stop watch with laps, cheap enough to run always.

It measures time and nothing else; a verdict carries the sums, `vouchbox bench` the distribution.
"""

from __future__ import annotations

import time
from collections import defaultdict

from vouchbox.messages import StageTime


class StageClock:
    """Laps of one session. `start` begins a lap, `lap(stage)` ends it and begins the next."""

    def __init__(self) -> None:
        self.samples_ns: defaultdict[str, list[int]] = defaultdict(list)
        self._since = time.perf_counter_ns()

    def start(self) -> None:
        """Begin a lap; the time since the last one belongs to no stage."""
        self._since = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on `stage`."""
        now = time.perf_counter_ns()
        self.samples_ns[stage].append(now - self._since)
        self._since = now

    def total_ms(self, stage: str) -> float:
        """Milliseconds booked on `stage`, in all."""
        return sum(self.samples_ns[stage]) / 1e6

    def times(self) -> tuple[StageTime, ...]:
        """The sum of each stage, in the order of their first laps."""
        return tuple(
            StageTime(stage=stage, milliseconds=round(sum(samples) / 1e6, 3))
            for stage, samples in self.samples_ns.items()
        )
