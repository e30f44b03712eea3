"""What a session has found so far, and the Examination that is made of it.

It holds numbers only, and therefore outlives the ring. The rule of failing closed stands here: a session
begins as `inconclusive`, a trouble takes back whatever was decided, and memory that was not wiped takes
back everything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from vouchbox.messages import (
    Examination,
    Examine,
    ModelIdentity,
    Outcome,
    QualityComponent,
    Source,
    TestName,
    TestResult,
    TestStatus,
)
from vouchbox.reasons import Reason
from vouchbox.vision.liveness import LivenessSession
from vouchbox.vision.quality import SessionQuality
from vouchbox.vision.stages import StageClock

_MOST_REASONS = 16
_MOST_STAGES = 16
_LARGEST_COUNT = 10_000_000
_LONGEST_S = 600.0


@dataclass
class Findings:
    """One session. `seconds` is the last frame's time since the first, `last_frame_ns` when it came by the
    performance counter."""

    request: Examine
    source: Source
    liveness: LivenessSession
    clock: StageClock
    pool: SessionQuality = field(default_factory=SessionQuality)
    frames: int = 0
    dropped: int = 0
    skipped: int = 0
    seconds: float = 0.0
    ended_early: bool = False
    last_frame_ns: int | None = None
    verdict: tuple[Outcome, tuple[Reason, ...]] = (Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,))
    components: tuple[QualityComponent, ...] = ()
    embedding: bytes = b""
    _results: tuple[TestResult, ...] | None = None

    def results(self) -> tuple[TestResult, ...]:
        """The liveness tests, concluded once."""
        if self._results is None:
            not_run = tuple(TestResult(name, TestStatus.NOT_RUN) for name in TestName)
            self._results = self.liveness.results() if self.frames else not_run
        return self._results

    def refuse(self, reason: Reason) -> None:
        """Nothing can be said, for `reason`, whatever was found."""
        self.verdict = (Outcome.INCONCLUSIVE, (reason,))
        self.embedding = b""
        if self.frames and not self.components:
            self.components = self.pool.components()

    def examination(self, runtime: str, models: tuple[ModelIdentity, ...], wiped: bool) -> Examination:
        """The message for the vault; `wiped` is whether every byte of every frame was read back as zero."""
        if not wiped and self.verdict[0] is not Outcome.CANCELLED:
            self.refuse(Reason.INTERRUPTED)
        if self.last_frame_ns is not None:
            latency = time.perf_counter_ns() - self.last_frame_ns
            self.clock.samples_ns["last-frame-to-verdict"].append(latency)
        outcome, reasons = self.verdict
        return Examination(
            session=self.request.session,
            level=self.request.level,
            outcome=outcome,
            reasons=reasons[:_MOST_REASONS],
            tests=self.results(),
            quality=self.components,
            source=self.source,
            frames=min(self.frames, _LARGEST_COUNT),
            dropped=min(self.dropped, _LARGEST_COUNT),
            duration_s=min(self.seconds, _LONGEST_S),
            prompts=self.liveness.prompt_records(),
            runtime=runtime,
            models=models,
            timings=self.clock.times()[:_MOST_STAGES],
            wiped=wiped,
            embedding=self.embedding,
            skipped=min(self.skipped, _LARGEST_COUNT),
        )
