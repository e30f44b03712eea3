"""Light and buzzer on mock pins: they show each state, go out whatever happens, and stop no session."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from vouchbox.config import Pins, load
from vouchbox.errors import ConfigError
from vouchbox.ipc import Channel
from vouchbox.kiosk import lights, terminal
from vouchbox.kiosk.lights import Fixture, play
from vouchbox.kiosk.signals import DARK, State, look
from vouchbox.messages import KioskToVault, Outcome, SessionEnded, VaultToKiosk, decoder

RGB = Pins(red=22, green=23, blue=24, buzzer=12)
PLAIN = Pins(light=18, buzzer=12)
SESSION = "s" * 16
GOOD_BOX = '[box]\nsite = "berlin"\ndevice = "door-1"\n'


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    made = MockFactory(pin_class=MockPWMPin)
    yield made
    made.close()


def lit(factory: MockFactory, *pins: int) -> tuple[bool, ...]:
    return tuple(bool(factory.pin(pin).state) for pin in pins)


@pytest.mark.parametrize("state", State)
def test_the_pins_say_what_the_state_says(factory: MockFactory, state: State) -> None:
    with Fixture(RGB, factory=factory) as fixture:
        for seconds in (0.0, 0.05, 0.12, 0.25, 0.3, 0.55, 0.75, 2.9, 3.5):
            now = look(state, seconds)
            fixture.show(now)
            assert lit(factory, 22, 23, 24) == (now.red, now.green, now.blue)
            buzzer = factory.pin(12)
            assert (buzzer.state > 0) == (now.tone is not None)
            if now.tone is not None:
                assert buzzer.frequency == pytest.approx(now.tone)


def test_one_plain_led_shines_for_every_colour_and_a_buzzer_alone_will_do(factory: MockFactory) -> None:
    with Fixture(PLAIN, factory=factory) as fixture:
        for state in set(State) - {State.IDLE}:
            fixture.show(look(state, 0.0))
            assert lit(factory, 18) == (True,)
            fixture.show(DARK)
            assert lit(factory, 18) == (False,)
    with Fixture(Pins(buzzer=13), factory=factory) as fixture:
        fixture.show(look(State.GOOD, 0.0))
        assert factory.pin(13).state > 0


def test_an_error_in_mid_state_leaves_everything_off(factory: MockFactory) -> None:
    def crash() -> None:
        with Fixture(RGB, factory=factory) as fixture:
            fixture.show(look(State.LOOK, 0.0))
            assert lit(factory, 22, 23, 24) == (True, True, True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()
    assert lit(factory, 22, 23, 24, 12) == (False, False, False, False)


def test_words_from_the_pipe_become_light_and_its_end_ends_it(factory: MockFactory) -> None:
    reading, writing = os.pipe()
    now = 100.0
    with Fixture(RGB, factory=factory) as fixture:
        thread = threading.Thread(target=play, args=(reading, fixture, lambda: now))
        thread.start()
        os.write(writing, b"lo")
        os.write(writing, b"ok\n")
        until(lambda: lit(factory, 22, 23, 24) == (True, True, True))
        os.write(writing, b"turn\nrefused\n")
        until(lambda: lit(factory, 22, 23, 24) == (True, False, False))
        now += 3.0
        until(lambda: lit(factory, 22, 23, 24) == (False, False, False))
        os.write(writing, b"good\n")
        until(lambda: lit(factory, 22, 23, 24) == (False, True, False))
        os.close(writing)
        thread.join(60)
        assert not thread.is_alive()
    os.close(reading)
    assert lit(factory, 22, 23, 24, 12) == (False, False, False, False)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_kiosk_that_is_killed_leaves_the_light_off(
    tmp_path: Path, recording: dict[str, str], end: signal.Signals
) -> None:
    kiosk = kiosk_that_shows_look(recording)
    seen = Path(recording["SEEN_PINS"])
    until(lambda: kiosk.poll() is not None or (seen.exists() and "22 1" in seen.read_text()))
    assert kiosk.poll() is None
    kiosk.send_signal(end)
    kiosk.wait(60)
    until(lambda: last(seen) == {"22": "0", "23": "0", "24": "0"})


def test_the_process_of_the_lights_is_ended_by_systemd_and_leaves_them_off(
    recording: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in recording.items():
        monkeypatch.setenv(name, value)
    seen = Path(recording["SEEN_PINS"])
    command = [sys.executable, "-m", "vouchbox.kiosk.lights", msgspec.json.encode(RGB).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(b"look\n")
        child.stdin.flush()
        until(lambda: seen.exists() and "22 1" in seen.read_text())
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    assert last(seen) == {"22": "0", "23": "0", "24": "0", "12": "0"}


def test_a_session_goes_on_without_a_gpio_chip_and_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    ours, theirs = socket.socketpair()
    vault = Channel(ours, decoder(KioskToVault), peer="kiosk")
    kiosk = Channel(theirs, decoder(VaultToKiosk), peer="vault")
    written: list[str] = []
    with lights.lights(PLAIN) as hear:
        complaint = ""

        def complained() -> bool:
            nonlocal complaint
            complaint += capfd.readouterr().err
            return complaint.endswith("\n")

        until(complained)
        for outcome in (Outcome.LIVE, Outcome.NO_MATCH, Outcome.LIVE):
            vault.send(SessionEnded(SESSION, outcome, ()))
        vault.close()
        terminal.serve(kiosk, terminal.accept, write=written.append, hear=hear)
    kiosk.close()
    assert len([line for line in written if "live person" in line]) == 2
    assert complaint.count("\n") == 1
    assert complaint.startswith("vouchbox: light and buzzer stay off")
    assert "python3-lgpio" in complaint


def test_no_process_is_started_where_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_a, **_k: pytest.fail("a process was started"))
    with lights.lights(Pins(button=17)) as hear:
        assert hear is lights.nothing
    assert Pins() == Pins(None, None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("light = 28", "pins.light"),
        ("buzzer = 1", "pins.buzzer"),
        ("light = -1", "pins.light"),
        ("light = '18'", "pins.light"),
        ("lamp = 18", "lamp"),
        ("light = 18\nbuzzer = 18", "two uses"),
        ("button = 17\nred = 22\ngreen = 22\nblue = 24", "two uses"),
        ("red = 22\nblue = 24", "needs `red`, `green` and `blue`"),
        ("light = 18\nred = 22\ngreen = 23\nblue = 24", "exclude"),
        ("decline-button = 27", "needs a `button`"),
    ],
)
def test_pins_that_are_doubled_out_of_range_or_half_are_refused(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "vouchbox.toml"
    path.write_text(f"{GOOD_BOX}[pins]\n{text}\n")
    with pytest.raises(ConfigError, match=named):
        load(path)


def test_a_button_of_the_command_line_may_not_take_the_lights_pin() -> None:
    assert PLAIN.with_buttons(17, None).button == 17
    assert Pins(button=4).with_buttons(None, 27) == Pins(button=4, decline_button=27)
    with pytest.raises(ConfigError, match="two uses"):
        PLAIN.with_buttons(18, None)


# --- what these tests need ------------------------------------------------------------------------------
RECORDER = """
import os
from gpiozero.pins.mock import MockFactory, MockPWMPin
class Pin(MockPWMPin):
    def _change_state(self, value):
        changed = super()._change_state(value)
        if changed and self._function == "output":
            with open(os.environ["SEEN_PINS"], "a") as seen:
                seen.write(f"{self.info.name.removeprefix('GPIO')} {int(value)}\\n")
        return changed
class Factory(MockFactory):
    def __init__(self):
        super().__init__(pin_class=Pin)
"""
KIOSK = """
import time
from vouchbox.config import Pins
from vouchbox.kiosk.lights import lights
from vouchbox.messages import Phase, Progress
with lights(Pins(red=22, green=23, blue=24)) as hear:
    hear(Progress("s" * 16, Phase.CAPTURING, 0.1))
    time.sleep(600)
"""


@pytest.fixture
def recording(tmp_path: Path) -> dict[str, str]:
    """The environment in which gpiozero drives mock pins that write down what they do."""
    (tmp_path / "recorder.py").write_text(RECORDER)
    about = tmp_path / "recorder-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: recorder\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gpiozero_pin_factories]\nrecorder = recorder:Factory\n")
    return {
        "PYTHONPATH": str(tmp_path),
        "GPIOZERO_PIN_FACTORY": "recorder",
        "SEEN_PINS": str(tmp_path / "seen"),
    }


def kiosk_that_shows_look(recording: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", KIOSK], env={**os.environ, **recording})


def last(seen: Path) -> dict[str, str]:
    return dict(line.split() for line in seen.read_text().splitlines())


def until(true: Callable[[], bool]) -> None:
    for _ in range(30_000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it never came")
