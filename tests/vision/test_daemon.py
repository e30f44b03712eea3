"""The vision room serves the vault over one Unix socket: ready, progress, examination, cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vouchbox import ipc
from vouchbox.config import Box, Config, Vision
from vouchbox.errors import CameraMissing
from vouchbox.machine import Heat, Pace, Sign
from vouchbox.messages import (
    VISION_SESSION_BUDGET,
    CancelExamination,
    Examination,
    MachineState,
    Message,
    Outcome,
    Progress,
    SourceKind,
    VisionReady,
    VisionToVault,
    decoder,
)
from vouchbox.notify import NOBODY, Notifier
from vouchbox.reasons import Reason
from vouchbox.vision import climate, daemon
from vouchbox.vision.models import Models

WAIT_S = 30.0


class Vault:
    """The other side of the socket."""

    channel: ipc.Channel

    def __init__(self, listener: ipc.Listener) -> None:
        self._listener = listener
        self.accept()

    def accept(self) -> ipc.Channel:
        channel = self._listener.accept(
            decoder(VisionToVault), peer="vision", session_budget=VISION_SESSION_BUDGET
        )
        assert channel is not None
        self.channel = channel
        return channel

    def next(self) -> Message:
        message = self.channel.receive(WAIT_S)
        assert message is not None
        return message

    def examination(self) -> tuple[list[Progress], Examination]:
        progress: list[Progress] = []
        while isinstance(message := self.next(), Progress):
            progress.append(message)
        assert isinstance(message, Examination)
        return progress, message


@pytest.fixture
def room(
    short_tmp: Path,
    models: Models,
    still_clip: list[Any],
    play: Any,
    machine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Vault]]:
    """Starts the room in a thread of this process, which is therefore not protected."""
    monkeypatch.setattr(daemon, "protect", lambda: type("None_", (), {"missing": ()})())
    monkeypatch.setattr(Models, "load", lambda *_: models)
    # A machine without a sensor, so that nothing but the test makes this one hot.
    config = Config(
        box=Box(site="s", device="d", run=short_tmp, state=short_tmp), vision=Vision(sysfs=machine())
    )
    listener = ipc.Listener(config.socket("vision"))
    stop = threading.Event()
    threads: list[threading.Thread] = []
    vaults: list[Vault] = []

    def start(factory: Callable[[], Any] = lambda: play(still_clip), notifier: Notifier = NOBODY) -> Vault:
        thread = threading.Thread(target=daemon.run, args=(config, factory, stop, notifier), daemon=True)
        thread.start()
        threads.append(thread)
        vaults.append(Vault(listener))
        return vaults[-1]

    yield start
    stop.set()
    listener.close()
    for vault in vaults:
        vault.channel.close()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_it_says_what_it_is_and_examines_on_demand(room: Any, ask: Any, models: Models) -> None:
    vault = room()
    ready = vault.next()
    assert isinstance(ready, VisionReady)
    assert ready.source_kind is SourceKind.SIMULATED
    assert ready.models == models.identities
    for _ in range(2):
        vault.channel.new_session()
        vault.channel.send(ask())
        progress, found = vault.examination()
        assert len(progress) > 3
        assert found.frames == 30
        assert found.wiped


def test_a_cancel_ends_the_session(room: Any, ask: Any, still_clip: list[Any], play: Any) -> None:
    vault = room(lambda: play(still_clip * 20))
    vault.next()
    vault.channel.send(ask(seconds=30.0))
    assert isinstance(vault.next(), Progress)
    vault.channel.send(CancelExamination(session="another-session-0"))
    vault.channel.send(CancelExamination(session="s" * 16))
    _, found = vault.examination()
    assert found.outcome is Outcome.CANCELLED
    vault.channel.send(CancelExamination(session="s" * 16))
    vault.channel.new_session()
    vault.channel.send(ask(seconds=1.0))
    assert vault.examination()[1].frames > 10


def test_a_camera_that_can_not_be_made_is_an_examination_too(room: Any, ask: Any, play: Any) -> None:
    calls = iter([play([])])

    def factory() -> Any:
        source = next(calls, None)
        if source is None:
            raise CameraMissing("no camera", "plug it in")
        return source

    vault = room(factory)
    vault.next()
    vault.channel.send(ask())
    assert vault.examination()[1].reasons == (Reason.CAMERA_MISSING,)


def test_after_the_vault_came_back_the_room_serves_again(room: Any, ask: Any) -> None:
    vault = room()
    vault.next()
    vault.channel.close()
    vault.accept()
    assert isinstance(vault.next(), VisionReady)
    vault.channel.send(ask(seconds=1.0))
    assert vault.examination()[1].frames > 10


def test_a_machine_without_a_sensor_is_told_as_unknown_not_as_fine(room: Any) -> None:
    ready = room().next()
    assert isinstance(ready, VisionReady)
    assert ready.machine == MachineState(Heat.UNKNOWN, None, *[Sign.UNKNOWN] * 4, Pace.FULL)


def test_a_machine_that_grows_hot_in_a_session_thins_its_frames_and_tells_after_it(
    room: Any, ask: Any, machine: Any, still_clip: list[Any], play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(climate, "READ_S", 0.0)
    machine(52_000, throttled="0")

    class Heating(play):  # type: ignore[misc]
        def capture(self, into: Any) -> Any:
            if self._next == 15:
                machine(83_500, throttled="8")
            return super().capture(into)

    vault = room(lambda: Heating(still_clip))
    ready = vault.next()
    assert isinstance(ready, VisionReady)
    assert ready.machine == MachineState(Heat.COOL, 52, *[Sign.NO] * 4, Pace.FULL)
    vault.channel.send(ask())
    _, found = vault.examination()
    assert 15 < found.frames < 27
    assert found.frames + found.skipped == 30
    hot = MachineState(Heat.HOT, 84, Sign.NO, Sign.NO, Sign.NO, Sign.YES, Pace.LEAST)
    assert vault.next() == hot


class Manager(Notifier):
    """Counts what a room tells."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def ready(self) -> None:
        self.words.append("ready")

    def alive(self) -> None:
        self.words.append("alive")


def test_a_camera_that_is_stuck_silences_the_room_until_it_moves_again(
    room: Any, ask: Any, still_clip: list[Any], play: Any
) -> None:
    stuck, moves, manager = threading.Event(), threading.Event(), Manager()

    class Sticking(play):  # type: ignore[misc]
        def capture(self, into: Any) -> Any:
            if manager.words.count("alive") > frames_before + 10 and not stuck.is_set():
                stuck.set()
                moves.wait(WAIT_S)
            return super().capture(into)

    vault = room(lambda: Sticking(still_clip), manager)
    vault.next()
    assert manager.words[0] == "ready"
    frames_before = manager.words.count("alive")
    vault.channel.send(ask())
    assert stuck.wait(WAIT_S)
    told = len(manager.words)
    moves.wait(2.5 * daemon._TICK_S)
    assert len(manager.words) == told, "only the loop that does the work may say that it lives"
    moves.set()
    vault.examination()
    assert len(manager.words) > told
