"""`vouchbox vision`: waits for the vault's word, looks at the person, answers with numbers.

This process sees frames and models, and nothing else: it opens one Unix socket (to the vault), no network
socket, and writes no file. Models are read and checked before the first session. Where the frames come
from is decided outside and handed in, so that a simulated subject takes the same way as a camera.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable

import msgspec

from vouchbox import __version__, ipc
from vouchbox.camera.protection import end_on_signals, protect
from vouchbox.camera.ring import FrameRing
from vouchbox.camera.source import FrameFormat, FrameSource, Image, Stamp
from vouchbox.config import Config
from vouchbox.errors import CameraError, MessageError, RoomGone, VouchboxError
from vouchbox.messages import (
    CancelExamination,
    Examine,
    SourceKind,
    VaultToVision,
    VisionReady,
    decoder,
)
from vouchbox.notify import NOBODY, Notifier
from vouchbox.vision.climate import Climate
from vouchbox.vision.examination import RING_SLOTS, Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.sensors import Sensors

RECONNECT_S = 0.5
"""Pause before the vault's socket is tried again."""

_TICK_S = 0.5
_ENDED_BY_SIGNAL = {128 + signal.SIGTERM, 128 + signal.SIGHUP}

SourceFactory = Callable[[], FrameSource]

log = logging.getLogger("vouchbox.vision")


def run(
    config: Config,
    source_factory: SourceFactory,
    stop: threading.Event | None = None,
    notifier: Notifier = NOBODY,
) -> None:
    """Serve the vault until `stop` is set or SIGTERM comes. Raises ModelError, RuntimeMissing, or
    MemoryLockError when the configuration requires locked memory; a vault that is away is waited for."""
    ended = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        end_on_signals()
    try:
        for missing in protect().missing:
            log.warning("%s", missing)
        vision = config.vision
        models = Models.load(vision.models, vision.runtime, vision.threads)
        ready = VisionReady(
            version=__version__,
            runtime=models.runtime.label,
            models=models.identities,
            source_kind=source_factory().kind,
            memory_locked=_memory_locked(config),
        )
        climate = Climate(Sensors(vision.sysfs))
        locked = vision.require_locked_memory
        examiner = Examiner(models, require_locked=locked, problem=_report, pace=climate.pace)
        log.info("ready with %s", models.runtime.label)
        notifier.ready()
        while not ended.is_set():
            notifier.alive()
            try:
                with ipc.connect(config.socket("vision"), decoder(VaultToVision), peer="vault") as channel:
                    channel.send(msgspec.structs.replace(ready, machine=climate.now()))
                    serve(channel, examiner, source_factory, climate, ended, notifier)
            except (RoomGone, MessageError) as problem:
                log.warning("%s", problem)
                ended.wait(RECONNECT_S)
    except SystemExit as leaving:
        if leaving.code not in _ENDED_BY_SIGNAL:
            raise
    finally:
        notifier.stopping()


def serve(
    channel: ipc.Channel,
    examiner: Examiner,
    source_factory: SourceFactory,
    climate: Climate,
    stop: threading.Event,
    notifier: Notifier = NOBODY,
) -> None:
    """Answer every Examine on `channel` and tell how the machine is, until `stop`; raises RoomGone when the
    vault is gone."""
    after_session = False
    while not stop.is_set():
        notifier.alive()
        news = climate.news(at_once=after_session)
        after_session = False
        if news is not None:
            channel.send(news)
        match channel.receive(_TICK_S):
            case Examine() as request:
                began = time.monotonic()
                watch = _AfterEachFrame(channel, request.session, stop, notifier)
                found = examiner.examine(request, _source(source_factory), channel.send, watch)
                channel.send(found)
                after_session = True
                log.info(
                    "%s after %.1f s and %d frames", found.outcome, time.monotonic() - began, found.frames
                )
            case CancelExamination() | None:
                pass  # what it would cancel is over
            case _:
                log.warning("the vault sent something that nobody asked for")


class _AfterEachFrame:
    """Asked after every frame: did the vault cancel this session, or must the room close?

    Only here does a session tell that it lives, so a camera or a model that is stuck falls silent.
    """

    def __init__(self, channel: ipc.Channel, session: str, stop: threading.Event, notifier: Notifier) -> None:
        self._channel = channel
        self._session = session
        self._stop = stop
        self._notifier = notifier

    def __call__(self) -> bool:
        self._notifier.alive()
        match self._channel.receive(0.0):
            case CancelExamination(session=session) if session == self._session:
                return True
            case Examine():
                log.warning("the vault asked for a second session; it gets no answer")
        return self._stop.is_set()


class _NoSource:
    """Stands in for a camera that could not even be named, so that the session ends with its reason."""

    kind = SourceKind.SENSOR
    name = "none"

    def __init__(self, problem: CameraError) -> None:
        self._problem = problem

    def open(self) -> FrameFormat:
        raise self._problem

    def capture(self, into: Image) -> Stamp | None:
        raise self._problem

    def close(self) -> None:
        return


def _source(factory: SourceFactory) -> FrameSource:
    try:
        return factory()
    except CameraError as problem:
        return _NoSource(problem)


def _memory_locked(config: Config) -> bool:
    camera = config.camera
    shape = FrameFormat(camera.width, camera.height, camera.frame_rate)
    with FrameRing(shape, RING_SLOTS, require_locked=config.vision.require_locked_memory) as ring:
        return ring.locked


def _report(problem: VouchboxError) -> None:
    log.warning("%s", problem)
