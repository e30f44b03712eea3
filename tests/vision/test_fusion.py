"""The fusion is an AND: its whole truth table, and what is said of those who are no attackers."""

from __future__ import annotations

import itertools

import pytest

from vouchbox.messages import Level, Outcome, TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.fusion import MACHINE, REQUIRED, decide

STATUSES = tuple(TestStatus)
FAILED = {
    TestName.PASSIVE: Reason.PASSIVE_FAILED,
    TestName.CHALLENGE: Reason.CHALLENGE_FAILED,
    TestName.GEOMETRY: Reason.GEOMETRY_FAILED,
    TestName.CONTINUITY: Reason.CONTINUITY_FAILED,
}


def result(name: TestName, status: TestStatus, score: float | None = None) -> TestResult:
    reasons = (FAILED[name],) if status is TestStatus.FAIL else ()
    return TestResult(name, status, score=score, reasons=reasons)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("troubles", [(), (Reason.TOO_DARK,), (Reason.CAMERA_FROZEN,)])
def test_the_whole_truth_table_says_live_only_when_all_required_tests_succeed_and_none_fails(
    level: Level, troubles: tuple[Reason, ...]
) -> None:
    table = list(itertools.product(STATUSES, repeat=len(TestName)))
    assert len(table) == 3**4
    for statuses in table:
        results = tuple(result(name, status) for name, status in zip(TestName, statuses, strict=True))
        outcome, reasons = decide(level, results, troubles)
        status = dict(zip(TestName, statuses, strict=True))
        all_required = all(status[name] is TestStatus.SUCCESS for name in REQUIRED[level])
        any_failed = TestStatus.FAIL in statuses
        assert (outcome is Outcome.LIVE) == (all_required and not any_failed and not troubles)
        assert outcome in (Outcome.LIVE, Outcome.INCONCLUSIVE, Outcome.ATTACK_SUSPECTED)
        assert (outcome is Outcome.LIVE) == (reasons == ())
        for name in TestName:
            assert (FAILED[name] in reasons) == (status[name] is TestStatus.FAIL)
        if outcome is Outcome.ATTACK_SUSPECTED:
            assert any_failed
        assert set(troubles) <= set(reasons)


@pytest.mark.parametrize("level", Level)
def test_no_results_at_all_are_inconclusive(level: Level) -> None:
    outcome, reasons = decide(level, ())
    assert outcome is Outcome.INCONCLUSIVE
    assert Reason.CONTINUITY_NOT_RUN in reasons


def test_every_test_is_required_at_level_active_and_two_at_level_passive() -> None:
    assert REQUIRED[Level.ACTIVE] == set(TestName)
    assert REQUIRED[Level.PASSIVE] == {TestName.PASSIVE, TestName.CONTINUITY}


@pytest.mark.parametrize("level", Level)
def test_a_session_is_inconclusive_when_the_passive_test_did_not_run(level: Level) -> None:
    results = tuple(
        result(name, TestStatus.NOT_RUN if name is TestName.PASSIVE else TestStatus.SUCCESS)
        for name in TestName
    )
    assert decide(level, results) == (Outcome.INCONCLUSIVE, (Reason.PASSIVE_NOT_RUN,))


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("name", [TestName.PASSIVE, TestName.GEOMETRY, TestName.CONTINUITY])
def test_one_failed_test_is_never_outvoted_at_any_level(level: Level, name: TestName) -> None:
    results = tuple(
        result(other, TestStatus.FAIL if other is name else TestStatus.SUCCESS) for other in TestName
    )
    assert decide(level, results) == (Outcome.ATTACK_SUSPECTED, (FAILED[name],))
    assert decide(level, results, (Reason.BLURRED,))[0] is Outcome.ATTACK_SUSPECTED


def test_of_two_results_of_one_test_the_worse_counts() -> None:
    good = tuple(result(name, TestStatus.SUCCESS) for name in TestName)
    for worse in (TestStatus.FAIL, TestStatus.NOT_RUN):
        for results in (
            (*good, result(TestName.GEOMETRY, worse)),
            (result(TestName.GEOMETRY, worse), *good),
        ):
            assert decide(Level.ACTIVE, results)[0] is not Outcome.LIVE


@pytest.mark.parametrize(
    ("met", "outcome"),
    [(0.0, Outcome.ATTACK_SUSPECTED), (1 / 3, Outcome.ATTACK_SUSPECTED), (2 / 3, Outcome.INCONCLUSIVE)],
)
def test_who_misses_one_prompt_may_try_again_and_who_follows_few_behaves_as_a_recording(
    met: float, outcome: Outcome
) -> None:
    results = (
        result(TestName.PASSIVE, TestStatus.SUCCESS),
        result(TestName.CHALLENGE, TestStatus.FAIL, met),
        result(TestName.GEOMETRY, TestStatus.SUCCESS),
        result(TestName.CONTINUITY, TestStatus.SUCCESS),
    )
    said, reasons = decide(Level.ACTIVE, results)
    assert said is outcome
    assert reasons == (Reason.CHALLENGE_FAILED,)


def test_missed_prompts_in_a_poor_picture_accuse_nobody() -> None:
    results = (
        result(TestName.PASSIVE, TestStatus.SUCCESS),
        result(TestName.CHALLENGE, TestStatus.FAIL, 0.0),
        result(TestName.GEOMETRY, TestStatus.NOT_RUN),
        result(TestName.CONTINUITY, TestStatus.SUCCESS),
    )
    outcome, reasons = decide(Level.ACTIVE, results, (Reason.TOO_DARK,))
    assert outcome is Outcome.INCONCLUSIVE
    assert Reason.TOO_DARK in reasons


def test_who_leaves_the_picture_is_no_attacker() -> None:
    results = (
        result(TestName.PASSIVE, TestStatus.SUCCESS),
        result(TestName.CHALLENGE, TestStatus.SUCCESS, 1.0),
        result(TestName.GEOMETRY, TestStatus.SUCCESS),
        TestResult(TestName.CONTINUITY, TestStatus.FAIL, reasons=(Reason.TRACK_LOST,)),
    )
    assert decide(Level.ACTIVE, results) == (Outcome.INCONCLUSIVE, (Reason.TRACK_LOST,))


@pytest.mark.parametrize("trouble", sorted(MACHINE))
def test_no_person_is_suspected_for_a_trouble_of_the_machine(trouble: Reason) -> None:
    results = tuple(result(name, TestStatus.FAIL) for name in TestName)
    outcome, reasons = decide(Level.ACTIVE, results, (trouble,))
    assert outcome is Outcome.INCONCLUSIVE
    assert trouble in reasons
