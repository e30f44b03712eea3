"""How many frames a hot, throttled or badly fed machine looks at: a state machine in three steps.

Pure: readings and the time in, a state out. Down at once when a threshold is passed, and again while a sign
of distress lasts; up one step only after a calm minute, with a lower threshold than on the way down. What is
unknown never raises the pace. It may never go below what the liveness tests need (thinning.py holds that).

    full <-> eased <-> least        down: heat, or a sign every STEP_S        up: CALM_S without either
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.machine import Heat, Pace, Sign
from vouchbox.messages import MachineState
from vouchbox.vision.sensors import Reading

WARM_C = 75.0
"""From here on fewer frames are looked at: below what makes the firmware act."""

HOT_C = 80.0
"""From here on as few as possible: the firmware begins to throttle at 80 degrees (Raspberry Pi documentation,
"Frequency management and thermal control")."""

BACK_C = 5.0
"""A machine counts as cooler only this far below the threshold that it passed."""

STEP_S = 10.0
"""While the firmware shows distress, the pace goes one step further down this often."""

CALM_S = 60.0
"""And one step up after so long without any reason to be down."""

_STEPS = tuple(Pace)
_LOWEST = len(_STEPS) - 1
_STEP_OF = {Heat.WARM: 1, Heat.HOT: 2}


@dataclass(frozen=True, slots=True)
class State:
    """`step` 0 to 2 down; `strained_s` when a sign last cost a step; `calm_s` since when nothing speaks
    against going up; which sensors ever answered."""

    heat: Heat = Heat.UNKNOWN
    step: int = 0
    strained_s: float | None = None
    calm_s: float | None = None
    knows_temperature: bool = False
    knows_signs: bool = False

    @property
    def pace(self) -> Pace:
        """What follows for the frames."""
        return _STEPS[self.step]


def advance(state: State, reading: Reading, now: float) -> State:
    """The state after `reading`, `now` in seconds of a steady clock."""
    heat = heat_of(state.heat, reading.temperature_c)
    strained = Sign.YES in reading.signs
    lowest_for_heat = _STEP_OF.get(heat, 0)
    step, strained_s = max(state.step, lowest_for_heat), state.strained_s
    if not strained:
        strained_s = None
    elif strained_s is None or now - strained_s >= STEP_S:
        step, strained_s = min(step + 1, _LOWEST), now
    temperature_told = reading.temperature_c is not None
    signs_told = any(sign is not Sign.UNKNOWN for sign in reading.signs)
    silent = (state.knows_temperature and not temperature_told) or (state.knows_signs and not signs_told)
    calm_s = state.calm_s
    if strained or silent or lowest_for_heat >= step:
        calm_s = None
    elif calm_s is None:
        calm_s = now
    elif now - calm_s >= CALM_S:
        step, calm_s = step - 1, now
    return State(
        heat,
        step,
        strained_s,
        calm_s,
        state.knows_temperature or temperature_told,
        state.knows_signs or signs_told,
    )


def heat_of(before: Heat, temperature_c: float | None) -> Heat:
    """The word for a temperature, after the word that was said before."""
    if temperature_c is None:
        return Heat.UNKNOWN
    hot = HOT_C - BACK_C if before is Heat.HOT else HOT_C
    warm = WARM_C - BACK_C if before in (Heat.HOT, Heat.WARM) else WARM_C
    if temperature_c >= hot:
        return Heat.HOT
    return Heat.WARM if temperature_c >= warm else Heat.COOL


def told(state: State, reading: Reading) -> MachineState:
    """Both as the message for the vault."""
    temperature = reading.temperature_c
    return MachineState(
        heat=state.heat,
        temperature_c=None if temperature is None else round(temperature),
        under_voltage=reading.under_voltage,
        frequency_capped=reading.frequency_capped,
        throttled=reading.throttled,
        soft_limit=reading.soft_limit,
        pace=state.pace,
    )
