"""Draws training samples, each chunk with a seed of its own, so that chunks can be drawn in parallel."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .camera_model import Random
from .crops import Crops, gathered
from .material import Sight, read_material
from .samples import Sample, as_filmed, attack, bona_fide, mirrored_sight
from .variation import varied

DRAWN_PIXELS = 112
"""Side of the crops that are kept; views are smaller."""

VARIED = 0.75
"""Share of the frames that are varied first."""

SHARES = {"bonafide": 0.41, "attack": 0.41, "recorded": 0.04, "simulated": 0.14}
"""What a sample is: a bona fide frame, a simulated recapture of one, a real labelled crop as it was filmed,
a frame of the simulated subject."""

LIVE, MASKS = 0.5, 0.5
"""Of the simulated subject's frames: the share that is live, and the share of masks among the attacks."""


def draw(real: list[Sight], simulated: list[Sight], random: Random) -> tuple[Sample, str]:
    """One sample, and the person in it. Persons are drawn before frames, so that long clips do not rule."""
    kind = random.choice(list(SHARES), p=list(SHARES.values()))
    if kind == "simulated":
        sight = _of_a_species(simulated, random)
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
    if random.random() < VARIED:
        sight = varied(sight, [s for s in real if s.row.kind != "crop"], random)
    if kind == "bonafide":
        return bona_fide(sight, random), sight.row.person
    return attack(sight, _of_a_person(real, random), random), sight.row.person


def _of_a_species(simulated: list[Sight], random: Random) -> Sight:
    """Half of them live; masks, the hardest of the attacks, half of the others."""
    if random.random() < LIVE:
        chosen = [s for s in simulated if s.row.bonafide]
    else:
        masks = random.random() < MASKS
        chosen = [s for s in simulated if not s.row.bonafide and (s.row.attack == "mask") == masks]
    return chosen[random.integers(len(chosen))]


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

    return gathered(pixels, itertools.islice(stream(), count))


def chunk_path(work: Path, seed: int, number: int) -> Path:
    """Where one chunk of samples is kept."""
    return work / f"samples_{seed}_{number:03d}.npz"


def draw_chunk(material: Path, path: Path, seed: int, number: int, count: int) -> None:
    """Draw `count` samples and keep them."""
    real, simulated = read_material(material)
    crops = samples(real, simulated, seed * 1000 + number, DRAWN_PIXELS, count)
    unfinished = path.with_suffix(".part.npz")
    crops.save(unfinished)
    unfinished.rename(path)


def chunks(work: Path) -> list[Path]:
    """All chunks of every seed."""
    found = sorted(work.glob("samples_*_[0-9][0-9][0-9].npz"))
    if not found:
        raise ValueError(f"no samples in {work}: run the stage `samples`")
    return found
