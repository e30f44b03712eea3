"""Looks at one presentation as the box does: a video as a session, a still as one frame.

A video runs through the production Examiner, so what is measured is what would have been signed. A still
has no session: the passive network looks at it once, and no other test runs. Numbers come out; a
session's frames stay in its locked ring.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vouchbox.camera.clip import ClipSource
from vouchbox.errors import ClipError, ModelError, VouchboxError
from vouchbox.evaluation import identity
from vouchbox.evaluation.manifest import Kind, Presentation
from vouchbox.evaluation.pictures import FaceLocator, read_still, unreadable
from vouchbox.evaluation.scores import FRAMES_LIMIT, Decision, Scored
from vouchbox.messages import Examination, Examine, Level, Prompt, TestName
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.observer import Seen
from vouchbox.vision.passive import THRESHOLD, PassiveNetwork, frame_logit, score_of
from vouchbox.vision.runtime import RuntimeName
from vouchbox.vision.scratch import unlocked

FRAME_RATE = 15.0
"""Frames per second, as a box's camera delivers them; faster videos are thinned out to it."""

PROMPTS = 3
"""Prompts that level ACTIVE draws, from the file's digest: the same file meets the same prompts again."""


@dataclass(frozen=True)
class BoxSettings:
    """How a box is set: assurance level, seconds of a session, and the TFLite runtime. Calling it makes the
    scorer; it can be sent to another process."""

    level: Level = Level.PASSIVE
    seconds: float = 5.0
    runtime: RuntimeName = "auto"
    models: Path | None = None

    def __call__(self) -> BoxScorer:
        """Load the models; raises ModelError or RuntimeMissing."""
        return BoxScorer(self)


class BoxScorer:
    """The vision room as a scorer (see scores.Scorer)."""

    def __init__(self, settings: BoxSettings) -> None:
        self._settings = settings
        self._models = Models.load(settings.models, runtime=settings.runtime)
        self._faces = FaceLocator(self._models)
        self._passive = PassiveNetwork(self._models.liveness, unlocked)

    @cached_property
    def identity(self) -> str:
        """Settings, networks, runtime, and the code of every module that a score depends on."""
        settings = self._settings
        networks = identity.of_networks(self._models.runtime, self._models.networks)
        return (
            f"{settings.level} {settings.seconds} s, {networks}, code {identity.of_code(identity.BOX_CODE)}"
        )

    @property
    def models(self) -> Models:
        """The networks that score."""
        return self._models

    def score(self, presentation: Presentation, digest: str) -> Scored:
        """Look at one presentation; raises EvaluationError when it can't be read."""
        if presentation.kind is Kind.VIDEO:
            return self._session(presentation, digest)
        return self._still(presentation)

    def _still(self, presentation: Presentation) -> Scored:
        picture = read_still(presentation)
        located = self._faces.locate(picture, presentation.kind)
        said = self._passive.look(picture, located.box) if located is not None else None
        score = None if said is None else score_of(frame_logit(said))
        return Scored(
            score=score,
            threshold=None if score is None else THRESHOLD,
            frame_scores=() if score is None else (score,),
            looked=1,
            faces=int(located is not None),
            how="none" if located is None else located.how,
        )

    def _session(self, presentation: Presentation, digest: str) -> Scored:
        problems: list[VouchboxError] = []
        faces: list[bool] = []
        scores: list[float] = []

        def note(seen: Seen) -> None:
            faces.append(seen.observation.face is not None)
            if seen.observation.passive is not None and len(scores) < FRAMES_LIMIT:
                scores.append(score_of(frame_logit(seen.observation.passive)))

        examiner = Examiner(self._models, problem=problems.append, seen=note)
        source = ClipSource(presentation.path, pace="fast", max_rate=FRAME_RATE)
        found = examiner.examine(self._request(digest), source)
        for problem in problems:
            if isinstance(problem, ClipError):
                raise unreadable(presentation, problem)
            if isinstance(problem, ModelError):
                raise problem
        return _scored(found, faces, scores)

    def _request(self, digest: str) -> Examine:
        draw = random.Random(digest)  # noqa: S311 - to be drawn again alike, not to be unknown
        prompts = tuple(draw.sample(list(Prompt), PROMPTS)) if self._settings.level is Level.ACTIVE else ()
        return Examine(
            session="evaluation-" + digest[:16],
            level=self._settings.level,
            prompts=prompts,
            want_embedding=False,
            seconds=self._settings.seconds,
        )


def _scored(found: Examination, faces: list[bool], scores: list[float]) -> Scored:
    passive = next(test for test in found.tests if test.name is TestName.PASSIVE)
    return Scored(
        score=passive.score,
        threshold=passive.threshold,
        frame_scores=tuple(scores),
        looked=len(faces),
        faces=sum(faces),
        how="session",
        decision=Decision(
            outcome=found.outcome,
            reasons=found.reasons,
            tests={test.name: test.status for test in found.tests},
        ),
    )
