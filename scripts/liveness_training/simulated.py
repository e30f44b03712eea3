"""Frames of the project's own simulated subject, live and as every attack, as training material: it stands in
for persons in tests and demonstrations. The published networks have never seen it and are of two minds about
it, so for these frames alone the true label is what is learnt. Portraits in the public domain only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vouchbox.config import Camera
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.source import SimulatedSubject
from vouchbox.simulator.subject.spec import Attack, PortraitName, SubjectSpec

from .material import Finder, Row, Sight

FRAMES = {True: 6, False: 6}
"""Frames of a live session, and of an attack."""

FRAME_RATE = 3
PICTURES = ("face_recognition_biden.jpg", "face_recognition_obama.jpg", "face_recognition_obama2.jpg")
"""Public-domain portraits beside the two that travel in packages."""

PERSON = "simulated_"


def subjects(folder: Path, sessions: int, seed: int) -> Iterator[Sight]:
    """Some frames of each of `sessions` sessions; every second one is live. `folder` holds PICTURES."""
    finder = Finder()
    attacks = [attack for attack in Attack if attack is not Attack.NONE]
    people: list[PortraitName | Path] = [*PortraitName, *(folder / name for name in PICTURES)]
    for number in range(sessions):
        chance = random.Random(f"liveness training {seed} {number}")
        attack = Attack.NONE if number % 2 == 0 else attacks[number // 2 % len(attacks)]
        portrait = people[number // 2 % len(people)]
        live = attack is Attack.NONE
        spec = _spec(portrait, attack, chance)
        name = portrait.stem if isinstance(portrait, Path) else str(portrait)
        row = Row(f"{attack}:{name}", "simulated", live, "none" if live else str(attack), PERSON + name, True)
        camera = Camera(source="simulated:collins", pace="fast", frame_rate=FRAME_RATE)
        source = SimulatedSubject(spec, camera)
        shape = source.open()
        frame = np.zeros((shape.height, shape.width, 3), np.uint8)
        for index in range(FRAMES[live]):
            source.capture(frame)
            if index == 1:
                source.show(chance.choice(list(Prompt)))
            sight = finder.still(row, frame.copy())
            if sight is not None:
                yield sight
        source.close()


def _spec(portrait: PortraitName | Path, attack: Attack, chance: random.Random) -> SubjectSpec:
    """Light, noise, size and handling at random."""
    bend = {
        Attack.PRINT: round(chance.uniform(0.0, 20.0), 1),
        Attack.BENT_PRINT: round(chance.uniform(30.0, 120.0), 1),
    }
    return SubjectSpec(
        portrait,
        attack,
        brightness=round(chance.uniform(0.6, 1.4), 2),
        gamma=round(chance.uniform(0.75, 1.35), 2),
        side=round(chance.choice((0.0, 1.0)) * chance.uniform(-0.9, 0.9), 2),
        kelvin=round(chance.uniform(3500.0, 10000.0), -2),
        grain=round(chance.uniform(0.3, 3.0), 2),
        size=round(chance.uniform(0.7, 1.35), 2),
        reach=round(chance.uniform(0.85, 1.5), 2),
        bend=bend.get(attack),
        seed=chance.randrange(10**6),
    )
