"""One prompted movement: from the landmarks' numbers to met, wrong, or not yet.

A movement is judged against how this person rested just before the prompt, so that neither the camera's
tilt nor the shape of a face counts as a movement. It keeps no landmarks, only six numbers a frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import cos, radians
from statistics import fmean, median

from vouchbox.messages import Prompt
from vouchbox.vision.observation import Face
from vouchbox.vision.pose import nod

TURN_DEGREES = 15.0
"""A head has turned when yaw has changed by this much; people turn by 25 to 45 when asked."""

NOD_DEGREES = 7.0
"""A head looks up or down when its nod (pose.py) has changed by this much: 8 to 9 degrees of a head, of the
15 to 25 that people do when asked."""

CLOSER = 0.16
"""A face has come closer when it has grown by this share."""

FARTHER = 0.13
"""A face has gone back when it has shrunk by this share; looking up or down makes it up to 0.1 smaller."""

CLOSED = 0.67
"""An eye is shut when its aspect ratio falls below this share of its own open value: blinks of real people
reach 0.41 to 0.65, noise 0.75."""

KEPT_CLOSED = 0.75
SHUT_S = 0.2
"""Or when both stay below this on average for SHUT_S, the wider one below WIDER_CLOSED, in three frames at
least and in the pose of the rest. Narrow eyes shut to 0.65 to 0.8 only, but a blink on purpose lasts 0.3 s
and more, and noise is gone by the next frame. Another pose narrows an eye as much."""

WIDER_CLOSED = 0.8

OPEN = 0.8
"""An eye is open again above this share."""

BEGUN = 0.35
"""A movement has begun when this share of it is done; noise and sway stay below."""

ASTRAY_DEGREES = 15.0
"""Turning this far on an axis that was not asked for is a wrong movement."""

SAME_POSE_DEGREES = 6.0
"""Eyes are compared only between frames whose pose differs by less."""

_FRAMES = 2
_SHUT_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Stance:
    """What a frame says about a movement: pose and `nod` (pose.py) in degrees, `size` the distance between
    the eyes in pixels with yaw undone, aspect ratios of both eyes."""

    seconds: float
    yaw: float
    pitch: float
    nod: float
    size: float
    left_eye: float
    right_eye: float


def stance(seconds: float, face: Face) -> Stance:
    """The numbers of `face` that movements are judged by."""
    turned = max(cos(radians(face.pose.yaw)), 0.5)
    return Stance(
        seconds,
        face.pose.yaw,
        face.pose.pitch,
        nod(face.landmarks),
        face.inter_eye_px / turned,
        face.left_eye,
        face.right_eye,
    )


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a person rests: medians of pose, nod and size, and how wide the eyes are when open."""

    yaw: float
    pitch: float
    nod: float
    size: float
    left_open: float
    right_open: float

    @staticmethod
    def of(stances: list[Stance], since: float) -> Baseline:
        """Pose and size from the frames after `since` (the last one at least). Eyes from all frames in that
        pose, because a blink may fall into the short rest, and a turned eye looks wider than it is."""
        rest = [s for s in stances if s.seconds >= since] or stances[-1:]
        yaw, pitch = median(s.yaw for s in rest), median(s.pitch for s in rest)
        alike = [s for s in stances if max(abs(s.yaw - yaw), abs(s.pitch - pitch)) <= SAME_POSE_DEGREES]
        return Baseline(
            yaw,
            pitch,
            median(s.nod for s in rest),
            median(s.size for s in rest),
            _upper_quartile([s.left_eye for s in alike or rest]),
            _upper_quartile([s.right_eye for s in alike or rest]),
        )


