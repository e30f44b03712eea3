"""Who stands where: from a subject's spec to the people, prints and screens that are drawn."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import Figure, figure
from vouchbox.simulator.subject.live import LivePeople, Standing
from vouchbox.simulator.subject.mask import MaskedPerson, mask
from vouchbox.simulator.subject.motion import BY_HAND, HELD, LIVE, ON_A_TABLE, Motion
from vouchbox.simulator.subject.paper import BENT, SLACK, HeldPaper, photo
from vouchbox.simulator.subject.picture_file import from_file
from vouchbox.simulator.subject.portraits import Portrait, portrait
from vouchbox.simulator.subject.scene import Sensor, room
from vouchbox.simulator.subject.screen import MONITOR, PHONE, Replay
from vouchbox.simulator.subject.shading import lit
from vouchbox.simulator.subject.spec import (
    SEED_LIMIT,
    Attack,
    Distance,
    Faces,
    Film,
    Follow,
    PortraitName,
    SubjectSpec,
)

EYES_SHARE = 0.175
"""Distance between the eyes over the picture's height, for one face at the normal distance."""

PRINT_SHARE = 0.86
"""A print is held so that its face is a little smaller than a real one."""

FILM_SHARE = 0.8
"""Resolution of a replayed recording over the camera's own: it was compressed on the way."""

SCRIPT_ROUNDS = 8
"""Rounds of every prompt in a recording: two minutes and a half."""

FIRST_PROMPT_S = (0.3, 0.8)
BETWEEN_PROMPTS_S = (1.6, 2.4)
"""When a session's first prompt comes, and how long after it the next."""

FLATTEST = 40.0
"""Radius in widths of a sheet that is bent by 0 degrees: paper is never quite flat."""

_CLOSENESS = {Distance.FAR: 0.25, Distance.NORMAL: 1.0, Distance.NEAR: 1.7}

_PLACES: dict[Faces, tuple[tuple[float, float, float], ...]] = {
    Faces.NOBODY: (),
    Faces.ONE: ((0.5, 0.49, 1.0),),
    Faces.TWO: ((0.29, 0.52, 0.72), (0.73, 0.45, 0.66)),
    Faces.TEN: tuple((0.1 + 0.2 * n, 0.62, 0.36) for n in range(5))
    + tuple((0.1 + 0.2 * n, 0.25, 0.34) for n in range(5)),
}
"""For each person the face's place in parts of width and height, and its size."""


class Performance(Protocol):
    """What happens before the camera: people, a print, a screen, a mask."""

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """The prompt on the screen from `time_s` on."""
        ...

    def draw(self, time_s: float) -> Image:
        """What the lens sees at `time_s`; times never decrease."""
        ...


def perform(spec: SubjectSpec, size: tuple[int, int]) -> Performance:
    """Set the scene for pictures of `size` (width, height)."""
    if spec.attack is Attack.NONE:
        return people(spec, size)
    if spec.attack in (Attack.PRINT, Attack.BENT_PRINT):
        return paper(spec, size)
    if spec.attack is Attack.MASK:
        return masked(spec, size)
    return replay(spec, size)


def people(spec: SubjectSpec, size: tuple[int, int]) -> LivePeople:
    """Live people in a room; the first has the spec's portrait, the next another one, and so on."""
    width, height = size
    names = (spec.portrait, _other(spec.portrait))
    # Far people stand lower in the picture, so that what the portrait shows of them reaches its bottom.
    lower = 0.22 if spec.distance is Distance.FAR else 0.0
    standing = []
    for number, (across, down, large) in enumerate(_PLACES[spec.faces]):
        eyes_px = _eyes_px(spec, size) * large
        motion = Motion(LIVE.reaching(spec.reach), spec.seed + 101 * number, spec.follow)
        standing.append(
            Standing(
                _own(names[number % 2], eyes_px, spec.side),
                motion,
                (across * width, (down + lower) * height),
            )
        )
    return LivePeople(tuple(standing), room(size, spec.seed))


