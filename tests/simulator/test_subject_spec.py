"""The words that name a simulated subject are read strictly, and written as they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import UsageError
from vouchbox.simulator.subject.spec import (
    RANGES,
    SEED_LIMIT,
    Attack,
    Distance,
    Faces,
    Film,
    Follow,
    Light,
    Noise,
    PortraitName,
    SubjectSpec,
    parse,
)

NUMBERS = {name: st.floats(*limits) for name, limits in RANGES.items() if name != "bend"}
PORTRAITS = st.sampled_from(PortraitName) | st.sampled_from([Path("me.jpg"), Path("/a b/c:d=e&f.png")])
PEOPLE = st.builds(
    SubjectSpec,
    portrait=PORTRAITS,
    attack=st.just(Attack.NONE),
    light=st.sampled_from(Light),
    noise=st.sampled_from(Noise),
    distance=st.sampled_from(Distance),
    follow=st.sampled_from(Follow),
    faces=st.sampled_from(Faces),
    seed=st.integers(0, SEED_LIMIT),
    **NUMBERS,
)
PRINTS = st.builds(
    SubjectSpec,
    portrait=PORTRAITS,
    attack=st.sampled_from((Attack.PRINT, Attack.BENT_PRINT)),
    bend=st.none() | st.floats(*RANGES["bend"]),
    **NUMBERS,
)
REPLAYS = st.builds(
    SubjectSpec,
    portrait=PORTRAITS,
    attack=st.sampled_from((Attack.REPLAY_PHONE, Attack.REPLAY_MONITOR)),
    film=st.sampled_from(Film),
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
        "bend",
        "film",
        "kelvin",
        "@",
        "1e9",
        "nan",
        "2",
        "-1",
        "٣",
        " ",
    ]
)


@given(PEOPLE | PRINTS | REPLAYS)
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


def test_reads_a_picture_s_path_whatever_stands_in_it() -> None:
    spec = parse("mask:@/home/me/a:b=c&d.jpg?side=-0.5&kelvin=4000")
    assert (spec.portrait, spec.attack) == (Path("/home/me/a:b=c&d.jpg"), Attack.MASK)
    assert (spec.side, spec.kelvin) == (-0.5, 4000.0)
    assert spec.face == "picture"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nobody", "no portrait is called 'nobody': use one of collins, hopper, or @FILE"),
        ("puppet:collins", "no attack is called 'puppet'"),
        ("collins?light=red", "no light is called 'red': use one of normal, dark, bright, side"),
        ("collins?mood=happy", "a subject has no option 'mood'"),
        ("collins?seed=1&seed=2", "is given twice"),
        ("collins?seed", "has no value"),
        ("collins?", "has no value"),
        ("collins?seed=-1", "is no number"),
        ("collins?seed=9999999999", "out of range"),
        ("print:collins?faces=2", "an attack is shown by one subject"),
        ("@", "the portrait's file has no name: write @FILE"),
        ("collins?side=left", "side 'left' is no number: use -1 to 1"),
        ("collins?side=nan", "is no number"),
        ("collins?gamma=9", "gamma 9.0 is out of range: use 0.4 to 2.5"),
        ("collins?bend=40", "only a print can be bent"),
        ("print:collins?film=cued", "only a replay shows a film"),
        ("c" * 700, "too long"),
    ],
)
def test_says_what_would_have_been_right(words: str, says: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(words)
    assert says in str(refusal.value)
