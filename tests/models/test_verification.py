"""The statistics of comparison give the answers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_factory import verification


def test_pairs_are_of_the_kind_they_claim_and_none_comes_twice() -> None:
    persons = [f"person {k // 4}" for k in range(80)]
    drawn = verification.draw_pairs(persons, 60, seed=1)
    assert all(persons[a] == persons[b] and a < b for a, b in drawn.same)
    assert all(persons[a] != persons[b] for a, b in drawn.different)
    assert len({tuple(pair) for pair in drawn.same}) == len({tuple(pair) for pair in drawn.different}) == 60


def test_the_same_seed_draws_the_same_pairs() -> None:
    persons = [f"person {k // 3}" for k in range(60)]
    one, again, other = (verification.draw_pairs(persons, 20, seed) for seed in (4, 4, 5))
    assert np.array_equal(one.same, again.same)
    assert not np.array_equal(one.different, other.different)


def test_perfect_scores_are_all_right_and_useless_ones_are_half_right() -> None:
    high, low = np.linspace(0.8, 0.9, 500), np.linspace(0.1, 0.2, 500)
    assert verification.fold_accuracy(high, low, seed=1) == (1000, 1000)
    assert verification.area_under_curve(high, low) == 1.0
    assert verification.area_under_curve(high, high) == pytest.approx(0.5)
    # Drawn apart: with the very same values in both, each fold would mirror the threshold of the others.
    some, others = np.random.default_rng(2).normal(size=(2, 4000))
    right, total = verification.fold_accuracy(some, others, seed=1)
    assert right / total == pytest.approx(0.5, abs=0.03)


def test_the_true_match_rate_leaves_exactly_the_allowed_false_matches() -> None:
    different = np.arange(1000) / 1000
    assert verification.true_match_rate(np.array([0.98, 0.985, 0.995, 0.5]), different, 0.01) == 0.25
    assert (different > 0.989).sum() == 10


def test_the_wilson_interval_is_the_published_one() -> None:
    assert verification.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_wilson_interval_holds_the_share(right: int, more: int) -> None:
    low, high = verification.wilson_interval(right, right + more)
    assert low <= right / (right + more) <= high


def test_a_threshold_keeps_its_false_match_rate_over_all_pairs() -> None:
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    persons = [f"person {k // 2}" for k in range(300)]
    cross = verification.all_cross_scores(vectors, persons, block=64)
    pairs = [(a, b) for a in range(300) for b in range(a + 1, 300) if persons[a] != persons[b]]
    cosines = [float(vectors[a] @ vectors[b]) for a, b in pairs]
    assert cross.pairs == len(cosines)
    for rate in (0.1, 0.01, 0.001):
        threshold = cross.threshold(rate)
        assert np.mean(np.array(cosines) >= threshold) <= rate
        assert np.mean(np.array(cosines) >= threshold - 0.005) > rate / 2
