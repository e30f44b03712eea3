"""Makes more of few persons: other backgrounds, shapes and colours, before a frame is used as bona fide or
shown on a medium. Both classes come from the same varied frames; the teacher sees them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera_model import Picture, Random, blur
from .material import Sight

KEYED = "grid_"
"""Persons before a screen of one colour, whose background can be replaced."""

AROUND = 2.6
"""How much is kept on each side of the face's middle, in box sides."""


def varied(sight: Sight, others: Sequence[Sight], random: Random) -> Sight:
    """The sight, or a variation of it."""
    sight = _near(sight)
    if sight.row.person.startswith(KEYED) and random.random() < 0.7:
        sight = _elsewhere(sight, others[random.integers(len(others))], random)
    if random.random() < 0.7:
        sight = _reshaped(sight, random)
    if random.random() < 0.5:
        sight = _recoloured(sight, random)
    return sight


def _near(sight: Sight) -> Sight:
    """Only the part of the frame that any crop can need."""
    left, top, right, bottom = sight.box
    reach = AROUND * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    height, width = sight.frame.shape[:2]
    x0, y0 = max(int(x - reach), 0), max(int(y - reach), 0)
    x1, y1 = min(int(x + reach) + 1, width), min(int(y + reach) + 1, height)
    box = (left - x0, top - y0, right - x0, bottom - y0)
    return replace(sight, frame=np.ascontiguousarray(sight.frame[y0:y1, x0:x1]), box=box, landmarks=None)


def _elsewhere(sight: Sight, other: Sight, random: Random) -> Sight:
    """The person before another wall or in another room."""
    picture = sight.frame.astype(np.float32)
    alpha = _person(picture)[..., None]
    height, width = picture.shape[:2]
    if random.random() < 0.4:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        ramp = 1 + random.normal(0, 0.3) * (x / width - 0.5) + random.normal(0, 0.3) * (y / height - 0.5)
        behind: Picture = (random.uniform(20, 230, 3) * ramp[..., None]).astype(np.float32)
        for _ in range(int(random.integers(0, 6))):
            a, b = np.sort(random.integers(0, width, 2))
            c, d = np.sort(random.integers(0, height, 2))
            behind[c:d, a:b] = random.uniform(10, 240, 3)
    else:
        tall, wide = other.frame.shape[:2]
        part_w, part_h = int(wide * random.uniform(0.4, 1.0)), int(tall * random.uniform(0.4, 1.0))
        x0, y0 = int(random.integers(0, wide - part_w + 1)), int(random.integers(0, tall - part_h + 1))
        part = other.frame[y0 : y0 + part_h, x0 : x0 + part_w]
        behind = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        behind *= np.float32(np.exp(random.normal(0, 0.3)))
    behind = blur(behind, random.exponential(1.5))
    # The screen's colour that shines on hair and shoulders goes with the screen.
    mixed = picture * alpha + behind * (1 - alpha)
    return replace(sight, frame=np.clip(mixed, 0, 255).astype(np.uint8))


def _person(picture: Picture) -> NDArray[np.float32]:
    """How much of each pixel is the person, 0..1: what differs in colour from the screen in the corners."""
    lab = cv2.cvtColor(np.clip(picture, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)[..., 1:]
    height, width = lab.shape[:2]
    corner = (slice(0, height // 8 + 1), slice(0, width // 8 + 1))
    opposite = (slice(0, height // 8 + 1), slice(width - width // 8 - 1, width))
    screen = np.median(np.concatenate([lab[corner].reshape(-1, 2), lab[opposite].reshape(-1, 2)]), axis=0)
    away = np.linalg.norm(lab - screen, axis=2)
    alpha = np.clip((away - 9.0) / 12.0, 0, 1).astype(np.float32)
    closed = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    return np.asarray(blur(cv2.medianBlur(closed, 5), 0.8), np.float32)


def _reshaped(sight: Sight, random: Random) -> Sight:
    """A smooth warp: wider, longer, with other proportions, as another person's face would be."""
    height, width = sight.frame.shape[:2]
    left, top, right, bottom = sight.box
    side = max(right - left, bottom - top)
    nodes = max(3, round(2.2 * max(height, width) / side))
    field = random.normal(0, 0.045 * side, (nodes, nodes, 2)).astype(np.float32)
    shift = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = (left + right) / 2, (top + bottom) / 2
    broad = float(np.exp(random.normal(0, 0.07)))
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    from_x = (x + (u - x) / broad + shift[..., 0]).astype(np.float32)
    from_y = (y + (v - y) * broad + shift[..., 1]).astype(np.float32)
    frame = cv2.remap(sight.frame, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    at = shift[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]
    half_w, half_h = (right - left) / 2 * broad, (bottom - top) / 2 / broad
    x, y = x - float(at[0]), y - float(at[1])
    return replace(
        sight, frame=np.asarray(frame, np.uint8), box=(x - half_w, y - half_h, x + half_w, y + half_h)
    )


def _recoloured(sight: Sight, random: Random) -> Sight:
    """Other skin, hair and light: the colours mixed a little, and darker or lighter."""
    mix = np.eye(3) + random.normal(0, 0.055, (3, 3))
    tone = np.exp(random.normal(0, 0.25))
    x = (sight.frame / np.float32(255.0)) @ mix.T.astype(np.float32)
    x = np.clip(x, 0, 1) ** np.float32(tone)
    return replace(sight, frame=(x * 255.0).astype(np.uint8))
