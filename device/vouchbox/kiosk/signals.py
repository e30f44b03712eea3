"""What a light and a buzzer tell, as numbers: idle, look here, turn, good, refused. Pure; no pin is touched.

Dark means that nobody is looked at. Each state differs by colour, by rhythm and by sound, so that who can't
see one of these has the others. The room learns good or refused and no more: not whether a face was compared,
and not why it was refused. Nothing flashes more than twice a second (WCAG 2.2, 2.3.1 allows three).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vouchbox.messages import ConsentAsked, Message, Outcome, Phase, Progress, Prompt, SessionEnded

RESULT_S = 3.0
"""A result is shown for this long, then the light goes out."""

CAPTURE_LIMIT_S = 60.0
"""No capture takes as long: a light that still asks by then has lost its session and goes out."""


class State(StrEnum):
    """What is told; the value is the word that lights.py sends to its process."""

    IDLE = "idle"
    LOOK = "look"
    TURN = "turn"
    GOOD = "good"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Signal:
    """A state, and the prompt that it is about: a new prompt is a new signal."""

    state: State = State.IDLE
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be seen and heard at one moment: the three colours, and a tone in Hz or silence (None)."""

    red: bool = False
    green: bool = False
    blue: bool = False
    tone: float | None = None


DARK = Look()

_RESULTS = {
    Outcome.LIVE: State.GOOD,
    Outcome.MATCH: State.GOOD,
    Outcome.NO_MATCH: State.REFUSED,
    Outcome.INCONCLUSIVE: State.REFUSED,
    Outcome.ATTACK_SUSPECTED: State.REFUSED,
    Outcome.DECLINED: State.IDLE,
    Outcome.CANCELLED: State.IDLE,
    Outcome.REFUSED: State.IDLE,
}
"""Who says no is told nothing in public, and a request that was refused is nobody's."""

_COLOURS = {
    State.IDLE: (False, False, False),
    State.LOOK: (True, True, True),
    State.TURN: (True, True, False),
    State.GOOD: (False, True, False),
    State.REFUSED: (True, False, False),
}
_HALF_PERIODS = {State.TURN: 0.5, State.REFUSED: 0.25}
"""Seconds on and as long off; the others shine steadily."""

_TONES: dict[State, tuple[tuple[float, float, float], ...]] = {
    State.IDLE: (),
    State.LOOK: ((0.0, 0.15, 880.0),),
    State.TURN: ((0.0, 0.1, 1175.0), (0.2, 0.3, 1175.0)),
    State.GOOD: ((0.0, 0.15, 880.0), (0.15, 0.4, 1320.0)),
    State.REFUSED: ((0.0, 0.6, 294.0),),
}
"""From second, until second, Hz: one short, two short, rising, one long and low."""


def after(message: Message, before: Signal) -> Signal:
    """The signal once the kiosk has heard `message`; a message that says nothing to the room changes none."""
    match message:
        case Progress(phase=Phase.CAPTURING, prompt=prompt):
            return Signal(State.LOOK if prompt is None else State.TURN, prompt)
        case Progress():
            return before
        case SessionEnded(outcome=outcome):
            return Signal(_RESULTS[outcome])
        case ConsentAsked():
            return Signal()
        case _:
            return before


def lasts(state: State) -> float:
    """Seconds after which `state` has become dark by itself."""
    if state is State.IDLE:
        return 0.0
    return RESULT_S if state in (State.GOOD, State.REFUSED) else CAPTURE_LIMIT_S


def look(state: State, seconds: float) -> Look:
    """What is to be seen and heard `seconds` after `state` began."""
    if seconds >= lasts(state):
        return DARK
    half = _HALF_PERIODS.get(state)
    shines = half is None or int(seconds / half) % 2 == 0
    red, green, blue = (colour and shines for colour in _COLOURS[state])
    tone = next((hertz for begin, end, hertz in _TONES[state] if begin <= seconds < end), None)
    return Look(red, green, blue, tone)
