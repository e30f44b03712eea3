"""The statistics of one-to-one comparison, pure numbers: pairs, accuracy, false match rates, thresholds.

Terms of ISO/IEC 19795-1: FMR is the share of pairs of different persons that match, TMR (1 - FNMR) the share
of pairs of one person that match. A score is a cosine, higher is more alike; it matches at or above a
threshold.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pairs = NDArray[np.int64]

FOLDS = 10
_BINS = 20_000
"""Of the cosine's range -1..1: thresholds are exact to 1e-4."""


@dataclass(frozen=True)
class Drawn:
    """Index pairs [n, 2] of one person and of two."""

    same: Pairs
    different: Pairs


def draw_pairs(persons: list[str], each: int, seed: int) -> Drawn:
    """`each` pairs of both kinds, none twice. A person is drawn first and then the pictures, so that
    often photographed persons do not rule the figure."""
    rng = np.random.default_rng(seed)
    pictures: dict[str, list[int]] = defaultdict(list)
    for k, person in enumerate(persons):
        pictures[person].append(k)
    names = sorted(pictures)
    several = [name for name in names if len(pictures[name]) > 1]
    same: set[tuple[int, int]] = set()
    while len(same) < each:
        a, b = rng.choice(pictures[several[rng.integers(len(several))]], 2, replace=False)
        same.add((int(min(a, b)), int(max(a, b))))
    different: set[tuple[int, int]] = set()
    while len(different) < each:
        one, other = rng.choice(len(names), 2, replace=False)
        different.add((int(rng.choice(pictures[names[one]])), int(rng.choice(pictures[names[other]]))))
    return Drawn(np.array(sorted(same)), np.array(sorted(different)))


def scores(embeddings: NDArray[np.float32], pairs: Pairs) -> Floats:
    """Cosines of L2-normalised embeddings [n, 128]."""
    cosines: Floats = (embeddings[pairs[:, 0]] * embeddings[pairs[:, 1]]).sum(axis=1, dtype=np.float64)
    return cosines


def fold_accuracy(same: Floats, different: Floats, seed: int) -> tuple[int, int]:
    """Right decisions and all decisions over FOLDS folds; each fold is judged with the threshold that is best
    on the other folds."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([same, different])
    truth = np.concatenate([np.ones(same.size, bool), np.zeros(different.size, bool)])
    fold = rng.permutation(values.size) % FOLDS
    right = 0
    for k in range(FOLDS):
        threshold = _best_threshold(values[fold != k], truth[fold != k])
        right += int(((values[fold == k] >= threshold) == truth[fold == k]).sum())
    return right, int(values.size)


def _best_threshold(values: Floats, truth: NDArray[np.bool_]) -> float:
    order = np.argsort(values)
    ordered, same = values[order], truth[order]
    # At cut k everything from k on matches: right are the different below and the same from k on.
    right = np.concatenate([[0], np.cumsum(~same)]) + np.concatenate([np.cumsum(same[::-1])[::-1], [0]])
    cut = int(np.argmax(right))
    if cut in (0, values.size):
        return float(ordered[0] if cut == 0 else ordered[-1] + 1e-9)
    return float((ordered[cut - 1] + ordered[cut]) / 2)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson, JASA 22 (1927) 209)."""
    z = 1.959964
    share = right / total
    middle = share + z**2 / (2 * total)
    spread = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    low, high = (middle - spread) / (1 + z**2 / total), (middle + spread) / (1 + z**2 / total)
    # For none or all right a bound is the share itself; floating point would put it a hair inside.
    return float(min(low, share)), float(max(high, share))


def area_under_curve(same: Floats, different: Floats) -> float:
    """The chance that a pair of one person scores higher than a pair of two."""
    ordered = np.sort(different)
    below = np.searchsorted(ordered, same, "left") + np.searchsorted(ordered, same, "right")
    return float(below.mean() / (2 * ordered.size))


def true_match_rate(same: Floats, different: Floats, fmr: float) -> float:
    """TMR at the lowest threshold whose FMR on `different` is at most `fmr`."""
    allowed = int(fmr * different.size)
    strictest = np.sort(different)[::-1][allowed]
    return float((same > strictest).mean())


@dataclass(frozen=True)
class CrossScores:
    """All pairs of different persons: how many, and their cosines as counts per bin."""

    pairs: int
    counts: NDArray[np.int64]

    def threshold(self, fmr: float) -> float:
        """The lowest cosine (to 1e-4, rounded up) whose false match rate is at most `fmr`."""
        above = np.cumsum(self.counts[::-1])[::-1]
        cut = int(np.argmax(above <= fmr * self.pairs))
        return round(-1 + cut * 2 / _BINS, 4)


def all_cross_scores(embeddings: NDArray[np.float32], persons: list[str], block: int = 512) -> CrossScores:
    """Cosines of every pair of different persons."""
    _, labels = np.unique(persons, return_inverse=True)
    counts = np.zeros(_BINS + 1, np.int64)
    for start in range(0, len(embeddings), block):
        cosines = embeddings[start : start + block] @ embeddings[start:].T
        rows = np.arange(start, min(start + block, len(embeddings)))
        later = np.arange(start, len(embeddings))[None, :] > rows[:, None]
        wanted = later & (labels[rows][:, None] != labels[start:][None, :])
        bins = np.clip(np.floor((cosines[wanted] + 1) * (_BINS / 2)), 0, _BINS).astype(np.int64)
        counts += np.bincount(bins, minlength=_BINS + 1)
    return CrossScores(int(counts.sum()), counts)
