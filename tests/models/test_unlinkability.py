"""The linkability measure: what it says of scores whose answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from template_measure import unlinkability


def test_scores_that_tell_nothing_measure_as_chance_and_those_that_tell_all_as_one() -> None:
    rng = np.random.default_rng(1)
    same, other = rng.normal(size=20_000), rng.normal(size=20_000)
    assert unlinkability.d_sys(same, other) < 0.03
    assert unlinkability.d_sys(same, other) == pytest.approx(
        unlinkability.chance(same, other, rng), abs=0.015
    )
    assert unlinkability.d_sys(same + 100, other) == pytest.approx(1.0)


def test_the_measure_is_the_integral_of_the_paper_for_two_known_densities() -> None:
    # Uniform on 0..1 against uniform on 0..2: where both occur the likelihood ratio is 2, so the local
    # measure is 2 * 2/3 - 1 = 1/3, and all mated scores lie there.
    rng = np.random.default_rng(2)
    mated, non_mated = rng.uniform(0, 1, 200_000), rng.uniform(0, 2, 200_000)
    assert unlinkability.d_sys(mated, non_mated) == pytest.approx(1 / 3, abs=0.01)
    # A ratio below one gives no evidence for mated: the measure is one-sided.
    assert unlinkability.d_sys(non_mated, mated) == pytest.approx(0.5, abs=0.01)


def test_the_attack_on_many_templates_sees_through_a_rotation() -> None:
    rng = np.random.default_rng(3)
    spread = np.exp(rng.normal(size=32))
    people = (rng.gamma(2.0, 1.0, size=(800, 32)) - 2.0) * spread
    again = people + 0.1 * rng.normal(size=people.shape) * spread
    turn = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    theirs = again @ turn
    others = np.roll(theirs, 1, axis=0)
    plain = unlinkability.d_sys(unlinkability.cosine(people, theirs), unlinkability.cosine(people, others))
    aligned = unlinkability.d_sys(
        unlinkability.aligned(people, theirs, people, theirs),
        unlinkability.aligned(people, others, people, theirs),
    )
    # So few scores in so many bins measure about 0.3 by chance.
    assert plain < 0.4
    assert aligned > 0.8
