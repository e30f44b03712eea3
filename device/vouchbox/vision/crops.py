"""Cuts the two squares that the passive test looks at: the face close, and the face with its surroundings.

Both are upright parts of the frame as it is. A square that would leave the frame is shifted inside, and one
that is larger than the frame is made smaller; no border pixel is ever invented, for a network would learn to
read it. The crops lie in scratch memory of the session's ring and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from vouchbox.camera.source import Image
from vouchbox.vision.observation import Box
from vouchbox.vision.scratch import Scratch

CLOSE = 1.2
"""Side of the close crop in units of the face box's larger side: skin, eyes, the rim of the face."""

CONTEXT = 2.7
"""Side of the wide crop: edges of paper, bezels of screens and hands show here."""

SAMPLING = 1.4
"""A crop is sampled at so many times its final side and averaged down from there: sampling alone would alias,
averaging the whole square would smooth away the grain of skin, paper and screens."""

SMALLEST_PX = 16
"""A square of fewer pixels tells nothing, and is not cut."""


@dataclass(frozen=True, slots=True)
class Square:
    """An upright square inside the frame, in whole pixels."""

    left: int
    top: int
    side: int


def square_around(box: Box, times: float, width: int, height: int) -> Square | None:
    """The square of `times` the box's larger side around its middle, inside a frame of `width` x `height`;
    None for a box that is no rectangle, whose middle lies outside the frame, or that is too small."""
    edges = (box.left, box.top, box.right, box.bottom)
    if not all(math.isfinite(edge) for edge in edges):
        return None
    x, y = (box.left + box.right) / 2.0, (box.top + box.bottom) / 2.0
    larger = max(box.right - box.left, box.bottom - box.top)
    if not (0.0 <= x < width and 0.0 <= y < height) or min(box.right - box.left, box.bottom - box.top) <= 0:
        return None
    side = min(round(times * larger), width, height)
    if side < SMALLEST_PX:
        return None
    left = min(max(round(x - side / 2.0), 0), width - side)
    top = min(max(round(y - side / 2.0), 0), height - side)
    return Square(left, top, side)


def sampled_side(pixels: int) -> int:
    """Side of what is sampled for a crop of `pixels`."""
    return round(SAMPLING * pixels)


def sample(frame: Image, square: Square, into: Image) -> None:
    """Write the pixels of `square`, sampled bilinearly, into `into`, which is square and of any size."""
    part = frame[square.top : square.top + square.side, square.left : square.left + square.side]
    cv2.resize(part, into.shape[:2], dst=into, interpolation=cv2.INTER_LINEAR)


class FaceCrops:
    """The two crops of one face, each `pixels` x `pixels` x 3, RGB, in `scratch`."""

    def __init__(self, scratch: Scratch, pixels: int) -> None:
        self._pixels = pixels
        side = sampled_side(pixels)
        self._sampled: Image = scratch("passive-sampled", (side, side, 3), np.uint8)
        self.close: Image = scratch("passive-close", (pixels, pixels, 3), np.uint8)
        self.context: Image = scratch("passive-context", (pixels, pixels, 3), np.uint8)
        self._mirrored: Image = scratch("passive-mirrored", (pixels, pixels, 3), np.uint8)

    def mirrored(self, crop: Image) -> Image:
        """One of the crops with left and right swapped; valid until the next call."""
        cv2.flip(crop, 1, dst=self._mirrored)
        return self._mirrored

    def cut(self, frame: Image, box: Box) -> bool:
        """Write both crops of the face in `box`; False, and nothing written, where a square can't be cut."""
        height, width = frame.shape[:2]
        near, wide = (square_around(box, times, width, height) for times in (CLOSE, CONTEXT))
        if near is None or wide is None:
            return False
        for square, into in ((near, self.close), (wide, self.context)):
            sample(frame, square, self._sampled)
            cv2.resize(self._sampled, (self._pixels, self._pixels), dst=into, interpolation=cv2.INTER_AREA)
        return True
