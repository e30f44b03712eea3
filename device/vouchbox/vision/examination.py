"""One session before the camera, from the first frame to an Examination of numbers.

Work streams while the clip is taken, so the verdict is there at once after the last frame. Frames and all
that derives from them live in the session's ring and are wiped on every way out; whatever goes wrong
(camera, model, memory, a defect of ours) becomes `inconclusive` with its reason, never `live`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from vouchbox.camera.health import CameraWatch, error_for, reason_for
from vouchbox.camera.ring import FrameRing
from vouchbox.camera.source import FrameFormat, FrameSource, PromptDisplay
from vouchbox.errors import CameraError, MemoryLockError, ModelError, RoomGone, VouchboxError
from vouchbox.machine import Pace
from vouchbox.messages import (
    EMBEDDING_BYTES,
    Examination,
    Examine,
    Level,
    Outcome,
    Progress,
    Prompt,
    Source,
    SourceKind,
)
from vouchbox.reasons import Reason
from vouchbox.vision import fusion, quality
from vouchbox.vision.embedding import Embedder
from vouchbox.vision.findings import Findings
from vouchbox.vision.liveness import LivenessSession
from vouchbox.vision.models import Models
from vouchbox.vision.observer import Observer, Seen
from vouchbox.vision.progress import ProgressReporter
from vouchbox.vision.stages import StageClock
from vouchbox.vision.thinning import Thinning, kept, too_few

RING_SLOTS = 4
"""Frames that are kept at a time: the current one, and room for a source that writes ahead."""

SHORTEST_S = 1.5
"""A clip that ends before this is too short for any statement."""

SESSION_LIMIT_S = 90.0
"""No session lasts longer, whatever the source's clock says."""

FRAMES_LIMIT = 6000
"""No session has more frames."""


def _nobody(_: object) -> None:
    return None


def _never() -> bool:
    return False


def _full() -> Pace:
    return Pace.FULL


