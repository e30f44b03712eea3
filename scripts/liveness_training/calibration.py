"""Weighs both logits of both crops and sets the operating point of a trained int8 file, on real data that
influenced no weight of the network. Pure: arrays in, figures out.

The pooled logit of a clip is the mean over its frames of clip(weights * logits + offset). The offset
puts its zero so that at most BPCER of the bona fide clips fall below, and a little lower: ROOM of the way
down to the attacks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vouchbox.vision.passive import CLIP

BPCER = 0.05

ROOM = 0.25
"""How far down to the attacks the threshold may go. Half would leave more room for people than they need, and
would let a quarter of the films pass that are played on cue on a simulated phone."""

LOGITS = 4
"""Of the close crop the first and the second, of the wide crop the first and the second."""

PARTS = 10
"""Every weighting is tried that gives each of the four logits a whole number of so many parts."""


@dataclass(frozen=True)
class Said:
    """Raw logits [n, 4] of frames, the presentation each belongs to [n], and whether it is bona fide [n]."""

    logits: NDArray[np.float64]
    paths: NDArray[np.str_]
    live: NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """A weight for each of the four logits, and an offset for each crop."""

    weight: tuple[float, ...]
    offset: tuple[float, float]


def pooled(said: Said, calibration: Calibration) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The pooled logit and the label of every presentation, in the order of their sorted paths."""
    frames = np.clip(said.logits @ np.array(calibration.weight) + sum(calibration.offset), -CLIP, CLIP)
    _, first, which = np.unique(said.paths, return_index=True, return_inverse=True)
    sums = np.bincount(which, frames) / np.bincount(which)
    return sums, said.live[first]


def area(scores: NDArray[np.float64], live: NDArray[np.int64]) -> float:
    """Area under the ROC curve: how often a bona fide presentation scores above an attack."""
    good, bad = scores[live == 1], scores[live == 0]
    return float(((good[:, None] > bad) + 0.5 * (good[:, None] == bad)).mean())


def calibrate(videos: Said, others: tuple[Said, ...]) -> Calibration:
    """Weights by the mean area over `videos` and each of `others`, offset by the videos."""
    best, found = -1.0, Calibration((1.0 / LOGITS,) * LOGITS, (0.0, 0.0))
    for parts in itertools.product(range(PARTS + 1), repeat=LOGITS):
        if sum(parts) != PARTS:
            continue
        tried = Calibration(tuple(part / PARTS for part in parts), (0.0, 0.0))
        areas = [area(*pooled(videos, tried)), *(area(*pooled(o, tried)) for o in others)]
        score = float(np.mean(areas))
        if score > best + 1e-6:
            best, found = score, tried
    scores, live = pooled(videos, found)
    good, bad = np.sort(scores[live == 1]), np.sort(scores[live == 0])
    allowed = int(np.floor(BPCER * len(good)))
    # The strictest threshold that still keeps BPCER, and some of the way from there down to the attacks.
    limit = float(good[allowed])
    below = bad[bad < limit]
    threshold = limit - ROOM * (limit - float(below[-1])) if len(below) else limit - 0.5
    offset = -threshold / 2
    return Calibration(found.weight, (offset, offset))
