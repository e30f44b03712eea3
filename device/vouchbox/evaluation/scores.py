"""What is known of one presentation after scoring: numbers and names from closed lists, nothing else.

These values are what the cache keeps, what the report is made of, and what crosses between processes.
"""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

from msgspec import Meta, Struct

from vouchbox.evaluation.manifest import Presentation
from vouchbox.messages import Outcome, Score, TestName, TestStatus
from vouchbox.reasons import Reason

FRAMES_LIMIT = 6000

Value = TypeVar("Value", covariant=True)

Looked = Annotated[int, Meta(ge=0, le=1_000_000)]


class Decision(Struct, frozen=True, forbid_unknown_fields=True):
    """What a whole session decided: its outcome and reasons, and each liveness test's status."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    tests: dict[TestName, TestStatus]


class Scored(Struct, frozen=True, forbid_unknown_fields=True):
    """One presentation. `score` is the passive test's, 0..1, None where it did not run; `threshold` what it
    needs; `frame_scores` one for each frame that the network judged, 0..1. `looked` and `faces` count the
    frames that were looked at and those with a face; `how` says how a still's face was found (found,
    margin, whole, none; `session` for a video). `decision` is None for a still."""

    score: Score | None
    threshold: Score | None
    frame_scores: Annotated[tuple[Score, ...], Meta(max_length=FRAMES_LIMIT)]
    looked: Looked
    faces: Looked
    how: Annotated[str, Meta(max_length=16)]
    decision: Decision | None = None


class Scorer(Protocol[Value]):
    """Looks at presentations. `identity` changes whenever the same file could get another score."""

    @property
    def identity(self) -> str:
        """Models, runtime, code and settings, in a few words."""
        ...

    def score(self, presentation: Presentation, digest: str) -> Value:
        """Look at one presentation, whose bytes have that digest; raises EvaluationError when it can't be
        read."""
        ...
