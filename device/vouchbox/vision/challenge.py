"""The challenge: did the face follow prompts that nobody could know beforehand?

The vault draws the prompts and the pauses before them; here each is shown in turn and its movement is
awaited in the landmarks, relative to the person's own still face just before. It never decides alone, and
never counts a movement that was already under way, one that serves two prompts, or one in the wrong
direction.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from vouchbox.messages import Prompt, PromptRecord, TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.movement import Baseline, Movement, Stance, stance
from vouchbox.vision.observation import Observation

WINDOW_S = 2.0
"""A prompt must be met within this time of being shown: seeing it takes 0.3-0.6 s, moving 0.4-0.9 s."""

REACTION_S = 0.2
"""Nobody moves on a prompt sooner than this; what begins earlier was under way and does not count."""

STILL_S = 0.3
"""A face must rest this long before a prompt is shown."""

STILL_DEGREES = 6.0
"""Resting: yaw and pitch span no more than this."""

FRONTAL_DEGREES = 25.0
"""The first prompt waits until yaw and pitch are within this of looking at the camera."""

NEUTRAL_DEGREES = 8.0
"""After a prompt the head must come back to within this of where it rested before the first one."""

NEUTRAL_SIZE = 0.1
"""Before a nod or a change of distance its size, too, to within this share: from near by, a camera sees a
head look up already, and whoever goes back from there has not moved back."""

STILL_SIZE = 1.05
"""And has stopped changing: within STILL_S its largest is no more than this times its smallest."""

RETURN_S = 1.6
"""Whoever has not come back by then gets the next prompt all the same."""

START_S = 4.0
"""A face that has not rested by then is given no challenge: the test did not run."""

_FROM_NEUTRAL_SIZE = (Prompt.LOOK_UP, Prompt.LOOK_DOWN, Prompt.MOVE_CLOSER, Prompt.MOVE_BACK)
_MEMORY_S = 1.5


class _State(Enum):
    STARTING = "starting"
    ASKING = "asking"
    RETURNING = "returning"
    OVER = "over"


class Challenge:
    """The state machine: starting -> (asking -> returning) for each prompt -> over. A prompt comes when the
    face rests and, counted from when it first did so, the prompt's pause (s; none: 0) has passed."""

    def __init__(self, prompts: tuple[Prompt, ...], pauses: tuple[float, ...] = ()) -> None:
        self._prompts = prompts
        self._pauses = (*pauses[: len(prompts)], *[0.0] * (len(prompts) - len(pauses)))
        self._records: list[PromptRecord] = []
        self._state = _State.STARTING if prompts else _State.OVER
        self._since = 0.0
        self._ready_since: float | None = None
        self._recent: deque[Stance] = deque()
        self._neutral: Baseline | None = None
        self._movement: Movement | None = None

    def current_prompt(self, seconds: float) -> Prompt | None:
        """The prompt that is open at `seconds`."""
        if self._state is _State.ASKING and seconds - self._since <= WINDOW_S:
            return self._prompts[len(self._records) - 1]
        return None

    def finished(self, seconds: float) -> bool:
        """Whether no prompt is open or to come; True at the latest when every window has passed."""
        if self._state is _State.STARTING:
            return seconds - self._since > START_S + self._pauses[0]
        longest = START_S + len(self._prompts) * (WINDOW_S + RETURN_S) + sum(self._pauses)
        return self._state is _State.OVER or seconds > longest

    def observe(self, observation: Observation) -> None:
        """Take the next frame; frames without a face only let time pass."""
        now = observation.seconds
        if observation.face is not None:
            self._recent.append(stance(now, observation.face))
        while self._recent and now - self._recent[0].seconds > _MEMORY_S:
            self._recent.popleft()
        if self._state is _State.STARTING:
            self._start(now)
        elif self._state is _State.ASKING:
            self._ask(now, observation.face is not None)
        elif self._state is _State.RETURNING:
            self._return(now)

    def records(self) -> tuple[PromptRecord, ...]:
        """The prompts shown so far."""
        return tuple(self._records)

    def result(self) -> TestResult:
        """SUCCESS when every prompt was met; `score` is the share that was met."""
        if not self._records:
            return TestResult(TestName.CHALLENGE, TestStatus.NOT_RUN, reasons=(Reason.CHALLENGE_NOT_RUN,))
        met = sum(record.met_s is not None for record in self._records)
        all_met = met == len(self._prompts)
        return TestResult(
            TestName.CHALLENGE,
            TestStatus.SUCCESS if all_met else TestStatus.FAIL,
            score=met / len(self._prompts),
            threshold=1.0,
            measured=len(self._records),
            reasons=() if all_met else (Reason.CHALLENGE_FAILED,),
        )

    def _start(self, now: float) -> None:
        rest = self._rest(now)
        if rest is not None and abs(rest.yaw) <= FRONTAL_DEGREES and abs(rest.pitch) <= FRONTAL_DEGREES:
            if self._paused(now):
                self._neutral = rest
                self._show(now, rest)
        elif now > START_S + self._pauses[0]:
            self._state = _State.OVER

    def _ask(self, now: float, seen: bool) -> None:
        if now - self._since > WINDOW_S:
            self._leave(now)
        elif seen and self._movement is not None:
            verdict = self._movement.follow(self._recent[-1], now - self._since >= REACTION_S)
            if verdict is True:
                last = self._records[-1]
                self._records[-1] = PromptRecord(last.prompt, last.shown_s, now)
            if verdict is not None:
                self._leave(now)

    def _return(self, now: float) -> None:
        rest, neutral = self._rest(now), self._neutral
        if neutral is None or rest is None:
            back = False
        else:
            turned = max(abs(rest.yaw - neutral.yaw), abs(rest.pitch - neutral.pitch))
            anywhere = self._prompts[len(self._records)] not in _FROM_NEUTRAL_SIZE
            back = turned <= NEUTRAL_DEGREES and (anywhere or self._far(now, neutral))
        if back and rest is not None:
            if self._paused(now):
                self._show(now, rest)
        elif now - self._since > RETURN_S + self._pauses[len(self._records)]:
            if self._recent:
                self._show(now, Baseline.of(list(self._recent), now - STILL_S))
            else:
                self._state = _State.OVER

    def _paused(self, now: float) -> bool:
        """Whether the face, which rests now, has been ready for the next prompt during its pause."""
        self._ready_since = now if self._ready_since is None else self._ready_since
        return now - self._ready_since >= self._pauses[len(self._records)] - 1e-6

    def _far(self, now: float, neutral: Baseline) -> bool:
        """Whether the face is as far away as before the first prompt, and stays there."""
        sizes = [max(s.size, 1.0) for s in self._recent if s.seconds >= now - STILL_S - 1e-6]
        gone = abs(sizes[-1] / max(neutral.size, 1.0) - 1.0)
        return gone <= NEUTRAL_SIZE and max(sizes) <= STILL_SIZE * min(sizes)

    def _rest(self, now: float) -> Baseline | None:
        """How the face rests now, or None when it moves or was not seen for STILL_S."""
        start = now - STILL_S
        held = [s for s in self._recent if s.seconds >= max(start, self._since) - 1e-6]
        if len(held) < 3 or held[0].seconds > start + STILL_S / 2 or held[-1].seconds < now:
            return None
        for values in ([s.yaw for s in held], [s.pitch for s in held]):
            if max(values) - min(values) > STILL_DEGREES:
                return None
        return Baseline.of(list(self._recent), start)

    def _show(self, now: float, rest: Baseline) -> None:
        prompt = self._prompts[len(self._records)]
        self._records.append(PromptRecord(prompt, now))
        self._movement = Movement(prompt, rest, self._neutral or rest)
        self._state, self._since, self._ready_since = _State.ASKING, now, None

    def _leave(self, now: float) -> None:
        self._movement = None
        more = len(self._records) < len(self._prompts)
        self._state, self._since = (_State.RETURNING if more else _State.OVER), now
