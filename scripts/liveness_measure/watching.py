"""From frames to observations, through the very code that runs on a box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.source import Image, Stamp
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Observation
from vouchbox.vision.observer import Observer
from vouchbox.vision.stages import StageClock

WINDOW_S = 7.0
"""Long clips are judged in pieces as long as a session."""

SHORTEST_WINDOW_S = 1.5
MOST_FRAMES = 6000

Timed = tuple[float, Image]
"""Seconds since the first frame, and the picture."""


class Watcher:
    """Looks at many clips, one after the other."""

    def __init__(self) -> None:
        self._models = Models.load()

    def clip(self, path: Path) -> list[Observation]:
        """The first MOST_FRAMES frames of a file."""
        return self.frames(read(path))

    def frames(self, frames: Iterable[Timed]) -> list[Observation]:
        """One observation a frame; all frames have one size."""
        observer: Observer | None = None
        seen = []
        for index, (seconds, picture) in enumerate(frames):
            if observer is None:
                observer = Observer(
                    self._models, _Memory(), picture.shape[1], picture.shape[0], StageClock(), False
                )
            stamp = Stamp(index, round(seconds * 1e9))
            seen.append(observer.observe(picture, stamp, seconds).observation)
        return seen


class _Memory:
    """Scratch of one clip: the same name and shape give the same buffer."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, /) -> NDArray[Any]:
        return self._known.setdefault((name, shape), np.zeros(shape, dtype))


class Grain:
    """Sensor noise: a few fields of it, shifted at random, which is much quicker than new noise a frame."""

    def __init__(self, deviation: float, shape: tuple[int, ...], random: np.random.Generator) -> None:
        self._random = random
        self._fields = random.normal(0.0, deviation, (4, *shape)).round().astype(np.int16)

    def over(self, picture: Image) -> Image:
        """A noisy copy."""
        field = self._fields[self._random.integers(len(self._fields))]
        shifted = np.roll(field, int(self._random.integers(field.size)))
        return np.clip(picture + shifted, 0, 255).astype(np.uint8)


def read(path: Path, limit: int = MOST_FRAMES) -> Iterator[Timed]:
    """The frames of a file; each is overwritten by the next."""
    source = ClipSource(path, pace="fast")
    try:
        shape = source.open()
        picture = np.zeros((shape.height, shape.width, 3), np.uint8)
        first: int | None = None
        for _ in range(limit):
            stamp = source.capture(picture)
            if stamp is None:
                return
            first = stamp.timestamp_ns if first is None else first
            yield (stamp.timestamp_ns - first) / 1e9, picture
    finally:
        source.close()


def windows(seen: list[Observation]) -> list[list[Observation]]:
    """Pieces of WINDOW_S, each with a time of its own; the last may be shorter."""
    if not seen:
        return []
    pieces = []
    for start in np.arange(0.0, max(seen[-1].seconds, 0.1), WINDOW_S):
        piece = [o for o in seen if start <= o.seconds < start + WINDOW_S]
        if piece and (start == 0.0 or piece[-1].seconds - piece[0].seconds >= SHORTEST_WINDOW_S):
            pieces.append(from_zero(piece))
    return pieces


def from_zero(piece: list[Observation]) -> list[Observation]:
    """The same observations, counted from the first."""
    return [
        replace(o, index=n, seconds=o.seconds - piece[0].seconds, change=o.change if n else 0.0)
        for n, o in enumerate(piece)
    ]
