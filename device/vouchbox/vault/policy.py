"""The vault's own opinion of an examination: defence in depth against a vision room that errs or lies.

Pure, and it can only take away. `live` stands only when every test that the level requires is a success,
no test failed, the source is the one announced, the prompts are the ones the vault drew and each was met,
and the frames are wiped. Whatever else comes back becomes inconclusive, never better than it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from vouchbox.messages import Examination, Level, Outcome, Prompt, SourceKind, TestName, TestStatus
from vouchbox.reasons import Reason

REQUIRED: Mapping[Level, frozenset[TestName]] = {
    Level.PASSIVE: frozenset({TestName.PASSIVE, TestName.CONTINUITY}),
    Level.ACTIVE: frozenset(TestName),
}
"""Tests that must be a success at each level. Vision holds the same table; a test compares them."""

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
_STRENGTH = (SourceKind.SIMULATED, SourceKind.CLIP, SourceKind.WEBCAM, SourceKind.SENSOR)
"""Sources, the weakest claim first."""

_UNFAVOURABLE = frozenset({Outcome.INCONCLUSIVE, Outcome.ATTACK_SUSPECTED, Outcome.CANCELLED})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the vault asked of the vision room, and the source it announced (None: it announced nothing)."""

    level: Level
    prompts: tuple[Prompt, ...]
    source: SourceKind | None


def assess(examination: Examination, asked: Asked) -> tuple[Outcome, tuple[Reason, ...]]:
    """The outcome that may be stated, and why: LIVE, or one of the unfavourable ones."""
    if examination.outcome in _UNFAVOURABLE:
        return examination.outcome, examination.reasons
    if examination.outcome is not Outcome.LIVE:
        return Outcome.INCONCLUSIVE, (Reason.INTERRUPTED,)
    doubts = tuple(dict.fromkeys(_doubts(examination, asked)))
    return (Outcome.INCONCLUSIVE, doubts) if doubts else (Outcome.LIVE, ())


def stated(examination: Examination, announced: SourceKind | None) -> Examination:
    """The examination as a verdict may state it: of the source that the vision room announced and the one
    that it names now, the weaker. So a clip that is suddenly called a sensor is still called a clip."""
    named = examination.source.kind
    weaker = min(named, announced or named, key=_STRENGTH.index)
    source = msgspec.structs.replace(examination.source, kind=weaker)
    return msgspec.structs.replace(examination, source=source)


def _doubts(examination: Examination, asked: Asked) -> list[Reason]:
    doubts: list[Reason] = []
    statuses = {name: _status(name, examination) for name in TestName}
    doubts += [_FAILED[name] for name, status in statuses.items() if status is TestStatus.FAIL]
    absent = [name for name, status in statuses.items() if status is TestStatus.NOT_RUN]
    doubts += [_NOT_RUN[name] for name in absent if name in REQUIRED[asked.level]]
    if asked.level is Level.ACTIVE:
        if examination.source.kind is SourceKind.CLIP:
            doubts.append(Reason.CHALLENGE_NOT_RUN)
        if not _followed(examination, asked.prompts):
            doubts.append(Reason.CHALLENGE_FAILED)
    if examination.level is not asked.level or examination.source.kind is not asked.source:
        doubts.append(Reason.INTERRUPTED)
    if not examination.wiped:
        doubts.append(Reason.MEMORY_NOT_LOCKED)
    if examination.frames == 0:
        doubts.append(Reason.TOO_SHORT)
    return doubts


def _status(name: TestName, examination: Examination) -> TestStatus:
    statuses = [test.status for test in examination.tests if test.name is name]
    return statuses[0] if len(statuses) == 1 else TestStatus.NOT_RUN if not statuses else TestStatus.FAIL


def _followed(examination: Examination, prompts: tuple[Prompt, ...]) -> bool:
    records = examination.prompts
    same = bool(prompts) and tuple(record.prompt for record in records) == prompts
    return same and all(record.met_s is not None and record.met_s >= record.shown_s for record in records)
