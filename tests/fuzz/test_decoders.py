"""Everything that reads bytes from outside, under hostile input: the short run of scripts/fuzz."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing.targets import TARGETS, feed

INPUTS = 300
"""For each target; scripts/fuzz feeds 1,000,000."""

seeds = st.integers(0, 2**64)


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_gives_a_whole_value_or_its_own_error_and_nothing_else(name: str) -> None:
    came_through = set()

    @settings(max_examples=INPUTS, deadline=None, derandomize=True)
    @given(seeds)
    def feed_one(seed: int) -> None:
        came_through.add(feed(name, seed))

    feed_one()
    # Both kinds, or the input would never reach the decoder's inside, or never meet its checks.
    assert came_through == {True, False}


@settings(max_examples=INPUTS, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.sampled_from(sorted(TARGETS)), seeds)
def test_what_is_made_for_one_decoder_is_nothing_to_another(first: str, second: str, seed: int) -> None:
    if first != second:
        assert TARGETS[second].check(TARGETS[first].draw(Random(seed))) is False
