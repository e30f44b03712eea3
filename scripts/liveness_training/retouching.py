"""What may happen to a view before the teacher sees it: parts, light, colour, resolution, coding, stripes,
another picture over it or around it. Much stronger than any camera, for views only have to be varied.

Pictures are float32 [p, p, 3], RGB about 0..255; all chance comes from the generator that is given.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera_model import Picture, Random, coded, moved, sharpened


def turned(x: NDArray[np.uint8], random: Random) -> NDArray[np.uint8]:
    """Rotated by some degrees about the middle."""
    height, width = x.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.normal(0, 20), 1.0)
    leant = cv2.warpAffine(np.ascontiguousarray(x), turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(leant, np.uint8)


def part(x: NDArray[np.uint8], smallest: float, random: Random) -> NDArray[np.uint8]:
    """A part of it, `smallest` of its sides at least, with a slightly other shape."""
    height, width = x.shape[:2]
    share = random.uniform(smallest, 1.0)
    wide, tall = (int(n * min(1.0, share * np.exp(random.normal(0, 0.12)))) for n in (width, height))
    left, top = int(random.integers(0, width - wide + 1)), int(random.integers(0, height - tall + 1))
    return x[top : top + tall, left : left + wide]


def filmed_again(x: Picture, random: Random) -> Picture:
    """Light, colours, contrast, sharpness, resolution, stripes, noise, JPEG: each now and then."""
    if random.random() < 0.25:
        x = _coarse(x, random)
    x = _lit(x, random)
    if random.random() < 0.25:
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.3, 1.3))
    elif random.random() < 0.08:
        x = moved(x, random)
    if random.random() < 0.2:
        x = sharpened(x, random.uniform(0.2, 1.2), 1.0)
    if random.random() < 0.12:
        x = _striped(x, random)
    if random.random() < 0.3:
        x = x + random.normal(0, random.uniform(1, 9), x.shape).astype(np.float32)
    if random.random() < 0.08:
        x = np.asarray(cv2.medianBlur(np.clip(x, 0, 255).astype(np.uint8), 3), np.float32)
    return _coded(x, random) if random.random() < 0.3 else np.clip(x, 0, 255)


def _lit(x: Picture, random: Random) -> Picture:
    if random.random() < 0.6:
        gain = np.exp(random.normal(0, 0.25)) * np.exp(random.normal(0, 0.08, 3))
        x = x * gain.astype(np.float32)
    if random.random() < 0.2:
        v, u = np.mgrid[-1 : 1 : x.shape[0] * 1j, -1 : 1 : x.shape[1] * 1j]
        x = x * np.exp(u * random.normal(0, 0.25) + v * random.normal(0, 0.25)).astype(np.float32)[..., None]
    if random.random() < 0.3:
        x = x @ (np.eye(3) + random.normal(0, 0.07, (3, 3))).astype(np.float32)
    if random.random() < 0.3:
        x = 255 * np.clip(x / 255, 0, 1) ** np.float32(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.3:
        x = x.mean() + (x - x.mean()) * np.float32(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.15:
        grey = (x @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
        x = grey + (x - grey) * np.float32(random.choice([0.0, random.uniform(0, 0.8)]))
    return np.asarray(x, np.float32)


def _coarse(x: Picture, random: Random) -> Picture:
    """As a crop of few pixels that was scaled up, often after it had been coded."""
    side = x.shape[0]
    few = int(random.integers(26, side - 4))
    small = cv2.resize(x, (few, few), interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        small = _coded(small, random)
    how = cv2.INTER_LINEAR if random.random() < 0.6 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (side, side), interpolation=how), np.float32)


def _striped(x: Picture, random: Random) -> Picture:
    """Waves over it, as a screen's grid or its refresh leave them, each colour with a phase of its own."""
    v, u = np.mgrid[0 : x.shape[0], 0 : x.shape[1]].astype(np.float32)
    angle, waves = random.uniform(0, np.pi), np.exp(random.uniform(np.log(1.5), np.log(35)))
    along = (u * np.cos(angle) + v * np.sin(angle)) * (2 * np.pi * waves / x.shape[0])
    phase = random.uniform(0, 2 * np.pi) + random.uniform(0, 1) * np.array([0.0, 2.1, 4.2])
    wave = np.sin(along[..., None] + phase.astype(np.float32))
    return np.asarray(x * (1 + np.float32(random.exponential(0.05)) * wave), np.float32)


def _coded(x: Picture, random: Random) -> Picture:
    return coded(x, ".jpg", cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 95)))


def mixed(one: Picture, other: Picture, random: Random) -> Picture:
    """Both laid over each other."""
    share = np.float32(random.uniform(0.05, 0.95))
    return share * one + (1 - share) * other


def patched(one: Picture, other: Picture, random: Random) -> Picture:
    """A rectangle of the other."""
    pixels = one.shape[0]
    left, right = np.sort(random.integers(0, pixels + 1, 2))
    top, bottom = np.sort(random.integers(0, pixels + 1, 2))
    view = one.copy()
    view[top:bottom, left:right] = other[top:bottom, left:right]
    return view


def surrounded(one: Picture, other: Picture, random: Random) -> Picture:
    """The middle of one, with a soft or a hard rim, in the other."""
    pixels = one.shape[0]
    mask = np.zeros((pixels, pixels), np.float32)
    middle = tuple(int(v) for v in pixels / 2 + random.normal(0, 0.04 * pixels, 2))
    half = tuple(int(v * pixels) for v in (random.uniform(0.15, 0.4), random.uniform(0.2, 0.48)))
    if random.random() < 0.6:
        cv2.ellipse(mask, middle, half, random.normal(0, 10), 0, 360, 1.0, -1)
    else:
        corner, opposite = np.subtract(middle, half), np.add(middle, half)
        cv2.rectangle(mask, corner.tolist(), opposite.tolist(), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.3, 4.0))[..., None]
    return np.asarray(one * mask + other * (1 - mask), np.float32)


def invented(pixels: int, random: Random) -> Picture:
    """No picture of anything: shapes that cover each other (dead leaves), whose edges and sizes are spread as
    in photographs. Source: A. Lee, D. Mumford, J. Huang, IJCV 41 (2001) 35."""
    x = np.empty((pixels, pixels, 3), np.float32)
    x[:] = random.uniform(10, 245, 3)
    tone = random.uniform(30, 225, 3)
    for _ in range(int(random.integers(4, 50))):
        colour = (tone + random.normal(0, 55, 3)).clip(0, 255).tolist()
        at = random.integers(0, pixels, 2).tolist()
        size = np.exp(random.uniform(np.log(2), np.log(pixels / 2), 2)).astype(int)
        if random.random() < 0.5:
            cv2.ellipse(x, at, size.tolist(), random.uniform(0, 180), 0, 360, colour, -1)
        else:
            cv2.fillPoly(x, [np.asarray(at + random.normal(0, 1, (4, 2)) * size, np.int32)], colour)
    rough = cv2.resize(
        random.normal(0, random.exponential(12), (int(random.integers(3, pixels)),) * 2 + (1,)).astype(
            np.float32
        ),
        (pixels, pixels),
    )
    return np.asarray(cv2.GaussianBlur(x + rough[..., None], (0, 0), random.uniform(0.3, 2.0)), np.float32)