def paper(spec: SubjectSpec, size: tuple[int, int]) -> HeldPaper:
    """A print held by hand; `bent-print` is rolled around an upright axis."""
    eyes_px = PRINT_SHARE * _eyes_px(spec, size)
    radius = BENT if spec.attack is Attack.BENT_PRINT else SLACK
    if spec.bend is not None:
        radius = 1.0 / max(math.radians(spec.bend), 1.0 / FLATTEST)
    return HeldPaper(
        photo(_found(spec.portrait), eyes_px, spec.seed),
        Motion(BY_HAND.reaching(spec.reach), spec.seed, spec.follow),
        room(size, spec.seed),
        eyes_px,
        radius,
    )


def replay(spec: SubjectSpec, size: tuple[int, int]) -> Replay:
    """A recording of the live subject, made in another room, on a phone or a monitor."""
    phone = spec.attack is Attack.REPLAY_PHONE
    recorded = SubjectSpec(
        spec.portrait, side=spec.side, reach=spec.reach, seed=(spec.seed + 555) % SEED_LIMIT
    )
    film = (round(FILM_SHARE * size[0]), round(FILM_SHARE * size[1]))
    script = {Film.ROUNDS: _script, Film.SESSION: _session, Film.CUED: _nothing}[spec.film]
    return Replay(
        PHONE if phone else MONITOR,
        people(recorded, film),
        (film[1], film[0]),
        Sensor(film, recorded),
        script(spec.seed),
        Motion(HELD if phone else ON_A_TABLE, spec.seed, Follow.NO),
        room(size, spec.seed),
        _eyes_px(spec, size),
        _CLOSENESS[spec.distance] * spec.size,
        cued=spec.film is Film.CUED,
    )


def masked(spec: SubjectSpec, size: tuple[int, int]) -> MaskedPerson:
    """Another portrait's person, wearing this portrait as a mask."""
    eyes_px = _eyes_px(spec, size)
    wearer = _own(_other(spec.portrait), eyes_px, spec.side)
    return MaskedPerson(
        wearer,
        mask(wearer, _prepared(spec.portrait, eyes_px, 0.0), spec.seed),
        Motion(LIVE.reaching(spec.reach), spec.seed, spec.follow),
        room(size, spec.seed),
        (0.5 * size[0], 0.49 * size[1]),
    )


def _eyes_px(spec: SubjectSpec, size: tuple[int, int]) -> float:
    return EYES_SHARE * size[1] * _CLOSENESS[spec.distance] * spec.size


def _other(name: PortraitName | Path) -> PortraitName:
    return next(other for other in PortraitName if other is not name)


def _nothing(_seed: int) -> tuple[tuple[float, Prompt | None], ...]:
    """An operator needs no script."""
    return ()


def _session(seed: int) -> tuple[tuple[float, Prompt | None], ...]:
    """What a person was asked in an earlier session: three prompts at the times of a real one."""
    random = np.random.default_rng(seed + 6_001)
    script: list[tuple[float, Prompt | None]] = []
    now = float(random.uniform(*FIRST_PROMPT_S))
    for number in random.permutation(len(Prompt))[:3]:
        script += [(now, list(Prompt)[number]), (now + 1.0, None)]
        now += float(random.uniform(*BETWEEN_PROMPTS_S))
    return tuple(script)


def _script(seed: int) -> tuple[tuple[float, Prompt | None], ...]:
    """What the recorded person was asked, and when: every prompt in an order of its own, over and over."""
    random = np.random.default_rng(seed + 5_001)
    script: list[tuple[float, Prompt | None]] = []
    now = 0.8
    for _ in range(SCRIPT_ROUNDS):
        for number in random.permutation(len(Prompt)):
            script += [(now, list(Prompt)[number]), (now + 1.5, None)]
            now += 2.8
    return tuple(script)


def _found(name: PortraitName | Path) -> Portrait:
    return from_file(name) if isinstance(name, Path) else portrait(name)


@lru_cache(maxsize=8)
def _prepared(name: PortraitName | Path, eyes_px: float, side: float) -> Figure:
    plain = figure(_found(name), eyes_px)
    return lit(plain, side) if side else plain


def _own(name: PortraitName | Path, eyes_px: float, side: float) -> Figure:
    """A figure whose lids can move without moving anyone else's."""
    return _prepared(name, eyes_px, side).copy()
