"""Whole sessions of the simulated subject at level active, live and as every attack."""

from __future__ import annotations

import random
from collections.abc import Iterator

from vouchbox.config import Camera
from vouchbox.messages import Examine, Level
from vouchbox.simulator.subject.source import simulated
from vouchbox.simulator.subject.spec import Attack, PortraitName
from vouchbox.vault.challenge import ENTROPY_BYTES, draw
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models

SPECIES = tuple(str(attack) for attack in Attack)
SECONDS = 5.0
PROMPTS = 3


def sessions(species: str, count: int, seed: int) -> Iterator[str]:
    """The outcomes of `count` sessions, both portraits in turn, each with prompts and a manner of its own."""
    examiner = Examiner(Models.load())
    portraits = list(PortraitName)
    for number in range(count):
        chance = random.Random(f"{seed} {species} {number}")
        prompts = draw(f"session-{number}", chance.randbytes(ENTROPY_BYTES), PROMPTS)
        portrait = portraits[number % len(portraits)]
        kind = "" if species == "live" else f"{species}:"
        words = f"{kind}{portrait}?seed={chance.randrange(10**6)}"
        camera = Camera(source=f"simulated:{words}", pace="fast")
        request = Examine("measure-liveness", Level.ACTIVE, prompts, False, SECONDS)
        yield str(examiner.examine(request, simulated(words, camera)).outcome)