class Movement:
    """Follows one prompt; `rest` is the face before this prompt, `neutral` before the first one.

    Turns and nods are measured from both, so that coming back from the left is no turn to the right.
    """

    def __init__(self, prompt: Prompt, rest: Baseline, neutral: Baseline) -> None:
        self._prompt, self._rest, self._neutral = prompt, rest, neutral
        self._under_way = False
        self._shut = False
        self._latest: deque[Stance] = deque()
        self._reached = 0
        self._astray = 0

    def follow(self, now: Stance, awake: bool) -> bool | None:
        """True when the prompt is met with this frame, False when the movement is a wrong one, None as
        long as neither; `awake` is whether a human can already have reacted to the prompt."""
        done, wrong = self._blinked(now) if self._prompt is Prompt.BLINK else self._moved(now)
        self._under_way = done > BEGUN and (self._under_way or not awake)
        self._reached = self._reached + 1 if done >= 1.0 and not self._under_way else 0
        self._astray = self._astray + 1 if wrong else 0
        if self._astray >= _FRAMES:
            return False
        if self._prompt is Prompt.BLINK:
            return self._reopened(now) or None
        return True if self._reached >= _FRAMES else None

    def _moved(self, now: Stance) -> tuple[float, bool]:
        """The share of the movement that is done (1 is enough), and whether it goes astray."""
        yaw, pitch = now.yaw - self._rest.yaw, now.pitch - self._rest.pitch
        aside = abs(yaw) > ASTRAY_DEGREES
        if self._prompt in (Prompt.MOVE_CLOSER, Prompt.MOVE_BACK):
            grown = now.size / max(self._rest.size, 1.0) - 1.0
            if self._prompt is Prompt.MOVE_CLOSER:
                return grown / CLOSER, aside or grown < -FARTHER
            return -grown / FARTHER, aside or grown > CLOSER
        if self._prompt in (Prompt.LOOK_UP, Prompt.LOOK_DOWN):
            way = 1.0 if self._prompt is Prompt.LOOK_UP else -1.0
            done = way * (now.nod - self._rest.nod) / NOD_DEGREES
            return min(done, way * (now.nod - self._neutral.nod) / NOD_DEGREES), aside or done < -1.0
        side = 1.0 if self._prompt is Prompt.TURN_LEFT else -1.0
        turned = side * yaw / TURN_DEGREES
        astray = turned < -BEGUN * 2 or (abs(pitch) > ASTRAY_DEGREES and abs(yaw) < TURN_DEGREES / 2)
        return min(turned, side * (now.yaw - self._neutral.yaw) / TURN_DEGREES), astray

    def _blinked(self, now: Stance) -> tuple[float, bool]:
        turned = max(abs(now.yaw - self._rest.yaw), abs(now.pitch - self._rest.pitch))
        done = (1.0 - self._opening(now)) / (1.0 - CLOSED)
        if self._stays_shut(now, turned):
            done = max(done, 1.0)
        return done, turned > ASTRAY_DEGREES

    def _stays_shut(self, now: Stance, turned: float) -> bool:
        latest = self._latest
        latest.append(now)
        if turned > SAME_POSE_DEGREES:
            latest.clear()
        while latest and now.seconds - latest[0].seconds > SHUT_S + 1e-3:
            latest.popleft()
        if len(latest) < _SHUT_FRAMES:
            return False
        both = fmean(fmean(self._openings(stance)) for stance in latest)
        return both <= KEPT_CLOSED and fmean(map(self._opening, latest)) <= WIDER_CLOSED

    def _reopened(self, now: Stance) -> bool:
        """One frame is enough for shut eyes: a blink lasts 0.1 to 0.4 s."""
        self._shut = self._shut or self._reached > 0
        return self._shut and min(self._openings(now)) >= OPEN

    def _opening(self, now: Stance) -> float:
        """How open the wider eye is: both must shut, so that a wink or a shadow is no blink."""
        return max(self._openings(now))

    def _openings(self, now: Stance) -> tuple[float, float]:
        return (
            now.left_eye / max(self._rest.left_open, 0.05),
            now.right_eye / max(self._rest.right_open, 0.05),
        )


def _upper_quartile(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[(len(ordered) * 3) // 4]
