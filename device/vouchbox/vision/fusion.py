"""What the four liveness tests say together: the only place that may utter the outcome `live`.

The tests are joined by AND. A test that failed is never outvoted, at no level; a test that did not run is
never a success; poor quality or a trouble of the machine is never `live`. The full truth table stands in
tests/vision/test_fusion.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from vouchbox.messages import Level, Outcome, TestName, TestResult, TestStatus
from vouchbox.reasons import Reason

REQUIRED: Mapping[Level, frozenset[TestName]] = {
    Level.PASSIVE: frozenset({TestName.PASSIVE, TestName.CONTINUITY}),
    Level.ACTIVE: frozenset(TestName),
}
"""The tests that must be a success before a session of that level is `live`."""

CHALLENGE_SLIP = 0.5
"""A person may miss a prompt; whoever meets this share of them or less behaves as a recording does."""

MACHINE = frozenset(
    {
        Reason.CAMERA_MISSING,
        Reason.CAMERA_UNPLUGGED,
        Reason.CAMERA_BLACK,
        Reason.CAMERA_COVERED,
        Reason.CAMERA_FROZEN,
        Reason.CAMERA_TOO_SLOW,
        Reason.FRAME_RATE_TOO_LOW,
        Reason.CLIP_UNREADABLE,
        Reason.MODEL_UNAVAILABLE,
        Reason.MEMORY_NOT_LOCKED,
        Reason.ROOM_GONE,
        Reason.INTERRUPTED,
        Reason.TIMEOUT,
        Reason.CANCELLED,
    }
)
"""Troubles that are nobody's fault: no person is suspected for them."""

_FAILED = {
    TestName.PASSIVE: Reason.PASSIVE_FAILED,
    TestName.CHALLENGE: Reason.CHALLENGE_FAILED,
    TestName.GEOMETRY: Reason.GEOMETRY_FAILED,
    TestName.CONTINUITY: Reason.CONTINUITY_FAILED,
}
_NOT_RUN = {
    TestName.PASSIVE: Reason.PASSIVE_NOT_RUN,
    TestName.CHALLENGE: Reason.CHALLENGE_NOT_RUN,
    TestName.GEOMETRY: Reason.GEOMETRY_NOT_RUN,
    TestName.CONTINUITY: Reason.CONTINUITY_NOT_RUN,
}


def decide(
    level: Level, results: tuple[TestResult, ...], troubles: tuple[Reason, ...] = ()
) -> tuple[Outcome, tuple[Reason, ...]]:
    """LIVE, ATTACK_SUSPECTED or INCONCLUSIVE, with every reason (none for LIVE), the gravest first.

    `troubles` are what the quality components and the machine found wrong; any of them excludes LIVE. A
    test that is absent from `results` counts as not run, of one that is there twice the worse counts.
    """
    worst = {name: _worst(name, results) for name in TestName}
    failed = [test for test in worst.values() if test.status is TestStatus.FAIL]
    absent = [
        name for name in TestName if worst[name].status is TestStatus.NOT_RUN and name in REQUIRED[level]
    ]

    reasons = [reason for test in failed for reason in (test.reasons or (_FAILED[test.name],))]
    reasons += troubles
    reasons += [reason for name in absent for reason in (worst[name].reasons or (_NOT_RUN[name],))]
    said = tuple(dict.fromkeys(reasons))

    if not failed and not absent and not troubles:
        return Outcome.LIVE, ()
    if not MACHINE.intersection(troubles) and any(_suspicious(test, troubles) for test in failed):
        return Outcome.ATTACK_SUSPECTED, said
    return Outcome.INCONCLUSIVE, said


def _worst(name: TestName, results: tuple[TestResult, ...]) -> TestResult:
    order = (TestStatus.FAIL, TestStatus.NOT_RUN, TestStatus.SUCCESS)
    of_this_name = [test for test in results if test.name is name]
    if not of_this_name:
        return TestResult(name, TestStatus.NOT_RUN)
    return min(of_this_name, key=lambda test: order.index(test.status))


def _suspicious(failed: TestResult, troubles: tuple[Reason, ...]) -> bool:
    if failed.name is TestName.CHALLENGE:
        # In a poor picture the landmarks may miss what the person did: that is no sign of an attack.
        return not troubles and (failed.score is None or failed.score <= CHALLENGE_SLIP)
    # A person who walked out of the picture broke the continuity, and is no attacker for that.
    return set(failed.reasons) != {Reason.TRACK_LOST}
