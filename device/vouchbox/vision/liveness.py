"""The liveness tests of one session, run side by side on the stream of observations.

This is where the four tests meet: each looks at every observation and none sees another's result; what
they say together is decided in fusion.py. It may never see a frame, and never reports a test that could
not look as a success.
"""

from __future__ import annotations

from vouchbox.messages import Level, Prompt, PromptRecord, TestResult
from vouchbox.vision.challenge import Challenge
from vouchbox.vision.continuity import Continuity
from vouchbox.vision.geometry import Geometry
from vouchbox.vision.observation import Observation
from vouchbox.vision.passive import Passive

AFTER_LAST_S = 0.6
"""A prompt is met when the movement is just done: geometry needs to see the head there for a while."""


class LivenessSession:
    """One person before the camera, from the first frame to the last.

    `prompts` is empty at level PASSIVE; `pauses` (s) pass before them. `seconds` is how long the session
    lasts at least; at level ACTIVE it goes on until the last prompt was missed, or met AFTER_LAST_S ago. All
    times are seconds since the first frame.
    """

    def __init__(
        self, level: Level, prompts: tuple[Prompt, ...], seconds: float, pauses: tuple[float, ...] = ()
    ) -> None:
        self.level = level
        self._seconds = seconds
        self._passive = Passive()
        self._challenge = Challenge(prompts, pauses)
        self._geometry = Geometry()
        self._continuity = Continuity()

    def current_prompt(self, seconds: float) -> Prompt | None:
        """What to show the person now; None while waiting for a still face or a return to the middle."""
        return self._challenge.current_prompt(seconds)

    def observe(self, observation: Observation) -> None:
        """Take the next frame's numbers, in the order of time."""
        self._passive.observe(observation)
        self._challenge.observe(observation)
        self._geometry.observe(observation)
        self._continuity.observe(observation)

    def finished(self, seconds: float) -> bool:
        """Whether nothing more is to be learnt: the time is over and no prompt is open.

        Always True at some time, also when no frame ever shows a face.
        """
        records = self._challenge.records()
        met = records[-1].met_s if records else None
        seen = met is None or seconds - met >= AFTER_LAST_S
        return seconds >= self._seconds and seen and self._challenge.finished(seconds)

    def results(self) -> tuple[TestResult, ...]:
        """The four tests in the order of TestName, each with a status; call it when the session is over."""
        tests = (self._passive, self._challenge, self._geometry, self._continuity)
        return tuple(test.result() for test in tests)

    def prompt_records(self) -> tuple[PromptRecord, ...]:
        """The prompts that were really shown, and when each was met."""
        return self._challenge.records()
