"""What a screen may show while a session runs: a fraction, a prompt, a hint, and an outline of points.

No pixel passes here. Messages are few: one at each change of the prompt and a few per second, so that a
session stays far below its byte budget.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vouchbox.messages import OUTLINE_POINTS, Phase, Progress, Prompt
from vouchbox.reasons import Reason
from vouchbox.vision.landmarks import NOSE_TIP, OVAL
from vouchbox.vision.observation import Face

INTERVAL_S = 0.25
"""Seconds of the clip between two messages when nothing changes."""

MESSAGES_LIMIT = 200
"""Messages of one session, at most: with 450 bytes each 70 % of VISION_SESSION_BUDGET."""

_POINTS = np.array((*OVAL, NOSE_TIP), np.intp)
if len(_POINTS) > OUTLINE_POINTS:
    raise AssertionError("the outline has more points than a Progress may carry")


def outline(face: Face, width: int, height: int) -> tuple[int, ...]:
    """x, y pairs in 1/1000 of the frame: 36 points of the face's oval, then the tip of the nose."""
    points = face.landmarks[_POINTS, :2] * np.array([1000.0 / width, 1000.0 / height])
    return tuple(int(v) for v in np.clip(np.rint(points), 0, 1000).ravel())


class ProgressReporter:
    """Sends the Progress messages of one session through `send`."""

    def __init__(self, session: str, width: int, height: int, send: Callable[[Progress], None]) -> None:
        self._session = session
        self._size = (width, height)
        self._send = send
        self._sent = 0
        self._due = 0.0
        self._prompt: Prompt | None = None

    def update(
        self, seconds: float, fraction: float, prompt: Prompt | None, hint: Reason | None, face: Face | None
    ) -> None:
        """Send a message when one is due."""
        if (seconds < self._due and prompt is self._prompt) or self._sent >= MESSAGES_LIMIT:
            return
        self._due, self._prompt = seconds + INTERVAL_S, prompt
        self._sent += 1
        self._send(
            Progress(
                session=self._session,
                phase=Phase.CAPTURING,
                fraction=min(max(fraction, 0.0), 1.0),
                prompt=prompt,
                hint=hint,
                outline=outline(face, *self._size) if face is not None else (),
            )
        )
