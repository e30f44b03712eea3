"""Rates and curves agree with their definitions, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.evaluation import curves
from vouchbox.evaluation.rates import Rate, clopper_pearson

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no defect of the arithmetic."""

SCORES = st.lists(st.integers(0, 12).map(lambda n: n / 12), min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (10, 10, 0.6915, 1.0),
        (0, 7, 0.0, 0.4096),
        (0, 0, 0.0, 1.0),
    ],
)
def test_intervals_are_those_of_clopper_and_pearson(hits: int, tries: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, tries) == pytest.approx((low, high), abs=1e-4)


def test_a_rate_without_a_try_is_no_zero() -> None:
    assert Rate.of(0, 0).rate is None
    with pytest.raises(ValueError, match="3 hits of 2 tries"):
        Rate.of(3, 2)


@UNTIMED
@given(SCORES, SCORES)
def test_the_area_is_the_share_of_pairs_in_order(good: list[float], bad: list[float]) -> None:
    pairs = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
    assert curves.area(good, bad) == pytest.approx(np.mean(pairs))


@UNTIMED
@given(SCORES, SCORES)
def test_every_point_of_the_curve_is_what_its_threshold_does(good: list[float], bad: list[float]) -> None:
    curve = curves.det(good, bad)
    assert curve is not None
    for threshold, apcer, bpcer in zip(curve.thresholds, curve.apcer, curve.bpcer, strict=True):
        assert apcer == pytest.approx(sum(b >= threshold for b in bad) / len(bad))
        assert bpcer == pytest.approx(sum(g < threshold for g in good) / len(good))
    assert (curve.apcer[0], curve.bpcer[0], curve.apcer[-1], curve.bpcer[-1]) == (1.0, 0.0, 0.0, 1.0)


@UNTIMED
@given(SCORES, SCORES)
def test_the_equal_error_rate_lies_between_neighbouring_points(good: list[float], bad: list[float]) -> None:
    curve = curves.det(good, bad)
    assert curve is not None
    rate = curves.equal_error(curve)
    highest_below = max(min(a, b) for a, b in zip(curve.apcer, curve.bpcer, strict=True))
    lowest_above = min(max(a, b) for a, b in zip(curve.apcer, curve.bpcer, strict=True))
    assert highest_below - 1e-9 <= rate <= lowest_above + 1e-9


def test_the_equal_error_rate_of_known_scores() -> None:
    good, bad = [0.9, 0.8, 0.7, 0.2], [0.1, 0.15, 0.3, 0.75]
    curve = curves.det(good, bad)
    assert curve is not None
    assert curves.equal_error(curve) == pytest.approx(0.25)
    parted = curves.det([0.9], [0.1])
    assert parted is not None
    assert curves.equal_error(parted) == 0.0
    swapped = curves.det([0.1], [0.9])
    assert swapped is not None
    assert curves.equal_error(swapped) == 1.0


@UNTIMED
@given(SCORES, st.sampled_from([0.0, 0.05, 0.1, 0.5]))
def test_the_threshold_for_a_bpcer_keeps_it_and_no_higher_one_would(good: list[float], limit: float) -> None:
    threshold = curves.threshold_for(good, limit)
    assert threshold is not None
    refused = len(good) - curves.reaching(good, threshold)
    assert refused <= limit * len(good) + 1e-9
    higher = [g for g in good if g > threshold]
    if higher:
        assert len(good) - curves.reaching(good, min(higher)) > limit * len(good)


def test_one_refusal_in_twenty_is_five_per_cent() -> None:
    assert curves.threshold_for([n / 100 for n in range(20)], 0.05) == 0.01


def test_a_missing_class_gives_no_figure_and_no_number_is_refused() -> None:
    assert curves.area([], [0.5]) is None
    assert curves.det([0.5], []) is None
    assert curves.threshold_for([], 0.05) is None
    with pytest.raises(ValueError, match="not finite"):
        curves.area([float("nan")], [0.5])
