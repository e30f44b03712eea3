"""Holds sessions: the simulated subject before the examiner that runs on a box, in several processes.

What comes back of a session are numbers and names of answers (a Record); no frame outlives its session.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import cv2
import msgspec
from msgspec import Struct

from session_measure.plan import Session
from vouchbox import config
from vouchbox.machine import Pace
from vouchbox.messages import Examine, Level, Outcome, TestName, TestStatus
from vouchbox.simulator.subject.source import SimulatedSubject
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models

SECONDS = 5.0


class Camera(Struct, frozen=True):
    """How the frames come: the camera's rate (frames per second), and how many of them are looked at."""

    frame_rate: int = 15
    pace: Pace = Pace.FULL


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """One session: what each test answered (with its score, None: not run) and how it ended."""

    group: str
    number: int
    portrait: str
    subject: str
    prompts: tuple[str, ...]
    outcome: Outcome
    reasons: tuple[str, ...]
    tests: dict[TestName, tuple[TestStatus, float | None]]
    frames: int
    cpu_s: float

    def succeeded(self, name: TestName) -> bool:
        """Whether this test let the presentation through."""
        return self.tests[name][0] is TestStatus.SUCCESS


_examiner: Examiner | None = None


def hold(session: Session, camera: Camera) -> Record:
    """One session, from the first frame to the outcome."""
    global _examiner
    if _examiner is None:
        cv2.setNumThreads(1)
        # A session's time limit is for a camera that hangs: a busy machine must not end one here.
        _examiner = Examiner(Models.load(), pace=lambda: camera.pace, monotonic=time.process_time)
    began = time.process_time()
    request = Examine("measure-sessions", Level.ACTIVE, session.prompts, False, SECONDS, session.pauses)
    frames = config.Camera(source="simulated:measured", pace="fast", frame_rate=camera.frame_rate)
    seen = _examiner.examine(request, SimulatedSubject(session.subject, frames))
    options = str(session.subject).partition("?")[2]
    return Record(
        group=session.group,
        number=session.number,
        portrait=session.portrait,
        subject=options,
        prompts=tuple(session.prompts),
        outcome=seen.outcome,
        reasons=tuple(seen.reasons),
        tests={t.name: (t.status, None if t.score is None else round(t.score, 4)) for t in seen.tests},
        frames=seen.frames,
        cpu_s=round(time.process_time() - began, 2),
    )


def hold_all(sessions: Iterable[Session], processes: int, camera: Camera) -> Iterator[Record]:
    """Every session's record, as they come."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(hold, session, camera) for session in sessions]
        try:
            for done in as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def as_line(record: Record) -> bytes:
    """For the cache."""
    return msgspec.json.encode(record) + b"\n"


def from_line(line: bytes) -> Record | None:
    """None for a line that was cut off when the run was interrupted."""
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
