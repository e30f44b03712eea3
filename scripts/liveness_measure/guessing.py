"""How likely a recording meets random prompts: real clips, and an endless film of random head movements."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vouchbox.messages import Level, Prompt, TestName, TestStatus
from vouchbox.simulator.subject.motion import Posture
from vouchbox.simulator.subject.warp import rotation
from vouchbox.vault.challenge import ENTROPY_BYTES, Drawn, draw
from vouchbox.vision.challenge import Challenge
from vouchbox.vision.liveness import LivenessSession
from vouchbox.vision.observation import Box, Face, Observation, Pose
from vouchbox.vision.pose import MEAN_FACE, RIGID_POINTS

PROMPTS = 3
SECONDS = 5.0
RATE = 15.0
AFTER_S = 2.0
"""A recorded person has come back from the last movement by then; nothing follows that could be met."""

_AS_GESTURE = {
    Prompt.TURN_LEFT: "left",
    Prompt.TURN_RIGHT: "right",
    Prompt.LOOK_UP: "up",
    Prompt.LOOK_DOWN: "down",
    Prompt.MOVE_CLOSER: "closer",
    Prompt.MOVE_BACK: "away",
    Prompt.BLINK: "blink",
}
_GESTURES = ("left", "right", "up", "down", "closer", "away", "blink")


def against_clip(seen: list[Observation], chance: random.Random) -> tuple[str, bool]:
    """Start the clip anywhere and ask for random prompts: the challenge's status, and whether the three
    tests that run without the passive one were all a success."""
    latest = max(0.0, seen[-1].seconds - SECONDS - 2.0)
    begin = chance.uniform(0.0, latest)
    piece = [o for o in seen if o.seconds >= begin]
    prompts, pauses = _drawn(chance)
    session = LivenessSession(Level.ACTIVE, prompts, SECONDS, pauses)
    for o in piece:
        seconds = o.seconds - piece[0].seconds
        session.observe(replace(o, seconds=seconds))
        if session.finished(seconds):
            break
    status = {result.name: result.status for result in session.results()}
    ran = (TestName.CHALLENGE, TestName.GEOMETRY, TestName.CONTINUITY)
    return status[TestName.CHALLENGE], all(status[name] is TestStatus.SUCCESS for name in ran)


def against_random_film(chance: random.Random) -> str:
    """A person who goes on moving at random, a gesture every second or two, against random prompts."""
    return _against(Challenge(*_drawn(chance)), _film(chance))


def against_recorded_session(chance: random.Random) -> str:
    """The worst a recording can be: a person who followed other prompts, played from the first frame on."""
    return _against(Challenge(*_drawn(chance)), _followed(chance))


def _against(challenge: Challenge, film: Iterable[Observation]) -> str:
    """What the challenge says of a film; it is not watched further once a prompt was missed."""
    for o in film:
        challenge.observe(o)
        missed = any(record.met_s is None for record in challenge.records()[:-1])
        if missed or challenge.finished(o.seconds):
            break
    return challenge.result().status


def _followed(chance: random.Random) -> list[Observation]:
    """A whole session of a person who follows each prompt after a human delay and comes back, and AFTER_S."""
    challenge = Challenge(*_drawn(chance))
    asked: tuple[Prompt, float, float, float] | None = None
    over: float | None = None
    film = []
    index, last = 0, round(20.0 * RATE) - 1
    while index <= last:
        t = index / RATE
        prompt = challenge.current_prompt(t)
        if prompt is not None and (asked is None or over is not None):
            asked, over = (prompt, t, chance.uniform(0.25, 0.6), chance.uniform(0.45, 0.75)), None
        if prompt is None and asked is not None and over is None:
            over = t + chance.uniform(0.25, 0.5)
        gesture, done = "", 0.0
        if asked is not None:
            what, since, delay, rise = asked
            gesture = _AS_GESTURE[what]
            back = _ease((t - over) / rise) if over is not None else 0.0
            done = min(_ease((t - since - delay) / rise), 1.0 - back)
        shut = 0.6 if gesture == "blink" and 0.2 < done < 0.95 else 0.0
        film.append(_frame(index, gesture, done, shut, chance))
        challenge.observe(film[-1])
        if challenge.finished(t):
            last = min(last, index + round(AFTER_S * RATE))
        index += 1
    return film


def _drawn(chance: random.Random) -> Drawn:
    """Prompts and pauses as a vault draws them."""
    return draw(f"{chance.random()}", chance.randbytes(ENTROPY_BYTES), PROMPTS)


def _film(chance: random.Random) -> Iterator[Observation]:
    """Gestures of human size and speed, each followed by the return, with pauses between; natural blinks."""
    start, gesture = chance.uniform(0.2, 1.5), chance.choice(_GESTURES)
    rise, hold = chance.uniform(0.3, 0.7), chance.uniform(0.2, 0.9)
    blink = chance.uniform(0.5, 4.0)
    for index in range(round(30.0 * RATE)):
        t = index / RATE
        if t > start + 2 * rise + hold:
            start, gesture = t + chance.uniform(0.1, 1.2), chance.choice(_GESTURES)
            rise, hold = chance.uniform(0.3, 0.7), chance.uniform(0.2, 0.9)
        done = min(_ease((t - start) / rise), _ease((start + 2 * rise + hold - t) / rise))
        if t > blink + 0.35:
            blink = t + chance.uniform(1.5, 5.0)
        shut = 0.6 if blink <= t < blink + 0.25 or (gesture == "blink" and done > 0.5) else 0.0
        yield _frame(index, gesture, done, shut, chance)


def _frame(index: int, gesture: str, done: float, shut: float, chance: random.Random) -> Observation:
    """What the landmarks say of a gesture that is done to a part."""
    yaw = {"left": 28.0, "right": -28.0}.get(gesture, 0.0) * done
    pitch = {"up": 16.0, "down": -16.0}.get(gesture, 0.0) * done
    size = 100.0 * (1.0 + {"closer": 0.35, "away": -0.25}.get(gesture, 0.0) * done)
    eye = 0.28 * (1.0 - shut) + chance.gauss(0.0, 0.008)
    pose = Pose(yaw + chance.gauss(0.0, 0.7), pitch + chance.gauss(0.0, 0.7), 0.0)
    px = size * float(np.cos(np.radians(yaw)))
    face = Face(Box(200, 100, 440, 380), _points(pose, size), 1.0, pose, eye, eye, px)
    return Observation(index, index / RATE, 0, 1, face, True, index, 1.0, 120.0)


def _points(pose: Pose, size: float) -> NDArray[np.float32]:
    """The mean face, turned."""
    points = np.zeros((468, 3), np.float32)
    points[RIGID_POINTS] = size * MEAN_FACE @ rotation(Posture(pose.yaw, pose.pitch)).T
    return points


def _ease(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part**3 * (10.0 + part * (6.0 * part - 15.0))
