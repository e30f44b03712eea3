"""Cuts what the networks see out of frames, with the box's own code, and keeps it as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vouchbox.vision.crops import CLOSE, CONTEXT, sample, square_around
from vouchbox.vision.observation import Box


@dataclass(frozen=True)
class Crops:
    """n samples: crops [n, 2, p, p, 3] RGB (close, wide), labels [n] (1 bona fide), species, persons."""

    ours: NDArray[np.uint8]
    live: NDArray[np.int64]
    species: NDArray[np.str_]
    persons: NDArray[np.str_]

    def save(self, path: Path) -> None:
        """Write all arrays; pictures of people stay outside the repository."""
        np.savez(path, **vars(self))  # noqa: TID251 - training material, not a session

    @classmethod
    def load(cls, path: Path) -> Crops:
        """Read what save() wrote."""
        with np.load(path) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})


def sampled(frame: NDArray[np.uint8], box: tuple[float, ...], pixels: int) -> NDArray[np.uint8] | None:
    """Both squares of a face as the box samples them, before it averages them down: [2, pixels, pixels, 3],
    or None where the face is too small."""
    height, width = frame.shape[:2]
    both = np.zeros((2, pixels, pixels, 3), np.uint8)
    for times, into in zip((CLOSE, CONTEXT), both, strict=True):
        square = square_around(Box(*box), times, width, height)
        if square is None:
            return None
        sample(frame, square, into)
    return both


def gathered(pixels: int, frames: Iterable[tuple[Any, tuple[float, ...], bool, str, str]]) -> Crops:
    """Crops of frames given as (frame, box, live, species, person)."""
    kept = []
    for frame, box, live, species, person in frames:
        both = sampled(frame, box, pixels)
        if both is not None:
            kept.append((both, live, species, person))
    ours, live_, species_, persons = zip(*kept, strict=True)
    return Crops(np.stack(ours), np.array(live_, np.int64), np.array(species_), np.array(persons))
