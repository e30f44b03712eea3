"""What a teacher saw on its way: its maps after each stage, which the network learns to foretell from its
own maps of the same size (hints: A. Romero et al., FitNets, 2015). A margin is one number of a picture; the
maps say hundreds, each about one place.

Kept are the principal components of the maps, as bytes; the first weigh more, by the root of their spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIXELS = 80
"""Side of the pictures that our network sees."""

SIDES = (20, 10, 5)
"""Places of the maps after each stage, along a side."""

KEPT = (24, 48, 64)
"""Principal components of each teacher's maps."""

BYTE = 20.0
"""Steps of a kept byte in a unit of the first component's spread: it reaches to more than six of them."""

Maps = tuple[NDArray[np.float32], ...]
Hints = tuple[NDArray[np.int8], ...]


@dataclass(frozen=True)
class Said:
    """What a teacher of m networks says of n pictures: margins [n, m] (log odds of bona fide against attack),
    embeddings [n, 128 m], and the maps of each stage [n, side, side, c], all networks' channels together."""

    margins: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    maps: Maps


@dataclass(frozen=True)
class Basis:
    """The mean [c] and the scaled directions [c, k] of each stage."""

    means: Maps
    directions: Maps

    @classmethod
    def of(cls, maps: Maps) -> Basis:
        """The principal components of maps [n, side, side, c]."""
        means, directions = [], []
        for stage, kept in zip(maps, KEPT, strict=True):
            places = stage.reshape(-1, stage.shape[-1]).astype(np.float64)
            mean = places.mean(0)
            spread, axes = np.linalg.eigh(np.cov(places - mean, rowvar=False))
            order = np.argsort(spread)[::-1][:kept]
            deviation = np.sqrt(spread[order])
            # The first component is scaled to a spread of 1, the others to the root of their share of it.
            means.append(mean.astype(np.float32))
            directions.append((axes[:, order] / np.sqrt(deviation * deviation[0])).astype(np.float32))
        return cls(tuple(means), tuple(directions))

    def hints(self, maps: Maps) -> Hints:
        """Maps [n, side, side, c] as bytes [n, side, side, k]."""
        return tuple(
            np.clip(np.rint((stage - mean) @ axes * BYTE), -127, 127).astype(np.int8)
            for stage, mean, axes in zip(maps, self.means, self.directions, strict=True)
        )

    def save(self, path: Path) -> None:
        """Write it; it holds no picture."""
        named = {f"mean{n}": v for n, v in enumerate(self.means)}
        named |= {f"directions{n}": v for n, v in enumerate(self.directions)}
        np.savez(path, **named)  # type: ignore[arg-type]  # noqa: TID251 - training material, not a session

    @classmethod
    def load(cls, path: Path) -> Basis:
        """Read what save() wrote."""
        with np.load(path) as file:
            stages = range(len(KEPT))
            return cls(tuple(file[f"mean{n}"] for n in stages), tuple(file[f"directions{n}"] for n in stages))


def resampled(maps: NDArray[np.float32], side: int, pixels: int) -> NDArray[np.float32]:
    """Maps [n, c, s, s] of pictures that were enlarged to `pixels` as [n, side, side, c] of our own pictures,
    by a triangle as wide as a place of the result. A place of a map taken with a stride stands for the pixel
    stride * column of its own picture; the pixels of both pictures correspond by their middles."""
    before = maps.shape[-1]
    own = np.arange(side) * (PIXELS / side)
    theirs = ((own + 0.5) / PIXELS * pixels - 0.5) / (pixels / before)
    weights = np.maximum(0.0, 1.0 - np.abs(theirs[:, None] - np.arange(before)) * (side / before))
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return np.einsum("ij,ncjk,lk->nilc", weights, maps, weights, optimize=True)


def mirrored(pictures: NDArray[np.generic], which: NDArray[np.bool_], first: int = 0) -> NDArray[np.generic]:
    """[n, rows, columns, c], those of `which` with left and right swapped, columns before `first` left alone.

    A place of a map taken with stride s stands for the pixel s * column. In the mirrored picture that is the
    last pixel less so many: a pixel beside the place `columns - column`. So a map is mirrored from column 1
    on, and nothing is known of its column 0.
    """
    turned = pictures.copy()
    turned[which, :, first:] = pictures[which, :, first:][:, :, ::-1]
    return turned
