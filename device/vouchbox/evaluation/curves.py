"""What scores of two classes say together: area under the curve, DET curve, equal error rate, thresholds.

Pure numbers in, pure numbers out. A score is higher for what looks more bona fide; a presentation is
taken as bona fide when its score reaches the threshold. APCER is the share of attacks that reach it, BPCER
the share of bona fide presentations that do not (ISO/IEC 30107-3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Det:
    """One point for each threshold that changes anything, ascending; the last one, infinity, refuses all.
    Arrays of one length; APCER falls from 1 to 0, BPCER rises from 0 to 1."""

    thresholds: NDArray[np.float64]
    apcer: NDArray[np.float64]
    bpcer: NDArray[np.float64]


def area(bona_fide: Scores, attacks: Scores) -> float | None:
    """The chance that a bona fide score lies above an attack's, a tie counting half (Mann and Whitney 1947);
    None where a class is empty."""
    good, bad = _sorted(bona_fide), _sorted(attacks)
    if not good.size or not bad.size:
        return None
    below = np.searchsorted(bad, good, "left").sum()
    not_above = np.searchsorted(bad, good, "right").sum()
    return float((below + not_above) / (2.0 * good.size * bad.size))


def det(bona_fide: Scores, attacks: Scores) -> Det | None:
    """The DET curve; None where a class is empty."""
    good, bad = _sorted(bona_fide), _sorted(attacks)
    if not good.size or not bad.size:
        return None
    thresholds = np.append(np.unique(np.concatenate([good, bad])), np.inf)
    bpcer = np.searchsorted(good, thresholds, "left") / good.size
    apcer = 1.0 - np.searchsorted(bad, thresholds, "left") / bad.size
    return Det(thresholds, apcer, bpcer)


def equal_error(curve: Det) -> float:
    """The error rate at which APCER and BPCER meet, on the straight line between the two neighbouring
    points of the curve."""
    gap = curve.apcer - curve.bpcer
    after = int(np.argmax(gap <= 0.0))
    if after == 0 or gap[after] == 0.0:
        return float(curve.apcer[after] + curve.bpcer[after]) / 2.0
    before = after - 1
    part = gap[before] / (gap[before] - gap[after])
    return float(curve.bpcer[before] + part * (curve.bpcer[after] - curve.bpcer[before]))


def threshold_for(bona_fide: Scores, bpcer_limit: float) -> float | None:
    """The highest threshold at which BPCER is at most `bpcer_limit` (0..1); None without a score.

    It is one of the bona fide scores. Chosen and measured on the same scores it flatters a little.
    """
    good = _sorted(bona_fide)
    if not good.size:
        return None
    # A hair is added so that 0.05 of 20 is one refusal and not, for want of a bit, none.
    refused = min(int(bpcer_limit * good.size + 1e-9), good.size - 1)
    return float(good[refused])


def reaching(scores: Scores, threshold: float) -> int:
    """How many scores are at least `threshold`."""
    return int((np.asarray(scores, np.float64) >= threshold).sum())


def _sorted(scores: Scores) -> NDArray[np.float64]:
    values = np.sort(np.asarray(scores, np.float64))
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    return values
