"""Turns drawn crops into views that the teacher judges: parts of crops, regraded, blurred, mixed.

The network learns to say of any picture what the teacher says of the very same pixels (function matching: L.
Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022). So nothing that changes
a view may come after the teacher saw it, except mirroring. Every picture comes from training crops.
The simulated subject is the exception: its label is known, and counts instead of the teacher's guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera_model import Picture, Random
from .crops import Crops
from .hints import Basis, Hints
from .simulated import PERSON
from .teacher import Pair

MIXED = 0.35
"""Share of views that are two pictures laid over each other."""

PATCHED = 0.15
"""Share of views with a rectangle of another picture."""

GENTLE = 0.5
"""Share of views that keep most of their crop."""

FILES_AT_ONCE = 3

AT_ONCE = 250
"""Views that the teacher judges together."""

BASIS_VIEWS = 600

KNOWN_MARGIN = 4.0
"""What is learnt of a view of the simulated subject: this for a live one, its negative for an attack."""


@dataclass(frozen=True)
class Views:
    """Pictures [n, p, p, 3] RGB, and what is to be said of them: margins [n, 2], embeddings [n, 256], and the
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
        x = _part(x, 0.75 if gentle else 0.45, random)
    if not gentle and random.random() < 0.25:
        height, width = x.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.normal(0, 20), 1.0)
        x = cv2.warpAffine(np.ascontiguousarray(x), turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    how = cv2.INTER_AREA if random.random() < 0.5 else cv2.INTER_LINEAR
    view = cv2.resize(np.ascontiguousarray(x), (pixels, pixels), interpolation=how).astype(np.float32)
    return _filmed_again(view, random)


def _part(x: NDArray[np.uint8], smallest: float, random: Random) -> NDArray[np.uint8]:
    height, width = x.shape[:2]
    share = random.uniform(smallest, 1.0)
    wide, tall = (int(n * min(1.0, share * np.exp(random.normal(0, 0.12)))) for n in (width, height))
    left, top = int(random.integers(0, width - wide + 1)), int(random.integers(0, height - tall + 1))
    return x[top : top + tall, left : left + wide]


def _filmed_again(x: Picture, random: Random) -> Picture:
    """Light, gamma, contrast, blur, sharpening, noise, loss of colour, JPEG: each now and then."""
    if random.random() < 0.6:
        x = (
            x
            * np.float32(np.exp(random.normal(0, 0.25)))
            * np.exp(random.normal(0, 0.08, 3)).astype(np.float32)
        )
    if random.random() < 0.3:
        x = 255 * np.clip(x / 255, 0, 1) ** np.float32(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.3:
        x = x.mean() + (x - x.mean()) * np.float32(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.25:
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.3, 1.3))
    if random.random() < 0.2:
        x = x + np.float32(random.uniform(0.2, 1.2)) * (x - cv2.GaussianBlur(x, (0, 0), 1.0))
    if random.random() < 0.3:
        x = x + random.normal(0, random.uniform(1, 9), x.shape).astype(np.float32)
    if random.random() < 0.15:
        x = np.repeat((x @ np.array([0.3, 0.59, 0.11], np.float32))[..., None], 3, axis=2)
    x = np.clip(x, 0, 255)
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 95))]
        _, data = cv2.imencode(".jpg", x.astype(np.uint8), quality)  # noqa: TID251 - training material
        x = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(x, np.float32)


def draw_views(
    chunks: list[Path], teacher: Path, basis: Path, path: Path, seed: int, count: int, pixels: int
) -> None:
    """Draw `count` views of crops of some of the chunks, have the teacher judge them, and keep them."""
    pictures, pinned = drawn(chunks, seed, count, pixels)
    pair, known = Pair(teacher), Basis.load(basis)
    margins, embeddings, hints = [], [], []
    for start in range(0, count, AT_ONCE):
        said = pair.judge(pictures[start : start + AT_ONCE])
        margins.append(said.margins)
        embeddings.append(said.embeddings)
        hints.append(known.hints(said.maps))
    stages = [np.concatenate(stage) for stage in zip(*hints, strict=True)]
    views = Views(
        pictures,
        np.where(pinned[:, None] != 0, pinned[:, None], np.concatenate(margins)),
        np.concatenate(embeddings),
        *stages,
    )
    unfinished = path.with_suffix(".part.npz")
    np.savez(unfinished, **vars(views))  # noqa: TID251 - training material, not a session
    unfinished.rename(path)


def learn_basis(chunks: list[Path], teacher: Path, path: Path, seed: int, pixels: int) -> None:
    """Find the principal components of what the teacher sees in some views."""
    pictures, _ = drawn(chunks, seed, BASIS_VIEWS, pixels)
    Basis.of(Pair(teacher).judge(pictures).maps).save(path)


def drawn(
    chunks: list[Path], seed: int, count: int, pixels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`count` views, and the margin that is learnt of each whatever the teacher says, or 0."""
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
        gentle = bool(known[place]) or random.random() < GENTLE
        view = view_of(pool[place], pixels, gentle, random)
        kind = random.random()
        if known[place]:
            pinned[n] = KNOWN_MARGIN if live[place] else -KNOWN_MARGIN
        elif kind < MIXED + PATCHED:
            other = view_of(pool[random.choice(real)], pixels, False, random)
            view = _mixed(view, other, random) if kind < MIXED else _patched(view, other, random)
        pictures[n] = np.clip(view, 0, 255).astype(np.uint8)
    return pictures, pinned


def _mixed(one: Picture, other: Picture, random: Random) -> Picture:
    share = np.float32(random.uniform(0.05, 0.95))
    return share * one + (1 - share) * other


def _patched(one: Picture, other: Picture, random: Random) -> Picture:
    pixels = one.shape[0]
    left, right = np.sort(random.integers(0, pixels + 1, 2))
    top, bottom = np.sort(random.integers(0, pixels + 1, 2))
    view = one.copy()
    view[top:bottom, left:right] = other[top:bottom, left:right]
    return view
