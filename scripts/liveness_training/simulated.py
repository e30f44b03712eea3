"""Frames of the project's own simulated subject, live and as every attack, as training material: it stands in
for persons in tests and demonstrations, so the network has to know it. Two public-domain portraits."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from vouchbox.config import Camera
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.source import simulated
from vouchbox.simulator.subject.spec import Attack, Distance, Light, Noise, PortraitName

from .material import Finder, Row, Sight

FRAMES = 75
EVERY = 9


def subjects(sessions: int, seed: int) -> Iterator[Sight]:
    """Some frames of each of `sessions` sessions; every second one is live."""
    finder = Finder()
    attacks = [attack for attack in Attack if attack is not Attack.NONE]
    for number in range(sessions):
        chance = random.Random(f"{seed} {number}")
        attack = Attack.NONE if number % 2 == 0 else attacks[number // 2 % len(attacks)]
        portrait = chance.choice(list(PortraitName))
        light, noise = chance.choice(list(Light)), chance.choice(list(Noise))
        distance = chance.choice([Distance.NORMAL, Distance.NORMAL, Distance.NEAR])
        name = str(portrait) if attack is Attack.NONE else f"{attack}:{portrait}"
        words = f"{name}?light={light}&noise={noise}&distance={distance}&seed={chance.randrange(10**6)}"
        live = attack is Attack.NONE
        row = Row(words, "simulated", live, "none" if live else str(attack), f"simulated_{portrait}", True)
        camera = Camera(source=f"simulated:{words}", pace="fast")
        source = simulated(words, camera)
        shape = source.open()
        frame = np.zeros((shape.height, shape.width, 3), np.uint8)
        for index in range(FRAMES):
            source.capture(frame)
            if index % 30 == 5:
                source.show(chance.choice(list(Prompt)))
            if index % EVERY == EVERY - 1:
                sight = finder.still(row, frame.copy())
                if sight is not None:
                    yield sight
        source.close()
