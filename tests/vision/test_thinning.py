"""Fewer frames are looked at, evenly, and never fewer than the liveness tests need."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.machine import Pace
from vouchbox.messages import Level
from vouchbox.vision import challenge, continuity, passive
from vouchbox.vision.thinning import KEPT, NEEDED, Thinning, kept, too_few

SECOND = 1_000_000_000


def looked_at(
    rate: float, pace: Pace, least: float, *, seconds: float = 20.0, jitter: float = 0.0
) -> list[float]:
    """Times (seconds) of the frames that are looked at; `jitter` is a share of the camera's interval."""
    chance = random.Random(1)
    thinning = Thinning(rate, least)
    times = [(n + chance.uniform(-jitter, jitter)) / rate for n in range(1, round(seconds * rate))]
    return [t for t in times if thinning.due(round(t * SECOND), pace)]


def rate_of(times: list[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0])


def test_at_full_pace_every_frame_is_looked_at_however_it_jitters() -> None:
    assert len(looked_at(15.0, Pace.FULL, 10.0, jitter=0.4)) == 299


@pytest.mark.parametrize(
    ("camera", "pace", "wanted"),
    [
        (15.0, Pace.EASED, 11.25),
        (15.0, Pace.LEAST, 10.0),
        (30.0, Pace.EASED, 22.5),
        (30.0, Pace.LEAST, 15.0),
        (60.0, Pace.LEAST, 30.0),
        (10.0, Pace.LEAST, 10.0),
        (6.0, Pace.LEAST, 6.0),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_each_pace_has_its_rate_and_never_one_below_what_must_be_kept(
    camera: float, pace: Pace, wanted: float, jitter: float
) -> None:
    times = looked_at(camera, pace, KEPT[Level.ACTIVE], jitter=jitter)
    assert rate_of(times) == pytest.approx(wanted, rel=0.05)
    longest = max(later - earlier for earlier, later in itertools.pairwise(times))
    assert longest <= 1.0 / wanted + (1.0 + 2 * jitter) / camera


def test_a_pace_that_changes_in_the_middle_counts_from_the_next_frame_on() -> None:
    thinning = Thinning(15.0, 10.0)
    stamps = [round(n * SECOND / 15.0) for n in range(45)]
    paces = [Pace.FULL] * 15 + [Pace.LEAST] * 15 + [Pace.FULL] * 15
    seen = [thinning.due(stamp, pace) for stamp, pace in zip(stamps, paces, strict=True)]
    assert all(seen[:15])
    assert 9 <= sum(seen[15:30]) <= 11
    assert all(seen[30:])


@given(
    st.sampled_from(Level), st.floats(2.0, 30.0), st.sampled_from(Pace), st.integers(5, 60), st.floats(0, 0.2)
)
def test_what_is_kept_is_enough_for_every_test_at_every_length_of_a_session(
    level: Level, seconds: float, pace: Pace, camera: int, jitter: float
) -> None:
    least = kept(level, seconds)
    times = looked_at(float(camera), pace, least, seconds=seconds, jitter=jitter)
    if camera < least:
        assert len(times) == round(seconds * camera) - 1, "a slow camera loses no further frame"
        return
    with_face = continuity.SEEN_SHARE * len(times)
    assert with_face >= continuity.FRAMES - 2
    assert with_face / passive.EVERY >= passive.LOOKS
    assert not too_few(level, len(times), times[-1] - times[0])


@pytest.mark.parametrize("pace", Pace)
def test_a_face_at_rest_is_seen_often_enough_to_be_asked_the_next_thing(pace: Pace) -> None:
    times = looked_at(15.0, pace, KEPT[Level.ACTIVE], jitter=0.2)
    for now in times[10:]:
        held = [t for t in times if now - challenge.STILL_S <= t <= now]
        assert len(held) >= 3
        assert held[0] <= now - challenge.STILL_S / 2


def test_too_few_frames_are_too_few_whatever_kept_them_away() -> None:
    for level in Level:
        enough = round(NEEDED[level] * 10.0) + 1
        assert not too_few(level, enough, 10.0)
        assert too_few(level, enough - 1, 10.0)
    assert not too_few(Level.ACTIVE, 1, 0.0), "one frame has no rate; other tests see to it"
    assert all(KEPT[level] > NEEDED[level] for level in Level)
