"""Both teachers, and all that the network learns from them of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .hints import Basis, Hints, Said
from .mini_fas import MiniFas
from .silent_face import Pair

NAMES = ("silent-face", "mini-fas")
"""The order in which margins, embeddings and hints of both stand."""

AT_ONCE = 30
"""Pictures that are judged together; more of them leave the processor's cache."""


@dataclass(frozen=True)
class Lesson:
    """What both teachers say of n pictures: margins [n, 3], two of the pair and MiniFAS's own; embeddings
    [n, 384]; the hints of the three stages [n, side, side, k]."""

    margins: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    hints: Hints


class Teachers:
    """The Silent-Face pair and MiniFAS; `bases` is the folder of what is known of their maps."""

    def __init__(self, folder: Path, bases: Path) -> None:
        self._networks = (Pair(folder), MiniFas(folder))
        self._files = [bases / f"basis-{name}.npz" for name in NAMES]

    def learn_bases(self, pictures: NDArray[np.uint8]) -> None:
        """Find the principal components of what the teachers see in pictures; files that are there stay."""
        for network, path in zip(self._networks, self._files, strict=True):
            if not path.is_file():
                Basis.of(_joined([network.judge(part) for part in _parts(pictures)]).maps).save(path)

    def lesson(self, pictures: NDArray[np.uint8]) -> Lesson:
        """What is to be learnt of RGB pictures [n, 80, 80, 3]; the bases must be known."""
        bases = [Basis.load(path) for path in self._files]
        found = []
        for part in _parts(pictures):
            said = [network.judge(part) for network in self._networks]
            hints = [basis.hints(one.maps) for basis, one in zip(bases, said, strict=True)]
            found.append(
                Lesson(
                    np.concatenate([one.margins for one in said], 1),
                    np.concatenate([one.embeddings for one in said], 1),
                    tuple(np.concatenate(stage, -1) for stage in zip(*hints, strict=True)),
                )
            )
        stages = zip(*(one.hints for one in found), strict=True)
        return Lesson(
            np.concatenate([one.margins for one in found]),
            np.concatenate([one.embeddings for one in found]),
            tuple(np.concatenate(stage) for stage in stages),
        )


def _parts(pictures: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pictures[start : start + AT_ONCE] for start in range(0, len(pictures), AT_ONCE)]


def _joined(said: list[Said]) -> Said:
    stages = zip(*(one.maps for one in said), strict=True)
    return Said(
        np.concatenate([one.margins for one in said]),
        np.concatenate([one.embeddings for one in said]),
        tuple(np.concatenate(stage) for stage in stages),
    )
