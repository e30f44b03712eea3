"""Sessions are drawn and counted as the report says: the same from one seed, varied, resumable."""

from __future__ import annotations

from pathlib import Path

from session_measure import plan, report
from session_measure.cache import Cache
from session_measure.holding import Record, as_line
from vouchbox.messages import Outcome, TestName, TestStatus
from vouchbox.simulator.subject.spec import Attack, Film, PortraitName, parse

PEOPLE = tuple(PortraitName)
GROUPS = dict.fromkeys(plan.GROUPS, 40)


def record(group: str, number: int, outcome: Outcome, **answers: TestStatus) -> Record:
    tests = {name: (answers.get(name.value, TestStatus.SUCCESS), None) for name in TestName}
    return Record(group, number, "collins", "seed=1", ("blink",), outcome, (), tests, 76, 1.5)


def test_the_same_seed_draws_the_same_sessions_and_another_seed_others() -> None:
    once = list(plan.sessions(GROUPS, 1, PEOPLE))
    assert once == list(plan.sessions(GROUPS, 1, PEOPLE))
    assert once != list(plan.sessions(GROUPS, 2, PEOPLE))
    assert len({(session.group, session.number) for session in once}) == 40 * len(plan.GROUPS)


def test_more_sessions_begin_with_the_same_ones() -> None:
    few = {(s.group, s.number): s for s in plan.sessions(dict.fromkeys(GROUPS, 5), 1, PEOPLE)}
    many = {(s.group, s.number): s for s in plan.sessions(GROUPS, 1, PEOPLE)}
    assert few.items() <= many.items()


def test_attacks_are_as_varied_as_people_and_show_what_their_group_says() -> None:
    for session in plan.sessions(GROUPS, 3, PEOPLE):
        subject = session.subject
        assert parse(str(subject)) == subject
        assert (subject.attack is Attack.NONE) == (session.group == plan.BONA_FIDE)
        assert (subject.film is Film.CUED) == (session.group in plan.CUED)
        assert len(session.prompts) == plan.PROMPTS
    for group in plan.GROUPS:
        held = [s.subject for s in plan.sessions({group: 40}, 3, PEOPLE)]
        for option in ("brightness", "gamma", "side", "kelvin", "grain", "size", "reach", "portrait"):
            assert len({getattr(subject, option) for subject in held}) > 1, (group, option)


def test_counts_what_one_test_alone_and_the_other_three_let_through() -> None:
    fail = TestStatus.FAIL
    found = report.figures(
        [
            record("mask", 0, Outcome.LIVE),
            record("mask", 1, Outcome.ATTACK_SUSPECTED, geometry=fail),
            record("mask", 2, Outcome.ATTACK_SUSPECTED, geometry=fail, passive=fail),
            record(plan.BONA_FIDE, 0, Outcome.LIVE),
        ]
    )
    passes = {what: rate["count"] for what, rate in found["mask"]["passes"].items()}
    assert passes == {
        "fused": 1,
        "passive alone": 2,
        "challenge alone": 3,
        "geometry alone": 1,
        "continuity alone": 3,
        "all but passive": 1,
        "all but challenge": 1,
        "all but geometry": 2,
        "all but continuity": 1,
    }
    assert found["mask"]["live_by_portrait"] == {"collins": [1, 3]}
    assert len(found["mask"]["live"]) == 1
    assert found[plan.BONA_FIDE]["not_live"] == []
    assert "| mask | 3 | 1 | 0.8 to 90.6 % | 2 | 0 |" in report.markdown(found)


def test_an_interrupted_run_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "state")
    for number in range(3):
        cache.add(record("print", number, Outcome.INCONCLUSIVE))
    with cache.path.open("ab") as file:
        file.write(as_line(record("print", 3, Outcome.LIVE))[:40])
    again = Cache(tmp_path, "state")
    assert again.records == cache.records
    again.add(record("print", 3, Outcome.LIVE))
    assert len(Cache(tmp_path, "state").records) == 4
    assert Cache(tmp_path, "other").records == {}
