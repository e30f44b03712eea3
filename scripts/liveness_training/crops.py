"""Cuts what the networks see out of frames, with the box's own code, and keeps it as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vouchbox.vision.crops import FaceCrops
from vouchbox.vision.observation import Box
from vouchbox.vision.scratch import unlocked

from .teacher import FILES, teacher_crop


@dataclass(frozen=True)
class Crops:
    """n samples: ours [n, 2, p, p, 3] RGB (close, wide), the teacher's [n, 2, 80, 80, 3] BGR, labels [n]
    (1 bona fide), and words [n]: species or path, and person."""

    ours: NDArray[np.uint8]
    teachers: NDArray[np.uint8]
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


class Cutter:
    """Both networks' crops of one frame after another."""

    def __init__(self, pixels: int) -> None:
        self._crops = FaceCrops(unlocked, pixels)

    def cut(self, frame: NDArray[np.uint8], box: tuple[float, ...]) -> tuple[Any, Any] | None:
        """Ours and the teacher's, or None where the face is too small."""
        if not self._crops.cut(frame, Box(*box)):
            return None
        ours = np.stack([self._crops.close, self._crops.context])
        return ours, np.stack([teacher_crop(frame, box, times) for times in FILES])


def gathered(cutter: Cutter, frames: Iterable[tuple[Any, tuple[float, ...], bool, str, str]]) -> Crops:
    """Crops of frames given as (frame, box, live, species, person)."""
    kept = []
    for frame, box, live, species, person in frames:
        both = cutter.cut(frame, box)
        if both is not None:
            kept.append((*both, live, species, person))
    ours, teachers, live_, species_, persons = zip(*kept, strict=True)
    return Crops(
        np.stack(ours), np.stack(teachers), np.array(live_, np.int64), np.array(species_), np.array(persons)
    )