class Examiner:
    """Examines one person after the other. `problem` hears of every error as a sentence without content;
    `seen`, for measurements, of the numbers of every frame. `pace` is asked at every frame how many of them
    the machine can bear to look at."""

    def __init__(
        self,
        models: Models,
        *,
        require_locked: bool = False,
        problem: Callable[[VouchboxError], None] = _nobody,
        seen: Callable[[Seen], None] = _nobody,
        pace: Callable[[], Pace] = _full,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._require_locked = require_locked
        self._problem = problem
        self._seen = seen
        self._pace = pace
        self._monotonic = monotonic
        self.clock = StageClock()
        """Stage times of the last session."""

    def examine(
        self,
        request: Examine,
        source: FrameSource,
        progress: Callable[[Progress], None] = _nobody,
        cancelled: Callable[[], bool] = _never,
    ) -> Examination:
        """Look through `source` until the session is over. Never raises for anything that a camera, a clip,
        a model or this code did wrong; RoomGone of `progress` passes, after everything was wiped."""
        self.clock = StageClock()
        session = Findings(
            request,
            Source(kind=source.kind, name=source.name[:64] or "unnamed", width=0, height=0, frame_rate=0.0),
            LivenessSession(request.level, request.prompts, request.seconds, request.pauses),
            self.clock,
        )
        wiped = False
        try:
            wiped = self._run(session, source, progress, cancelled)
        finally:
            wiped = self._models.wipe() and wiped
        return session.examination(self._models.runtime.label, self._models.identities, wiped)

    def _run(
        self,
        session: Findings,
        source: FrameSource,
        progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
    ) -> bool:
        """The whole life of the ring; returns whether every byte of it was wiped."""
        ring: FrameRing | None = None
        try:
            try:
                shape = source.open()
                session.source = _described(source, shape)
                with FrameRing(shape, RING_SLOTS, require_locked=self._require_locked) as ring:
                    self._watch(session, source, shape, ring, progress, cancelled)
            finally:
                source.close()
        except (CameraError, ModelError, MemoryLockError) as trouble:
            self._problem(trouble)
            session.refuse(_reason(trouble))
        except RoomGone:
            raise
        except Exception as defect:
            kind = type(defect).__name__
            self._problem(VouchboxError(f"a defect in the vision room ({kind})", "report it"))
            session.refuse(Reason.INTERRUPTED)
        return ring is None or ring.wiped

    def _watch(
        self,
        session: Findings,
        source: FrameSource,
        shape: FrameFormat,
        ring: FrameRing,
        progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
    ) -> None:
        request, clock = session.request, session.clock
        keep = request.want_embedding
        observer = Observer(self._models, ring.scratch, shape.width, shape.height, clock, keep)
        reporter = ProgressReporter(request.session, shape.width, shape.height, progress)
        display = source if isinstance(source, PromptDisplay) else None
        watch = CameraWatch()
        thinning = Thinning(shape.frame_rate, kept(request.level, request.seconds))
        shown: Prompt | None = None
        first_ns: int | None = None
        began = self._monotonic()
        while True:
            clock.start()
            stamp = source.capture(slot := ring.slot(session.frames))
            clock.lap("capture")
            if stamp is None:
                session.ended_early = True
                break
            session.dropped += stamp.dropped
            # While a prompt is open every frame counts: blinks are short, turns show depth in a few.
            if not thinning.due(stamp.timestamp_ns, self._pace() if shown is None else Pace.FULL):
                session.skipped += 1
                if self._stopped(session, began, cancelled):
                    return
                continue
            session.last_frame_ns = time.perf_counter_ns()
            first_ns = stamp.timestamp_ns if first_ns is None else first_ns
            session.seconds = max(session.seconds, (stamp.timestamp_ns - first_ns) / 1e9)
            session.frames += 1
            seen = observer.observe(slot, stamp, session.seconds)
            self._seen(seen)
            session.liveness.observe(seen.observation)
            session.pool.add(seen.observation.faces, seen.quality, seen.observation.luma)
            clock.lap("liveness")
            trouble = watch.see(seen.health)
            if trouble is not None:
                raise error_for(trouble)
            prompt = session.liveness.current_prompt(session.seconds)
            if display is not None and prompt is not shown:
                display.show(prompt)
            shown = prompt
            self._report(session, reporter, prompt, seen)
            clock.lap("progress")
            if self._stopped(session, began, cancelled):
                return
            if session.liveness.finished(session.seconds):
                break
        if display is not None:
            display.show(None)
        clock.start()
        self._decide(session, observer)

    def _stopped(self, session: Findings, began: float, cancelled: Callable[[], bool]) -> bool:
        """Whether the session ends here, by a cancel or because it takes too long; asked after each frame."""
        if cancelled():
            session.verdict = (Outcome.CANCELLED, (Reason.CANCELLED,))
            return True
        frames = session.frames + session.skipped
        if frames >= FRAMES_LIMIT or self._monotonic() - began > SESSION_LIMIT_S:
            session.refuse(Reason.TIMEOUT)
            return True
        return False

    def _report(
        self, session: Findings, reporter: ProgressReporter, prompt: Prompt | None, seen: Seen
    ) -> None:
        prompts = len(session.request.prompts)
        done = len(session.liveness.prompt_records()) - (prompt is not None)
        fraction = done / prompts if prompts else session.seconds / session.request.seconds
        hint = Reason.NO_FACE if seen.quality is None else quality.hint(seen.quality)
        if seen.observation.faces > 1:
            hint = Reason.SEVERAL_FACES
        reporter.update(session.seconds, fraction, prompt, hint, seen.observation.face)

    def _decide(self, session: Findings, observer: Observer) -> None:
        session.components = session.pool.components()
        troubles = quality.reasons(session.components)
        if session.ended_early and session.seconds < min(SHORTEST_S, session.request.seconds):
            troubles = (*troubles, Reason.TOO_SHORT)
        if too_few(session.request.level, session.frames, session.seconds):
            troubles = (*troubles, Reason.FRAME_RATE_TOO_LOW)
        outcome, said = fusion.decide(session.request.level, session.results(), troubles)
        session.clock.lap("fusion")
        if outcome is Outcome.LIVE and session.request.level is Level.ACTIVE and _recorded(session.source):
            # Nobody in a recording can see a prompt; meeting them all was chance.
            outcome, said = Outcome.INCONCLUSIVE, (Reason.CHALLENGE_NOT_RUN,)
        if outcome is Outcome.LIVE and observer.chips is not None:
            vector = Embedder(self._models.embedding).embed_all(observer.chips)
            if vector is None:
                outcome, said = Outcome.INCONCLUSIVE, (Reason.NO_FACE,)
            else:
                session.embedding = vector.astype("<f4").tobytes()[:EMBEDDING_BYTES]
            session.clock.lap("embedding")
        session.verdict = (outcome, said)


def _described(source: FrameSource, shape: FrameFormat) -> Source:
    return Source(
        kind=source.kind,
        name=source.name[:64] or "unnamed",
        width=shape.width,
        height=shape.height,
        frame_rate=min(max(float(shape.frame_rate), 0.0), 1000.0),
    )


def _recorded(source: Source) -> bool:
    return source.kind is SourceKind.CLIP


def _reason(trouble: VouchboxError) -> Reason:
    if isinstance(trouble, CameraError):
        return reason_for(trouble)
    return Reason.MEMORY_NOT_LOCKED if isinstance(trouble, MemoryLockError) else Reason.MODEL_UNAVAILABLE
