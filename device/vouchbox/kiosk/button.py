"""A kiosk whose answer is a push button: short is yes, long is no; or one button for each.

It shows the notice as the terminal does and speaks the same messages. Whatever is not clearly a yes opens
nothing: a press that began before the notice could be read, a button that is stuck, a long press, a press on
"decline", silence. Which answer a press is, is decided by pure functions; gpiozero is imported only when a
button is really opened, and tests put its mock pins in place.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import click

from vouchbox.config import Config
from vouchbox.errors import ConfigError, RoomGone
from vouchbox.ipc import Channel, connect
from vouchbox.kiosk.lights import Hear, lights, nothing
from vouchbox.kiosk.terminal import show, show_notice
from vouchbox.messages import (
    ConsentAsked,
    ConsentGiven,
    ConsentWay,
    Message,
    SessionCancelled,
    SessionEnded,
    VaultToKiosk,
    decoder,
)

READ_S = 1.0
"""A yes that began sooner than this after the notice appeared was a reflex, not an answer."""

LONG_S = 2.0
"""A press of this length is a no."""

BOUNCE_S = 0.05
"""Contacts chatter for this long."""

LOOK_S = 0.05
"""The presses are looked at this often."""

Clock = Callable[[], float]


class Which(StrEnum):
    """Which button."""

    ACCEPT = "accept"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Press:
    """One press, from contact to release, in seconds of a steady clock."""

    which: Which
    began: float
    ended: float


def answer(press: Press, shown: float) -> bool | None:
    """What `press` says to a notice that was shown at `shown`: yes, no, or nothing (None)."""
    if press.began < shown:
        return None
    if press.which is Which.DECLINE or press.ended - press.began >= LONG_S:
        return False
    return True if press.began >= shown + READ_S else None


def stops(press: Press) -> bool:
    """Whether `press` stops a session that is under way."""
    return press.which is Which.DECLINE or press.ended - press.began >= LONG_S


class Buttons(AbstractContextManager["Buttons"]):
    """The push buttons at these GPIO numbers (BCM), each between its pin and ground."""

    def __init__(
        self, accept: int, decline: int | None = None, *, factory: Any = None, clock: Clock = time.monotonic
    ) -> None:
        """Open them; raises ConfigError without gpiozero, a pin library or such a pin."""
        self.presses: queue.SimpleQueue[Press] = queue.SimpleQueue()
        self._clock = clock
        self._began: dict[Which, float] = {}
        self._stack = ExitStack()
        pins = {Which.ACCEPT: accept} | ({} if decline is None else {Which.DECLINE: decline})
        try:
            from gpiozero import Button
        except ImportError:
            raise ConfigError("gpiozero is not installed", "install vouchbox[button]") from None
        try:
            for which, pin in pins.items():
                button = Button(pin, pull_up=True, bounce_time=BOUNCE_S, pin_factory=factory)
                self._stack.callback(button.close)
                button.when_pressed = lambda which=which: self._begin(which)
                button.when_released = lambda which=which: self._end(which)
        except Exception as problem:  # gpiozero and each of its pin libraries have roots of their own
            self._stack.close()
            numbers = ", ".join(map(str, pins.values()))
            raise ConfigError(
                f"no button can be read at GPIO {numbers} ({type(problem).__name__})",
                "install python3-lgpio and give the BCM numbers of free pins",
            ) from None

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin(self, which: Which) -> None:
        self._began[which] = self._clock()

    def _end(self, which: Which) -> None:
        # A release without a press was held since before we listened: it says nothing.
        if (began := self._began.pop(which, None)) is not None:
            self.presses.put(Press(which, began, self._clock()))


@dataclass(slots=True)
class Desk:
    """What is on the screen now: the question that waits (with when it was shown), and the session under
    way."""

    write: Callable[[str], None]
    clock: Clock
    asked: tuple[str, float] | None = None
    session: str = ""
    shown: str = field(default="")

    def hear(self, message: Message) -> None:
        """Show what the vault says."""
        if isinstance(message, ConsentAsked):
            show_notice(message, self.write)
            self.session = message.session
            self.asked = None
            if not message.given:
                self.write("  Press the button for yes, hold it two seconds for no.")
                self.asked = (message.session, self.clock())
            return
        self.shown = show(message, self.shown, self.write)
        if isinstance(message, SessionEnded):
            self.asked, self.session = None, ""

    def press(self, press: Press) -> ConsentGiven | SessionCancelled | None:
        """What `press` means now, for the vault; None when it means nothing."""
        if self.asked is not None:
            session, shown = self.asked
            said = answer(press, shown)
            if said is None:
                return None
            self.asked = None
            self.write("  -> accepted" if said else "  -> declined")
            return ConsentGiven(session=session, accepted=said, way=ConsentWay.BUTTON)
        if self.session and stops(press):
            return SessionCancelled(session=self.session)
        return None


def serve(
    channel: Channel,
    buttons: Buttons,
    *,
    write: Callable[[str], None] = click.echo,
    clock: Clock = time.monotonic,
    hear: Hear = nothing,
) -> None:
    """Handle messages and presses until the vault goes away; `hear` gets each message first."""
    desk = Desk(write, clock)
    try:
        while True:
            message = channel.receive(LOOK_S)
            if message is not None:
                hear(message)
                desk.hear(message)
            while not buttons.presses.empty():
                reply = desk.press(buttons.presses.get())
                if reply is not None:
                    channel.send(reply)
    except RoomGone:
        return


def run(config: Config) -> None:
    """Connect to the vault and serve; raises RoomGone when no vault listens, ConfigError without buttons."""
    accept = config.pins.button
    if accept is None:
        raise ConfigError("no button is configured", "set button under [pins]")
    with (
        Buttons(accept, config.pins.decline_button) as buttons,
        lights(config.pins) as hear,
        connect(config.socket("kiosk"), decoder(VaultToKiosk), peer="vault") as channel,
    ):
        serve(channel, buttons, hear=hear)
