"""Draws training samples in parallel, each worker with a seed of its own, and has the teacher label them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .camera_model import Random
from .crops import Crops, Cutter, gathered
from .learning import Lesson
from .material import Sight, read_material
from .samples import Sample, as_filmed, attack, bona_fide, mirrored_sight
from .teacher import Pair

HELD_BACK = ("grid_lbbc2a", "grid_bbaf2n", "face_recognition_obama")
"""Training persons whose samples are never learnt from: the check while training is made on them."""

SHARES = {"bonafide": 0.42, "attack": 0.40, "recorded": 0.06, "simulated": 0.12}
"""What a sample is: a bona fide frame, a simulated recapture of one, a real labelled crop as it was filmed,
a frame of the simulated subject."""


def draw(real: list[Sight], simulated: list[Sight], random: Random) -> tuple[Sample, str]:
    """One sample, and the person in it. Persons are drawn before frames, so that long clips do not rule."""
    kind = random.choice(list(SHARES), p=list(SHARES.values()))
    if kind == "simulated":
        chosen = [s for s in simulated if s.row.bonafide == (random.random() < 0.6)] or simulated
        sight = chosen[random.integers(len(chosen))]
        if random.random() < 0.5:
            return Sample(
                sight.frame, sight.box, sight.row.bonafide, f"simulated {sight.row.attack}"
            ), sight.row.person
        made = as_filmed(sight, random)
        return Sample(made.frame, made.box, made.bonafide, f"simulated {sight.row.attack}"), sight.row.person
    if kind == "recorded":
        crops = [s for s in real if s.row.kind == "crop"]
        sight = _either_way(crops[random.integers(len(crops))], random)
        return as_filmed(sight, random), sight.row.person
    sight = _either_way(_of_a_person(real, random), random)
    if kind == "bonafide":
        return bona_fide(sight, random), sight.row.person
    return attack(sight, _of_a_person(real, random), random), sight.row.person


def _of_a_person(real: list[Sight], random: Random) -> Sight:
    frames = [s for s in real if s.row.kind != "crop"]
    paths = sorted({s.row.path for s in frames})
    persons = sorted({s.row.person for s in frames})
    # Half by person, half by clip: clips of one person still differ in light and place.
    if random.random() < 0.5:
        person = persons[random.integers(len(persons))]
        chosen = [s for s in frames if s.row.person == person]
    else:
        path = paths[random.integers(len(paths))]
        chosen = [s for s in frames if s.row.path == path]
    return chosen[random.integers(len(chosen))]


def _either_way(sight: Sight, random: Random) -> Sight:
    return mirrored_sight(sight) if random.random() < 0.5 else sight


def samples(real: list[Sight], simulated: list[Sight], seed: int, pixels: int, count: int) -> Crops:
    """`count` samples as crops."""
    random = np.random.default_rng(seed)

    def stream() -> Iterator[tuple[object, tuple[float, ...], bool, str, str]]:
        while True:
            sample, person = draw(real, simulated, random)
            yield sample.frame, sample.box, sample.bonafide, sample.species, person

    return gathered(Cutter(pixels), itertools.islice(stream(), count))


def chunk_path(work: Path, seed: int, number: int) -> Path:
    """Where one chunk of samples is kept."""
    return work / f"samples_{seed}_{number:03d}.npz"


def draw_chunk(
    material: Path, teacher: Path, path: Path, seed: int, number: int, count: int, pixels: int
) -> None:
    """Draw `count` samples, have the teacher label them, and keep them."""
    real, simulated = read_material(material)
    crops = samples(real, simulated, seed * 1000 + number, pixels, count)
    said, known = Pair(teacher).label(crops.teachers[:, 0], crops.teachers[:, 1])
    unfinished = path.with_suffix(".part.npz")
    np.savez(  # noqa: TID251 - training material, not a session
        unfinished,
        ours=crops.ours,
        live=crops.live,
        species=crops.species,
        persons=crops.persons,
        p=said,
        e=known.astype(np.float16),
    )
    unfinished.rename(path)


@dataclass(frozen=True)
class Lessons:
    """What is learnt from, and what checks it: persons of one are not in the other."""

    training: Lesson
    validation: Lesson


def lessons(work: Path, seed: int) -> Lessons:
    """All chunks of a seed."""
    kept: dict[str, list[NDArray[np.generic]]] = {}
    for path in sorted(work.glob(f"samples_{seed}_[0-9][0-9][0-9].npz")):
        with np.load(path) as file:
            for name in ("ours", "live", "persons", "p", "e"):
                kept.setdefault(name, []).append(file[name])
    if not kept:
        raise ValueError(f"no samples of seed {seed} in {work}: run the stage `samples`")
    joined = {name: np.concatenate(parts) for name, parts in kept.items()}
    known = joined["e"].astype(np.float32)
    known = (known - known.mean(0)) / (known.std(0) + 1e-3)
    apart = np.isin(joined["persons"], HELD_BACK)

    def lesson(chosen: NDArray[np.bool_]) -> Lesson:
        return Lesson(
            joined["ours"][chosen],
            joined["live"][chosen].astype(np.float32),
            joined["p"][chosen].mean(1),
            known[chosen],
        )

    return Lessons(lesson(~apart), lesson(apart))
