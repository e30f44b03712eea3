"""The push button: a clear press is an answer, and everything that is not clearly a yes opens nothing."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import ConfigError
from vouchbox.ipc import Channel
from vouchbox.kiosk import button
from vouchbox.kiosk.button import LONG_S, READ_S, Buttons, Press, Which
from vouchbox.messages import (
    Action,
    ConsentAsked,
    ConsentGiven,
    ConsentWay,
    KioskToVault,
    Level,
    Message,
    Notice,
    Outcome,
    Phase,
    Progress,
    Prompt,
    ReceiptIssued,
    SessionCancelled,
    SessionEnded,
    VaultToKiosk,
    decoder,
)

ACCEPT, DECLINE = 17, 27
SESSION = "s" * 16
LISTS = ("pii_types", "recipients", "processors", "regions")
NOTICE = msgspec.convert(
    {field: [f"<{field}>"] if field in LISTS else f"<{field}>" for field in Notice.__struct_fields__}
    | {"language": "en", "policy": "https://<policy>", "validity_days": 30, "template_readers": "party"},
    Notice,
)
ASKED = ConsentAsked(SESSION, "shop", "pickup", Action.CHECK, Level.ACTIVE, NOTICE, 60)


@dataclass
class Counter:
    """A kiosk with buttons made of mock pins, and the vault's end of its line. Time is what we say."""

    vault: Channel
    kiosk: Channel
    buttons: Buttons
    factory: MockFactory
    written: list[str] = field(default_factory=list)
    now: float = 100.0
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(
            target=button.serve,
            args=(self.kiosk, self.buttons),
            kwargs={"write": self.written.append, "clock": lambda: self.now},
        )
        self.thread.start()

    def tell(self, message: Message, sign: str) -> None:
        """Say something to the kiosk and wait until the sign of it is on the screen."""
        self.vault.send(message)
        for _ in range(1000):
            if any(sign in line for line in self.written):
                return
            threading.Event().wait(0.01)
        pytest.fail(f"the kiosk never showed {sign!r}")

    def press(self, seconds: float, pin: int = ACCEPT) -> None:
        wire = self.factory.pin(pin)
        wire.drive_low()
        self.now += seconds
        wire.drive_high()

    def reply(self) -> Message | None:
        return self.vault.receive(10)

    def nothing_said(self) -> bool:
        """Send one more progress and see it shown: whatever was to be said before that has been said."""
        mark = f"{len(self.written) % 90 + 5} %"
        self.tell(
            Progress(SESSION, Phase.CAPTURING, int(mark.split()[0]) / 100, _prompt(len(self.written))), mark
        )
        return self.vault.receive(0.2) is None


def _prompt(number: int) -> Prompt:
    return list(Prompt)[number % len(Prompt)]


@pytest.fixture
def counter() -> Iterator[Counter]:
    ours, theirs = socket.socketpair()
    factory = MockFactory()
    made = Counter(
        Channel(ours, decoder(KioskToVault), peer="kiosk"),
        Channel(theirs, decoder(VaultToKiosk), peer="vault"),
        None,  # type: ignore[arg-type]
        factory,
    )
    made.buttons = Buttons(ACCEPT, DECLINE, factory=factory, clock=lambda: made.now)
    made.start()
    yield made
    made.vault.close()
    assert made.thread is not None
    made.thread.join(10)
    made.kiosk.close()
    made.buttons.__exit__()
    factory.close()


def test_a_short_press_is_a_yes_after_the_whole_notice_was_shown(counter: Counter) -> None:
    counter.tell(ASKED, "Press the button")
    for name in Notice.__struct_fields__:
        if name not in ("language", "schema_version", "validity_days", "template_readers"):
            assert any(f"<{name}>" in line for line in counter.written), name
    counter.now += READ_S
    counter.press(0.3)
    assert counter.reply() == ConsentGiven(SESSION, True, ConsentWay.BUTTON)


@pytest.mark.parametrize(("seconds", "pin"), [(LONG_S, ACCEPT), (0.2, DECLINE), (5.0, DECLINE)])
def test_a_long_press_or_the_other_button_is_a_no(counter: Counter, seconds: float, pin: int) -> None:
    counter.tell(ASKED, "Press the button")
    counter.now += READ_S
    counter.press(seconds, pin)
    assert counter.reply() == ConsentGiven(SESSION, False, ConsentWay.BUTTON)


def test_a_button_that_was_down_before_the_notice_says_nothing(counter: Counter) -> None:
    counter.factory.pin(ACCEPT).drive_low()
    counter.now += 5.0
    counter.tell(ASKED, "Press the button")
    counter.now += READ_S
    counter.factory.pin(ACCEPT).drive_high()
    assert counter.nothing_said()
    counter.press(0.2)
    assert counter.reply() == ConsentGiven(SESSION, True, ConsentWay.BUTTON)


def test_a_yes_in_reflex_says_nothing(counter: Counter) -> None:
    counter.tell(ASKED, "Press the button")
    counter.press(0.2)
    assert counter.nothing_said()


def test_presses_without_a_question_say_nothing(counter: Counter) -> None:
    for pin in (ACCEPT, DECLINE):
        counter.press(0.2, pin)
    counter.tell(ASKED, "Press the button")
    assert counter.nothing_said()


def test_one_press_answers_one_question(counter: Counter) -> None:
    counter.tell(ASKED, "Press the button")
    counter.now += READ_S
    counter.press(0.2)
    assert isinstance(counter.reply(), ConsentGiven)
    counter.press(0.2)
    assert counter.nothing_said()
    counter.tell(SessionEnded(SESSION, Outcome.LIVE, ()), "Done.")
    counter.tell(ReceiptIssued(SESSION, "receipt-1", "short"), "receipt-1")
    counter.press(0.2)
    assert counter.vault.receive(0.2) is None


def test_a_long_press_stops_a_session_under_way(counter: Counter) -> None:
    counter.tell(ASKED, "Press the button")
    counter.now += READ_S
    counter.press(0.2)
    assert isinstance(counter.reply(), ConsentGiven)
    counter.press(LONG_S)
    assert counter.reply() == SessionCancelled(SESSION)


def test_who_agreed_in_the_app_is_shown_the_notice_and_can_still_stop(counter: Counter) -> None:
    counter.tell(msgspec.structs.replace(ASKED, given=True), "accepted in the app")
    assert not any("Press the button" in line for line in counter.written)
    counter.press(0.2)
    counter.press(0.2, DECLINE)
    assert counter.reply() == SessionCancelled(SESSION)


moments = st.floats(0.0, 100.0)


@given(st.sampled_from(Which), moments, moments, moments)
def test_only_a_short_press_on_the_right_button_after_reading_is_a_yes(
    which: Which, shown: float, began: float, held: float
) -> None:
    said = button.answer(Press(which, began, began + held), shown)
    length = (began + held) - began
    clear = which is Which.ACCEPT and length < LONG_S and began >= shown + READ_S
    assert (said is True) == clear
    assert (said is None) <= (began < shown + READ_S)


def test_without_gpiozero_or_a_pin_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    with pytest.raises(ConfigError, match="python3-lgpio"):
        Buttons(ACCEPT)
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(ConfigError, match=r"vouchbox\[button\]"):
        Buttons(ACCEPT)
