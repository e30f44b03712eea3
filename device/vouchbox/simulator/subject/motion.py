"""How a person moves: smooth turns after a human delay, a little sway, blinks; a pure function of time.

Everything is drawn from one seeded generator, so the same seed and the same prompts at the same times give
the same movement. Nothing here knows a picture; the numbers go to whatever is drawn (a head, a sheet of
paper, a phone).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vouchbox.messages import Prompt
from vouchbox.simulator.subject.spec import Follow

BLINK_S = (0.09, 0.06, 0.14)
"""A natural blink: seconds of closing, closed, opening."""

SHOWN_BLINK_S = (0.12, 0.20, 0.16)
"""A blink on purpose, as people do it when they are asked to."""

BETWEEN_BLINKS_S = (2.5, 5.0)

HOLD_S = 0.2
BACK_SHARE = 0.8
"""Coming back takes this share of the time that going took."""

BACK_REACH = 0.8
"""People lean back less far than they lean forward."""

LATE_S = 3.5
"""How long a subject with follow=late waits on top of its delay."""


@dataclass(frozen=True, slots=True)
class Posture:
    """Where a head or a held object is. Angles in degrees (signs as in vision's Pose), shifts in parts of
    the distance between the eyes, `closeness` a magnification (1: as at first), `lids` 0 open .. 1 closed."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    across: float = 0.0
    down: float = 0.0
    closeness: float = 1.0
    lids: float = 0.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How something moves: reaction and movement times in seconds, reach in degrees and magnification,
    `stray` how far (degrees of yaw and pitch, magnification) a movement misses what it does not aim at, for
    nobody moves twice alike, sway in degrees and parts of the distance between the eyes, `can_blink` for
    what has lids."""

    delay_s: tuple[float, float] = (0.25, 0.60)
    move_s: tuple[float, float] = (0.50, 0.75)
    yaw: float = 31.0
    pitch: float = 14.0
    closeness: float = 1.36
    stray: tuple[float, float, float] = (3.0, 3.0, 0.04)
    sway_degrees: float = 0.8
    sway_shift: float = 0.03
    tremor_shift: float = 0.0
    can_blink: bool = True

    def reaching(self, share: float) -> Manner:
        """The same manner with movements that go `share` as far."""
        return replace(
            self,
            yaw=self.yaw * share,
            pitch=self.pitch * share,
            closeness=1.0 + (self.closeness - 1.0) * share,
        )


LIVE = Manner()
BY_HAND = Manner(yaw=33.0, pitch=20.0, sway_degrees=1.6, sway_shift=0.06, tremor_shift=0.006, can_blink=False)
HELD = Manner(sway_degrees=1.4, sway_shift=0.05, tremor_shift=0.006, can_blink=False)
ON_A_TABLE = Manner(
    yaw=0.0,
    pitch=0.0,
    closeness=1.0,
    stray=(0.0, 0.0, 0.0),
    sway_degrees=0.0,
    sway_shift=0.0,
    can_blink=False,
)


@dataclass(frozen=True, slots=True)
class _Glide:
    """One minimum-jerk movement (Flash and Hogan, 1985) of (yaw, pitch, closeness) between two rests."""

    start_s: float
    seconds: float
    origin: tuple[float, float, float]
    goal: tuple[float, float, float]

    def at(self, time_s: float) -> tuple[float, float, float]:
        part = min(max((time_s - self.start_s) / self.seconds, 0.0), 1.0)
        done = part**3 * (10.0 + part * (6.0 * part - 15.0))
        yaw, pitch, near = (a + done * (b - a) for a, b in zip(self.origin, self.goal, strict=True))
        return yaw, pitch, near


class Motion:
    """The movement of one subject. Ask `posture` with times that never decrease."""

    def __init__(self, manner: Manner, seed: int, follow: Follow = Follow.YES) -> None:
        self._manner = manner
        self._random = np.random.default_rng(seed)
        self._follow = follow
        rest = (0.0, 0.0, 1.0)
        self._glide = _Glide(-1.0, 0.5, rest, rest)
        self._next: _Glide | None = None
        self._blinks: list[tuple[float, tuple[float, float, float]]] = []
        self._blink_due = float(self._random.uniform(*BETWEEN_BLINKS_S)) * 0.5
        self._sway = [
            [
                (float(self._random.uniform(0.12, 0.7)), float(self._random.uniform(0, 2 * math.pi)))
                for _ in range(3)
            ]
            for _ in range(6)
        ]

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """A prompt (or its end) is seen at `time_s`; the movement begins after a human delay."""
        if self._follow is Follow.NO:
            return
        delay = float(self._random.uniform(*self._manner.delay_s))
        seconds = float(self._random.uniform(*self._manner.move_s))
        reach = float(self._random.uniform(0.92, 1.08))
        stray = [float(self._random.uniform(-1.0, 1.0)) for _ in range(3)]
        if self._follow is Follow.LATE and prompt is not None:
            delay += LATE_S
        if self._follow is Follow.WRONG and prompt is not None:
            prompt = Prompt.TURN_RIGHT if prompt is not Prompt.TURN_RIGHT else Prompt.TURN_LEFT
        start = time_s + delay
        self._settle(time_s)
        if prompt is None:
            # People finish a movement, and hold it for a moment, before they take it back.
            start = max(start, self._glide.start_s + self._glide.seconds + HOLD_S)
            seconds *= BACK_SHARE
        if prompt is Prompt.BLINK and self._manner.can_blink:
            self._blinks = [blink for blink in self._blinks if blink[0] < time_s]
            length = sum(SHOWN_BLINK_S) + 0.12
            self._blinks += [(start, SHOWN_BLINK_S), (start + length, SHOWN_BLINK_S)]
            self._blink_due = start + 2 * length + float(self._random.uniform(*BETWEEN_BLINKS_S))
        self._next = _Glide(start, seconds, self._glide.goal, self._goal(prompt, reach, stray))

    def posture(self, time_s: float) -> Posture:
        """Where the subject is at `time_s`."""
        self._settle(time_s)
        yaw, pitch, near = self._glide.at(time_s)
        manner = self._manner
        sway = [self._wave(waves, time_s) for waves in self._sway]
        tremor = manner.tremor_shift * math.sin(2 * math.pi * 7.3 * time_s + self._sway[0][0][1])
        return Posture(
            yaw + manner.sway_degrees * sway[0],
            pitch + manner.sway_degrees * 0.7 * sway[1],
            manner.sway_degrees * 0.8 * sway[2] + 0.06 * yaw,
            manner.sway_shift * sway[3] + tremor,
            manner.sway_shift * 0.7 * sway[4] + 0.7 * tremor,
            near * (1.0 + 0.2 * manner.sway_shift * sway[5]),
            self._lids(time_s),
        )

    def _goal(self, prompt: Prompt | None, reach: float, stray: list[float]) -> tuple[float, float, float]:
        manner = self._manner
        yaw, pitch, near = (part * most for part, most in zip(stray, manner.stray, strict=True))
        if prompt is Prompt.TURN_LEFT:
            return manner.yaw * reach, pitch, 1.0 + near
        if prompt is Prompt.TURN_RIGHT:
            return -manner.yaw * reach, pitch, 1.0 + near
        if prompt is Prompt.LOOK_UP:
            return yaw, manner.pitch * reach, 1.0 + near
        if prompt is Prompt.LOOK_DOWN:
            return yaw, -manner.pitch * reach, 1.0 + near
        if prompt is Prompt.MOVE_CLOSER:
            return yaw, pitch, 1.0 + (manner.closeness - 1.0) * reach
        if prompt is Prompt.MOVE_BACK:
            return yaw, pitch, 1.0 / (1.0 + BACK_REACH * (manner.closeness - 1.0) * reach)
        return yaw / 2, pitch / 2, 1.0 + near / 2

    def _settle(self, time_s: float) -> None:
        """Begin the movement that is due; it starts from wherever the last one has got to."""
        coming = self._next
        if coming is not None and time_s >= coming.start_s:
            here = self._glide.at(coming.start_s)
            self._glide = _Glide(coming.start_s, coming.seconds, here, coming.goal)
            self._next = None

    @staticmethod
    def _wave(waves: list[tuple[float, float]], time_s: float) -> float:
        return sum(math.sin(2 * math.pi * hertz * time_s + phase) for hertz, phase in waves) / len(waves)

    def _lids(self, time_s: float) -> float:
        if not self._manner.can_blink:
            return 0.0
        while self._blink_due <= time_s:
            self._blinks.append((self._blink_due, BLINK_S))
            self._blink_due += float(self._random.uniform(*BETWEEN_BLINKS_S))
        closed = 0.0
        for start, (closing, shut, opening) in self._blinks:
            since = time_s - start
            if 0.0 <= since < closing:
                closed = max(closed, since / closing)
            elif 0.0 <= since < closing + shut:
                closed = 1.0
            elif 0.0 <= since < closing + shut + opening:
                closed = max(closed, 1.0 - (since - closing - shut) / opening)
        self._blinks = [blink for blink in self._blinks if time_s - blink[0] < 2.0]
        return closed
