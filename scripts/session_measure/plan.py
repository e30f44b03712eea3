"""Which sessions are held: species, portrait, light, noise and handling, all drawn from one seed.

Pure: the same seed, group, number and portraits give the same subject and the same prompts. The conditions
are those in which a box is meant to work; the very dark and the very bright are quality's business.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vouchbox.messages import Prompt
from vouchbox.simulator.subject.spec import Attack, Film, PortraitName, SubjectSpec
from vouchbox.vault.challenge import ENTROPY_BYTES, draw

BONA_FIDE = "bona fide"
SPECIES = tuple(attack for attack in Attack if attack is not Attack.NONE)
REPLAYS = (Attack.REPLAY_PHONE, Attack.REPLAY_MONITOR)
CUED = tuple(f"{attack}, cued" for attack in REPLAYS)
"""Replays whose operator has a film of every movement: beyond the five species, for the record."""

GROUPS = (BONA_FIDE, *map(str, SPECIES), *CUED)
PROMPTS = 3

PICTURES = (
    "pypi_public_domain/face_recognition_biden.jpg",
    "pypi_public_domain/face_recognition_obama.jpg",
    "pypi_public_domain/face_recognition_obama2.jpg",
    "pypi_public_domain/face_recognition_obama3.jpg",
    "Azure-Samples+cognitive-services-sample-data-files/Face_images/Family2-Lady1.jpg",
)
"""Portraits in the folder of private data, beside the two that travel in packages. Chosen for how well the
simulator can cut them out, before any session was held; none was left out afterwards."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session to hold. `portrait` is a name for the report."""

    group: str
    number: int
    portrait: str
    subject: SubjectSpec
    prompts: tuple[Prompt, ...]
    pauses: tuple[float, ...]


def portraits(data: Path) -> tuple[PortraitName | Path, ...]:
    """Everybody who can stand before the camera here."""
    return (*PortraitName, *(data / name for name in PICTURES if (data / name).is_file()))


def sessions(groups: dict[str, int], seed: int, people: tuple[PortraitName | Path, ...]) -> Iterator[Session]:
    """`groups` says how many sessions of each; the groups take turns."""
    for number in range(max(groups.values(), default=0)):
        for group, count in groups.items():
            if number < count:
                yield _session(group, number, seed, people)


def _session(group: str, number: int, seed: int, people: tuple[PortraitName | Path, ...]) -> Session:
    chance = random.Random(f"{seed} {group} {number}")
    prompts, pauses = draw(f"session-{chance.random()}", chance.randbytes(ENTROPY_BYTES), PROMPTS)
    portrait = people[number % len(people)]
    attack = Attack.NONE if group == BONA_FIDE else Attack(group.partition(",")[0])
    film, bend = Film.ROUNDS, None
    if attack in REPLAYS:
        film = Film.CUED if group in CUED else chance.choice((Film.ROUNDS, Film.SESSION))
    elif attack is Attack.PRINT:
        bend = round(chance.uniform(0.0, 20.0), 1)
    elif attack is Attack.BENT_PRINT:
        bend = round(chance.uniform(30.0, 120.0), 1)
    subject = SubjectSpec(
        portrait,
        attack,
        film=film,
        brightness=round(chance.uniform(0.7, 1.25), 2),
        gamma=round(chance.uniform(0.8, 1.3), 2),
        side=round(chance.choice((0.0, 1.0)) * chance.uniform(-0.8, 0.8), 2),
        kelvin=round(chance.uniform(4000.0, 9000.0), -2),
        grain=round(chance.uniform(0.5, 2.5), 2),
        size=round(chance.uniform(0.75, 1.25), 2),
        reach=round(chance.uniform(0.85, 1.25 if attack is Attack.NONE else 1.5), 2),
        bend=bend,
        seed=chance.randrange(10**6),
    )
    name = portrait.stem.removeprefix("face_recognition_") if isinstance(portrait, Path) else str(portrait)
    return Session(group, number, name, subject, prompts, pauses)


def fingerprint(people: tuple[PortraitName | Path, ...], seed: int) -> str:
    """A digest of the seed and of every portrait's file."""
    digest = hashlib.sha256(f"{seed}".encode())
    for person in people:
        digest.update(person.read_bytes() if isinstance(person, Path) else person.encode())
    return digest.hexdigest()
