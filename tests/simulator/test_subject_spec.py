"""The words that name a simulated subject are read strictly, and written as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import UsageError
from vouchbox.simulator.subject.spec import (
    SEED_LIMIT,
    Attack,
    Distance,
    Faces,
    Follow,
    Light,
    Noise,
    PortraitName,
    SubjectSpec,
    parse,
)

PEOPLE = st.builds(
    SubjectSpec,
    portrait=st.sampled_from(PortraitName),
    attack=st.just(Attack.NONE),
    light=st.sampled_from(Light),
    noise=st.sampled_from(Noise),
    distance=st.sampled_from(Distance),
    follow=st.sampled_from(Follow),
    faces=st.sampled_from(Faces),
    seed=st.integers(0, SEED_LIMIT),
)
ATTACKS = st.builds(
    SubjectSpec,
    portrait=st.sampled_from(PortraitName),
    attack=st.sampled_from(Attack),
    light=st.sampled_from(Light),
    seed=st.integers(0, SEED_LIMIT),
)
PIECES = st.sampled_from(
    [
        "collins",
        "hopper",
        "print",
        "mask",
        ":",
        "?",
        "&",
        "=",
        "light",
        "dark",
        "seed",
        "faces",
        "2",
        "-1",
        "٣",
        " ",
    ]
)


@given(PEOPLE | ATTACKS)
def test_reads_back_what_it_writes(spec: SubjectSpec) -> None:
    assert parse(str(spec)) == spec


@given(st.text(max_size=300) | st.lists(PIECES, max_size=12).map("".join))
def test_any_other_words_are_one_sentence_of_usage(words: str) -> None:
    refusal: UsageError | None = None
    try:
        assert parse(str(parse(words))) == parse(words)
    except UsageError as problem:
        refusal = problem
    assert refusal is None or (refusal.exit_code == 2 and str(refusal).endswith("."))


def test_reads_a_condition_and_a_seed() -> None:
    spec = parse("collins?light=dark&seed=3")
    assert (spec.portrait, spec.light, spec.seed) == (PortraitName.COLLINS, Light.DARK, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nobody", "no portrait is called 'nobody': use one of collins, hopper"),
        ("puppet:collins", "no attack is called 'puppet'"),
        ("collins?light=red", "no light is called 'red': use one of normal, dark, bright, side"),
        ("collins?mood=happy", "a subject has no option 'mood'"),
        ("collins?seed=1&seed=2", "is given twice"),
        ("collins?seed", "has no value"),
        ("collins?", "has no value"),
        ("collins?seed=-1", "is no number"),
        ("collins?seed=9999999999", "out of range"),
        ("print:collins?faces=2", "an attack is shown by one subject"),
        ("c" * 300, "too long"),
    ],
)
def test_says_what_would_have_been_right(words: str, says: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(words)
    assert says in str(refusal.value)
