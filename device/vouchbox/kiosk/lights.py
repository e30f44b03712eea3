"""A light and a buzzer on GPIO pins (gpiozero), in a process of their own that the kiosk tells what to show.

The process lives on the kiosk's pipe: when the kiosk ends, however it ends, the pipe does, and the light goes
out. Trouble with pins is one sentence on standard error and never reaches a session: nothing waits for this
process, and what it can't take is dropped. It gets the words of signals.py and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import msgspec

from vouchbox.config import Pins
from vouchbox.errors import ConfigError, VouchboxError
from vouchbox.kiosk.signals import DARK, Look, Signal, State, after, lasts, look
from vouchbox.messages import Message

TICK_S = 0.05
"""A rhythm or a tone changes this exactly."""

FAREWELL_S = 2.0
"""The process of the lights gets this long to end."""

_MIDDLE_HZ, _OCTAVES = 622.25, 2
"""The buzzer plays from two octaves below to two above this: 156 to 2489 Hz."""

Hear = Callable[[Message], None]
Clock = Callable[[], float]


def nothing(_message: Message) -> None:
    """Hear a message without a light."""


# --- the kiosk's side -----------------------------------------------------------------------------------
@contextlib.contextmanager
def lights(pins: Pins) -> Iterator[Hear]:
    """What the kiosk calls with every message of the vault, while the lights are on; does nothing where no
    light and no buzzer is configured."""
    if pins.light is None and pins.red is None and pins.buzzer is None:
        yield nothing
        return
    command = [sys.executable, "-s", "-P", "-m", __name__, msgspec.json.encode(pins).decode()]
    # A session of its own: Ctrl-C is for the kiosk, whose end this process sees by itself.
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    told = child.stdin
    if told is None:  # never with PIPE
        raise RuntimeError
    os.set_blocking(told.fileno(), False)
    try:
        yield Teller(told.fileno()).hear
    finally:
        told.close()
        try:
            child.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Teller:
    """Says each new signal into the pipe `told`, once."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._signal = Signal()

    def hear(self, message: Message) -> None:
        """Tell what `message` changes. A pipe that is full or has no reader is no matter."""
        now = after(message, self._signal)
        if now != self._signal:
            self._signal = now
            with contextlib.suppress(OSError):
                os.write(self._told, f"{now.state}\n".encode())


# --- the process of the lights --------------------------------------------------------------------------
class Fixture(AbstractContextManager["Fixture"]):
    """The open LED or LEDs and the buzzer. Dark and silent at first, and at the end whatever happened."""

    def __init__(self, pins: Pins, *, factory: Any = None) -> None:
        """Open them; raises ConfigError without gpiozero, a pin library or such pins."""
        self._stack = ExitStack()
        self._lamps: dict[str, Any] = {}
        self._buzzer: Any = None
        self._shown = DARK
        try:
            from gpiozero import LED, TonalBuzzer
            from gpiozero.tones import Tone
        except ImportError:
            raise ConfigError("gpiozero is not installed", "install vouchbox[button]") from None
        try:
            for name in ("light", "red", "green", "blue"):
                if (pin := getattr(pins, name)) is not None:
                    self._lamps[name] = self._stack.enter_context(LED(pin, pin_factory=factory))
            if pins.buzzer is not None:
                middle = Tone.from_frequency(_MIDDLE_HZ)
                buzzer = TonalBuzzer(pins.buzzer, mid_tone=middle, octaves=_OCTAVES, pin_factory=factory)
                self._buzzer = self._stack.enter_context(buzzer)
        except Exception as problem:  # gpiozero and each of its pin libraries have roots of their own
            self._stack.close()
            raise ConfigError(
                f"light and buzzer stay off, for no pin can be driven ({type(problem).__name__})",
                "install python3-lgpio, name free pins by BCM number, and put this user into the group gpio",
            ) from None

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):  # closing the pins switches them off as well
            self.show(DARK)
        self._stack.close()

    def show(self, now: Look) -> None:
        """Have the pins say `now`; one plain LED shines for every colour."""
        for name, lamp in self._lamps.items():
            lit = now.red or now.green or now.blue if name == "light" else getattr(now, name)
            lamp.value = lit
        if self._buzzer is not None and now.tone != self._shown.tone:
            self._sound(now.tone)
        self._shown = now

    def _sound(self, hertz: float | None) -> None:
        from gpiozero.tones import Tone

        if hertz is None:
            self._buzzer.stop()
        else:
            self._buzzer.play(Tone.from_frequency(hertz))


def play(told: int, fixture: Fixture, clock: Clock = time.monotonic) -> None:
    """Show the states whose words come out of the pipe `told`, a line each, until it ends."""
    state, since, pending = State.IDLE, clock(), b""
    while True:
        seconds = clock() - since
        fixture.show(look(state, seconds))
        moving = seconds < lasts(state)
        if not select.select([told], [], [], TICK_S if moving else None)[0]:
            continue
        heard = os.read(told, 256)
        if not heard:
            return
        *lines, pending = (pending + heard).split(b"\n")
        for line in lines:
            state, since = State(line.decode()), clock()


def _main() -> None:
    # Ended by systemd or by hand: leave through the door that switches the light off.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    warnings.simplefilter("ignore")  # gpiozero warns of each pin library that it tries in vain
    try:
        with Fixture(msgspec.json.decode(sys.argv[1], type=Pins)) as fixture:
            play(sys.stdin.fileno(), fixture)
    except VouchboxError as problem:
        sys.exit(f"vouchbox: {problem}")


if __name__ == "__main__":
    _main()
