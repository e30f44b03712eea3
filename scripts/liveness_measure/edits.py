"""Clips that were tampered with, made from real ones: cut, looped, frozen, and a still picture.

Each edited clip is seen through a camera anew (fresh sensor noise), except where it is injected bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from liveness_measure.watching import Grain, Timed
from vouchbox.camera.source import Image

NOISE = 1.5


def cut(pictures: list[Image], rate: float, left_out_s: float) -> list[Image]:
    """The first half, then on from a place `left_out_s` later."""
    half = (len(pictures) - round(left_out_s * rate)) // 2
    return pictures[:half] + pictures[half + round(left_out_s * rate) :]


def spliced(pictures: list[Image], others: list[Image]) -> list[Image]:
    """The first half of one clip, then half of another one."""
    return pictures[: len(pictures) // 2] + others[len(others) // 2 :]


def looped(pictures: list[Image], rate: float, period_s: float) -> list[Image]:
    """The first `period_s` three times over."""
    return pictures[: round(period_s * rate)] * 3


def frozen(pictures: list[Image], rate: float, still_s: float) -> list[Image]:
    """In the middle one picture stays for `still_s`."""
    half = len(pictures) // 2
    return pictures[:half] + [pictures[half]] * round(still_s * rate) + pictures[half:]


def replayed(pictures: list[Image], rate: float, noise: float, seed: int) -> Iterator[Timed]:
    """`pictures` before a camera with `noise` (standard deviation, 0: injected bit by bit)."""
    random = np.random.default_rng(seed)
    grain = Grain(noise, pictures[0].shape, random)
    for number, picture in enumerate(pictures):
        yield number / rate, grain.over(picture) if noise > 0.0 else picture
