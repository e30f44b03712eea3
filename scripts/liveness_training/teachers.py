"""Both teachers, and all that the network learns from them of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .hints import Basis, Hints, Maps
from .mini_fas import MiniFas
from .silent_face import Pair

NAMES = ("silent-face", "mini-fas")
"""The order in which margins, embeddings and hints of both stand."""

Stages = TypeVar("Stages", Maps, Hints)

AT_ONCE = 30
"""Pictures that are judged together; more of them leave the processor's cache."""


@dataclass(frozen=True)
class Lesson:
    """What both teachers say of n pictures: margins [n, 3], two of the pair and MiniFAS's own; embeddings
    [n, 384]; the hints of the three stages [n, side, side, k]."""

    margins: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    hints: Hints


def basis_files(work: Path) -> list[Path]:
    """Where it is kept what is known of each teacher's maps."""
    return [work / f"basis-{name}.npz" for name in NAMES]


class Teachers:
    """The Silent-Face pair and MiniFAS of `folder`; `work` holds what is known of their maps."""

    def __init__(self, folder: Path, work: Path) -> None:
        self._networks = (Pair(folder), MiniFas(folder))
        self._files = basis_files(work)

    def learn_bases(self, pictures: NDArray[np.uint8]) -> None:
        """Find the principal components of what the teachers see in pictures; files that are there stay."""
        for network, path in zip(self._networks, self._files, strict=True):
            if not path.is_file():
                Basis.of(_stacked([network.judge(part).maps for part in _parts(pictures)])).save(path)

    def lesson(self, pictures: NDArray[np.uint8]) -> Lesson:
        """What is to be learnt of RGB pictures [n, 80, 80, 3]; the bases must be known."""
        bases = [Basis.load(path) for path in self._files]
        margins, embeddings, hints = [], [], []
        for part in _parts(pictures):
            said = [network.judge(part) for network in self._networks]
            margins.append(np.concatenate([one.margins for one in said], -1))
            embeddings.append(np.concatenate([one.embeddings for one in said], -1))
            seen = [basis.hints(one.maps) for basis, one in zip(bases, said, strict=True)]
            hints.append(_stacked(seen, -1))
        return Lesson(np.concatenate(margins), np.concatenate(embeddings), _stacked(hints))


def _parts(pictures: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pictures[start : start + AT_ONCE] for start in range(0, len(pictures), AT_ONCE)]


def _stacked(parts: Sequence[Stages], axis: int = 0) -> Stages:
    """Stage by stage, the maps or hints of all parts behind one another."""
    return tuple(np.concatenate(stage, axis) for stage in zip(*parts, strict=True))
