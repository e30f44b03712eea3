"""The D-sys measure of Gomez-Barrero et al., "General Framework to Evaluate Unlinkability in Biometric
Template Protection Systems", IEEE TIFS 13 (2018) 1406. Pure numbers.

A linkage function gives a score to two templates that were protected with different keys. Mated pairs stem
from one person, non-mated ones from two. D_sys is 0 where the two kinds of score can't be told apart at any
value and 1 where each value gives the answer away. Densities are histograms, so a finite sample never comes
out as exactly 0: compare with `chance`, the same measure after the labels were shuffled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 50


def d_sys(mated: Floats, non_mated: Floats, bins: int = BINS) -> float:
    """D_sys with equal priors (omega = 1): equations 5 and 6 of the paper."""
    edges = np.histogram_bin_edges(np.concatenate((mated, non_mated)), bins)
    p_mated = np.histogram(mated, edges)[0] / mated.size
    p_non_mated = np.histogram(non_mated, edges)[0] / non_mated.size
    total = p_mated + p_non_mated
    local = np.divide(p_mated - p_non_mated, total, out=np.zeros(bins), where=total > 0)
    return float((np.clip(local, 0, None) * p_mated).sum())


def chance(mated: Floats, non_mated: Floats, rng: np.random.Generator, bins: int = BINS) -> float:
    """D_sys of the same scores under shuffled labels: what the size of the sample alone makes of 0."""
    scores = rng.permutation(np.concatenate((mated, non_mated)))
    return d_sys(scores[: mated.size], scores[mated.size :], bins)


def cosine(first: Floats, second: Floats) -> Floats:
    """Row by row."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    result: Floats = (first * second).sum(axis=1) / lengths
    return result


def ordered(first: Floats, second: Floats) -> Floats:
    """Cosine of the sorted values: what a mere change of places would leave."""
    return cosine(np.sort(first, axis=1), np.sort(second, axis=1))


def aligned(first: Floats, second: Floats, corpus_a: Floats, corpus_b: Floats) -> Floats:
    """The attack of someone who holds many templates of both parties, but no key.

    A rotation keeps the shape of the cloud that all templates form: its mean, its principal axes and its
    skewness along each of them. Both clouds are turned to their own axes, the signs are set by the skewness,
    and then plain cosines are taken.
    """
    result: Floats = cosine(_to_own_axes(first, corpus_a), _to_own_axes(second, corpus_b))
    return result


def _to_own_axes(rows: Floats, corpus: Floats) -> Floats:
    mean = corpus.mean(axis=0)
    centred = corpus - mean
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    along = centred @ axes.T
    signs = np.sign((along**3).mean(axis=0))
    result: Floats = (rows - mean) @ axes.T * np.where(signs == 0, 1, signs)
    return result
