"""Turns drawn crops into views that the teachers judge: parts of crops, regraded, blurred, mixed.

The network learns to say of any picture what the teachers say of the very same pixels (function matching: L.
Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022). So nothing that changes
a view may come after the teachers saw it, except mirroring. Every picture comes from training crops.
The simulated subject is the exception: its label is known, and counts instead of the teachers' guesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera_model import Picture, Random
from .crops import Crops
from .hints import Hints
from .retouching import filmed_again, invented, mixed, part, patched, surrounded, turned
from .simulated import PERSON
from .teachers import Teachers

PLAIN = 0.25
"""Share of views that are just what a box would show."""

JOINED = (0.4, 0.28, 0.14, 0.18)
"""Of the others: shares that stay alone, are mixed with another picture, get a rectangle of it, are put
into it."""

INVENTED = 0.25
"""How often that other picture is no photograph."""

GENTLE = 0.5
"""Share of views that keep most of their crop."""

FILES_AT_ONCE = 3

BASIS_VIEWS = 600

KNOWN_MARGIN = 4.0
"""What is learnt of a view of the simulated subject: this for a live one, its negative for an attack."""


@dataclass(frozen=True)
class Views:
    """Pictures [n, p, p, 3] RGB, and what is to be said of them: margins [n, 3], embeddings [n, 384], and the
    hints of the three stages [n, side, side, k]."""

    pictures: NDArray[np.uint8]
    margins: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    hints20: NDArray[np.int8]
    hints10: NDArray[np.int8]
    hints5: NDArray[np.int8]

    @property
    def hints(self) -> Hints:
        """The hints of all stages."""
        return self.hints20, self.hints10, self.hints5

    @classmethod
    def load(cls, paths: list[Path]) -> Views:
        """All of several files, one kind of array after the other, for they are large."""

        def all_of(name: str) -> NDArray[np.generic]:
            parts = []
            for path in paths:
                with np.load(path) as file:
                    parts.append(file[name])
            return np.concatenate(parts)

        return cls(**{name: all_of(name) for name in cls.__dataclass_fields__})  # type: ignore[arg-type]


def view_of(crop: NDArray[np.uint8], pixels: int, gentle: bool, random: Random) -> Picture:
    """One view of a crop, `pixels` x `pixels`, float32 0..255."""
    x = crop[:, ::-1] if random.random() < 0.5 else crop
    if random.random() < 0.7:
        x = part(x, 0.75 if gentle else 0.45, random)
    if not gentle and random.random() < 0.25:
        x = turned(x, random)
    how = cv2.INTER_AREA if random.random() < 0.5 else cv2.INTER_LINEAR
    view = cv2.resize(np.ascontiguousarray(x), (pixels, pixels), interpolation=how).astype(np.float32)
    return filmed_again(view, random)


def plain_view(crop: NDArray[np.uint8], pixels: int, random: Random) -> Picture:
    """The crop as a box shows it to the network."""
    x = crop[:, ::-1] if random.random() < 0.5 else crop
    small = cv2.resize(np.ascontiguousarray(x), (pixels, pixels), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)


def draw_views(
    chunks: list[Path], teachers: Teachers, path: Path, seed: int, count: int, pixels: int
) -> None:
    """Draw `count` views of crops of some of the chunks, have the teachers judge them, and keep them."""
    pictures, pinned = drawn(chunks, seed, count, pixels)
    lesson = teachers.lesson(pictures)
    known = np.where(pinned[:, None] != 0, pinned[:, None], lesson.margins)
    views = Views(pictures, known, lesson.embeddings, *lesson.hints)
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, **vars(views))  # noqa: TID251 - training material, not a session
    unfinished.rename(path)


def drawn(
    chunks: list[Path], seed: int, count: int, pixels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`count` views, and the margin that is learnt of each whatever the teachers say, or 0."""
    random = np.random.default_rng(seed)
    chosen = random.choice(len(chunks), min(FILES_AT_ONCE, len(chunks)), replace=False)
    read = [Crops.load(chunks[number]) for number in chosen]
    pool = np.concatenate([c.ours.reshape(-1, *c.ours.shape[2:]) for c in read])
    live = np.concatenate([np.repeat(c.live, 2) for c in read])
    known = np.concatenate([np.repeat(np.char.startswith(c.persons, PERSON), 2) for c in read])
    real = np.flatnonzero(~known)
    pictures = np.empty((count, pixels, pixels, 3), np.uint8)
    pinned = np.zeros(count, np.float32)
    for n in range(count):
        place = int(random.integers(len(pool)))
        if known[place]:
            pinned[n] = KNOWN_MARGIN if live[place] else -KNOWN_MARGIN
            view = view_of(pool[place], pixels, True, random)
        elif random.random() < PLAIN:
            view = plain_view(pool[place], pixels, random)
        else:
            view = view_of(pool[place], pixels, random.random() < GENTLE, random)
            view = _joined(view, pool[random.choice(real)], random)
        pictures[n] = np.clip(view, 0, 255).astype(np.uint8)
    return pictures, pinned


def _joined(view: Picture, crop: NDArray[np.uint8], random: Random) -> Picture:
    """The view alone, or with another crop or an invented picture."""
    how = random.choice(len(JOINED), p=JOINED)
    if how == 0:
        return view
    pixels = view.shape[0]
    other = invented(pixels, random) if random.random() < INVENTED else view_of(crop, pixels, False, random)
    return (mixed, patched, surrounded)[how - 1](view, other, random)
