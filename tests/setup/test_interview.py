"""`vouchbox setup` at a terminal: it asks, tries at once, and goes on where it was interrupted."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vouchbox import config as configuration
from vouchbox.simulator.broker import Broker
from vouchbox.vault import keys, registry

PATIENCE_S = 240.0


class Terminal:
    """A program behind a terminal, and what it showed so far."""

    def __init__(self, command: list[str]) -> None:
        self._own, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
        )
        os.close(theirs)
        self.shown = ""
        self._read = 0

    def until(self, word: str) -> None:
        """Until `word` is shown, after what was waited for before."""
        deadline = time.monotonic() + PATIENCE_S
        while word not in self.shown[self._read :]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._own], [], [], left)[0] or not self._more():
                raise AssertionError(f"{word!r} was not shown:\n{self.shown}")
        self._read = self.shown.index(word, self._read) + len(word)

    def answer(self, question: str, text: str = "") -> None:
        """Wait for the question and type the answer."""
        self.until(question)
        os.write(self._own, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Ctrl-C, and again if nothing comes of it: Python's input() drops one that arrives while it flushes
        and looks at the terminal, just before it waits."""
        for _ in range(5):
            os.killpg(self.process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)
                return

    def end(self) -> int:
        """Everything that is still shown, and the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while select.select([self._own], [], [], max(0.0, deadline - time.monotonic()))[0] and self._more():
            pass
        if self.process.poll() is None and time.monotonic() >= deadline:
            raise AssertionError(f"it did not end:\n{self.shown}")
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._own)

    def _more(self) -> bool:
        try:
            data = os.read(self._own, 4096)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode(errors="replace").replace("\r", "")
        return bool(data)


@pytest.fixture
def terminal(box: Any) -> Iterator[Callable[..., Terminal]]:
    """Starts `vouchbox setup` at a terminal."""
    running: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        command = [sys.executable, "-m", "vouchbox", "setup", "--config", str(box.path), "--no-start"]
        running.append(Terminal([*command, *arguments]))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.mark.mosquitto
def test_a_person_is_led_to_a_box_that_works_and_wrong_answers_change_nothing(
    box: Any, broker: Broker, terminal: Callable[..., Terminal], portraits: None
) -> None:
    talk = terminal()
    before = box.snapshot()
    talk.answer("Site", "Not A Name")
    talk.answer("Device", "door")
    talk.answer("Camera", "simulated:collins")
    talk.until("box.site")
    talk.answer("Try this step again?", "y")
    assert box.snapshot() == before

    talk.answer("Site", "shop")
    talk.answer("Device", "door")
    talk.answer("Camera", "webcam:63")
    talk.until("camera: ")
    talk.answer("Try this step again?")
    assert box.snapshot() == before
    talk.answer("Site", "shop")
    talk.answer("Device", "door")
    talk.answer("Camera", "simulated:collins")
    talk.until("frames a second, none was stored")
    talk.answer("Write this")

    talk.answer("Registration", str(box.brought / "ca.pem"))
    talk.until("is wrong")
    talk.answer("Registration", str(box.brought / "pickup.toml"))
    talk.answer("Registration")

    for port, wrong in ((1, True), (broker.port, False)):
        talk.answer("Broker", "localhost")
        talk.answer("Its port", str(port))
        talk.answer("CA of the broker", str(box.brought / "ca.pem"))
        talk.answer("Certificate of this box", str(box.brought / "box.pem"))
        talk.answer("Its key", str(box.brought / "box.key"))
        if wrong:
            talk.until("nothing answers at localhost:1")
            talk.answer("Try this step again?", "y")
            assert not (box.etc / "tls").exists()
    talk.until("takes this box's certificate")
    talk.answer("Write this")
    talk.answer("Who stands before the camera", "camera")
    talk.until("If you decline")
    talk.answer("Your answer", "a")
    assert talk.end() == 0, talk.shown
    assert "live, before a simulated source" in talk.shown
    config = configuration.load(box.path)
    assert config.uplink.port == broker.port
    keys.load(config.vault.keys)
    assert set(registry.load(config.vault.parties)) == {"pickup-counter"}


def test_an_interrupted_setup_goes_on_where_it_stopped(
    box: Any, terminal: Callable[..., Terminal], portraits: None
) -> None:
    talk = terminal()
    talk.answer("Site", "shop")
    talk.answer("Device", "door")
    talk.answer("Camera", "simulated:collins")
    talk.answer("Write this")
    talk.until("Registration")
    talk.interrupt()
    assert talk.end() == 130
    made = {path.name: path.read_bytes() for path in box.keys.iterdir()}
    written = box.path.read_text()

    talk = terminal()
    for question in ("Site", "Device", "Camera"):
        talk.answer(question)
    talk.until("there already")
    talk.answer("Registration")
    talk.until("nobody may ask this box yet")
    talk.interrupt()
    talk.end()
    assert {path.name: path.read_bytes() for path in box.keys.iterdir()} == made
    assert box.path.read_text() == written


def test_who_declines_the_test_session_keeps_the_camera_closed_and_the_box_as_it_is(
    box: Any, terminal: Callable[..., Terminal], portraits: None
) -> None:
    text = box.path.read_text().replace("unnamed", "shop").replace('"picamera2"', '"webcam:63"')
    box.path.write_text(text)
    assert terminal("--step", "keys").end() == 0
    talk = terminal("--step", "session")
    talk.answer("Who stands before the camera")
    talk.answer("Your answer", "d")
    assert talk.end() == 0, talk.shown
    assert "declined, and the camera stayed closed" in talk.shown


def test_one_step_alone_can_be_repeated(box: Any, terminal: Callable[..., Terminal], portraits: None) -> None:
    box.path.write_text(box.path.read_text().replace("unnamed", "shop"))
    talk = terminal("--step", "keys")
    assert talk.end() == 0, talk.shown
    assert "made in" in talk.shown
    talk = terminal("--step", "keys")
    assert talk.end() == 0, talk.shown
    assert "there already" in talk.shown
    assert list(Path(box.etc).iterdir())
