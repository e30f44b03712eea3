"""Continuity: one face on one track, no cut, nothing frozen, looped or dead still.

Five checks look at how the frames follow each other; the worst of them is the score. They compare a clip
only with itself, so that neither compression nor a slow camera is blamed; frames that the camera lost are
allowed for. It never looks at what a face does, only at whether it could have come about in one go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vouchbox.messages import TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.flow import likeness, slow_sway, strongest_cut
from vouchbox.vision.observation import Observation

FRAMES = 20
"""Fewer frames with a face than this, and the test does not run."""

FRAMES_LIMIT = 1200
"""Frames that are looked back upon, at most."""

THRESHOLD = 0.5
"""Score from which on the clip is continuous. Each check scores 0.5 at its limit."""

SEEN_SHARE = 0.7
"""The face must be seen in this share of the frames."""

GAP_S = 1.2
"""And never be away for longer."""

CUT = 2.5
"""How many times a step of face and picture (geometric mean of both) may exceed the steps around it. Real
people reach 2.3, mostly 1.9."""

FROZEN_S = 0.8
"""One and the same picture may stay for this long; clips of uneven frame rate repeat frames briefly."""

REPEATED_S = 0.4
"""So long may a sequence of pictures that were seen before, to the last bit, be. Cameras never repeat one."""

LOOP_LIKENESS = 0.06
"""Difference of two movements over their own size (both squared), while it lasts: below this they are one
recording. Loops leave 0.001 to 0.045; the two most alike movements of a person in our clips differ by 0.25,
those of a simulated person by 0.5."""

SWAY = 0.0023
"""A person's face moves by more than this (root mean square, in eye distances, after averaging the noise
of 0.3 s); the stillest in our clips by 0.0025 in three seconds. Prints on a stand reach 0.0002 to 0.0021,
where the upper end is a small face in a noisy picture: the gap is narrow, and stands for one person."""

SWAY_OVER_NOISE = 4.0
"""Stillness also means that the slow movement is no more than noise leaves, as a ratio of variances."""

# Eye corners, nose, forehead, mouth, chin and cheeks of the MediaPipe face mesh.
_POINTS = np.array((33, 133, 362, 263, 1, 4, 168, 10, 151, 61, 291, 152, 234, 454, 127, 356), np.intp)


@dataclass(frozen=True, slots=True)
class _Sight:
    """A frame with a face: points x 2 in pixels, and the largest change of the picture since the last."""

    seconds: float
    points: NDArray[np.float32]
    eyes_px: float
    change: float


@dataclass(frozen=True, slots=True)
class Breaks:
    """What the checks measured. `lost` is the share of frames without the face, `gap_s` the longest
    absence, `cut` the strongest joint, `frozen_s` and `repeated_s` the longest runs of equal pictures,
    `likeness` the smallest difference of two movements, `sway` and `sway_over_noise` the slow movement."""

    lost: float
    gap_s: float
    cut: float
    frozen_s: float
    repeated_s: float
    likeness: float
    sway: float
    sway_over_noise: float


class Continuity:
    """Follows the stream frame by frame; keeps 16 points of each face, no picture."""

    def __init__(self) -> None:
        self._frames = 0
        self._with_face = 0
        self._sights: deque[_Sight] = deque(maxlen=FRAMES_LIMIT)
        self._change = 0.0
        self._now = 0.0
        self._last_face_s = 0.0
        self._gap_s = 0.0
        self._pictures: dict[int, int] = {}
        self._distinct = 0
        self._last_picture: int | None = None
        self._frozen_since = 0.0
        self._frozen_s = 0.0
        self._echo_since: float | None = None
        self._echo_at = -1
        self._repeated_s = 0.0

    def observe(self, observation: Observation) -> None:
        """Take the next frame."""
        now = self._now = observation.seconds
        self._frames += 1
        fresh = self._picture(observation.fingerprint, now)
        self._change = max(self._change, observation.change)
        face = observation.face
        if face is None:
            return
        self._with_face += 1
        self._gap_s = max(self._gap_s, now - self._last_face_s)
        self._last_face_s = now
        if fresh:
            points = face.landmarks[_POINTS, :2].astype(np.float32)
            self._sights.append(_Sight(now, points, face.inter_eye_px, self._change))
            self._change = 0.0

    def result(self) -> TestResult:
        """SUCCESS when no check finds a break. A face that only went away fails with TRACK_LOST."""
        if self._with_face < FRAMES:
            return TestResult(TestName.CONTINUITY, TestStatus.NOT_RUN, reasons=(Reason.CONTINUITY_NOT_RUN,))
        breaks = self.breaks()
        track = min(_score(breaks.lost, 1.0 - SEEN_SHARE), _score(breaks.gap_s, GAP_S))
        flow = min(
            _score(breaks.cut, CUT),
            _score(breaks.frozen_s, FROZEN_S),
            _score(breaks.repeated_s, REPEATED_S),
            1.0 - _score(breaks.likeness, LOOP_LIKENESS),
            1.0 - min(_score(breaks.sway, SWAY), _score(breaks.sway_over_noise, SWAY_OVER_NOISE)),
        )
        reasons = []
        if flow < THRESHOLD:
            reasons.append(Reason.CONTINUITY_FAILED)
        if track < THRESHOLD:
            reasons.append(Reason.TRACK_LOST)
        return TestResult(
            TestName.CONTINUITY,
            TestStatus.FAIL if reasons else TestStatus.SUCCESS,
            score=min(track, flow),
            threshold=THRESHOLD,
            measured=self._with_face,
            reasons=tuple(reasons),
        )

    def breaks(self) -> Breaks:
        """The measurements behind the result."""
        gap = max(self._gap_s, self._now - self._last_face_s)
        times = np.array([s.seconds for s in self._sights])
        eyes = float(np.median([s.eyes_px for s in self._sights])) if self._sights else 1.0
        points = np.array([s.points for s in self._sights], np.float64) / max(eyes, 1.0)
        changes = np.array([s.change for s in self._sights])
        sway, over_noise = slow_sway(times, points)
        return Breaks(
            lost=1.0 - self._with_face / max(self._frames, 1),
            gap_s=gap,
            cut=strongest_cut(times, points, changes),
            frozen_s=self._frozen_s,
            repeated_s=self._repeated_s,
            likeness=likeness(times, points),
            sway=sway,
            sway_over_noise=over_noise,
        )

    def _picture(self, fingerprint: int, now: float) -> bool:
        """Book the picture; whether it differs from the one before."""
        if fingerprint == self._last_picture:
            self._frozen_s = max(self._frozen_s, now - self._frozen_since)
            return False
        self._last_picture, self._frozen_since = fingerprint, now
        seen_at = self._pictures.get(fingerprint)
        if seen_at is None:
            self._echo_since = None
        elif self._echo_since is not None and seen_at == self._echo_at + 1:
            self._repeated_s = max(self._repeated_s, now - self._echo_since)
        else:
            self._echo_since = now
        self._echo_at = -1 if seen_at is None else seen_at
        self._pictures[fingerprint] = self._distinct = self._distinct + 1
        return True


def _score(value: float, limit: float) -> float:
    """1 for 0, 0.5 at the limit, towards 0 beyond."""
    return limit / (limit + value)
