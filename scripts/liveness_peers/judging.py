"""Scores one presentation with every network: the same frames, the same face boxes, and a cache for each.

A worker process makes one Judges and keeps it. Where the cache knows every network's score, no picture is
read. Pictures stay in memory; the cache holds numbers only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from liveness_peers.network import Network
from liveness_peers.registry import networks
from vouchbox.evaluation import identity
from vouchbox.evaluation.cache import ScoreCache, key_of
from vouchbox.evaluation.manifest import Kind, Presentation
from vouchbox.evaluation.pictures import FaceLocator, Located, pictures
from vouchbox.evaluation.scores import Scored
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Box
from vouchbox.vision.runtime import RuntimeName

FRAMES = 12
"""Frames of a video, evenly spread, that every network looks at."""

TIMED_LOOKS = 200

Scores = dict[str, Scored]


@dataclass(frozen=True)
class JudgesSettings:
    """Where the networks and the cache are; calling it makes the judges, in this process or another."""

    folder: Path
    added: tuple[Path, ...]
    cache: Path | None
    ours: bool = True
    runtime: RuntimeName = "auto"

    def __call__(self) -> Judges:
        """Load every network."""
        return Judges(self)


class Judges:
    """A scorer (vouchbox.evaluation.scores.Scorer) that gives one Scored for each network's name."""

    def __init__(self, settings: JudgesSettings) -> None:
        models = Models.load(runtime=settings.runtime)
        self.networks = networks(settings.folder, models if settings.ours else None, settings.added)
        self._locator = FaceLocator(models)
        self._faces = (
            f"{FRAMES} frames, {identity.of_networks(models.runtime, [models.detector, models.landmarks])}, "
            f"{identity.of_code([*identity.FACES_CODE, Path(__file__)])}"
        )
        self._cache = ScoreCache(settings.cache)

    @cached_property
    def identity(self) -> str:
        """Everything that any of the scores stands on."""
        return " ".join([self._faces, *(network.identity for network in self.networks)])

    def score(self, presentation: Presentation, digest: str) -> Scores:
        """One Scored for each network; raises EvaluationError for a file that can't be read."""
        keys = {
            n.name: key_of("peer", presentation.kind, digest, self._faces, n.identity) for n in self.networks
        }
        scores: Scores = {}
        for name, key in keys.items():
            kept = self._cache.get(key)
            if kept is not None:
                scores[name] = msgspec.json.decode(kept, type=Scored)
        missing = [network for network in self.networks if network.name not in scores]
        if missing:
            for network, scored in zip(missing, self._judged(presentation, missing), strict=True):
                scores[network.name] = scored
                self._cache.put(keys[network.name], msgspec.json.encode(scored))
        return scores

    def _judged(self, presentation: Presentation, judges: Sequence[Network]) -> list[Scored]:
        looked, how = 0, "none"
        said: list[list[float]] = [[] for _ in judges]
        faces = 0
        for picture in pictures(presentation, FRAMES):
            looked += 1
            located: Located | None = self._locator.locate(picture, presentation.kind)
            if located is None:
                continue
            faces, how = faces + 1, "frames" if presentation.kind is Kind.VIDEO else located.how
            for network, scores in zip(judges, said, strict=True):
                score = network.judge(located.picture, located.box)
                if score is not None:
                    scores.append(score)
        return [
            Scored(
                score=network.pool(scores) if scores else None,
                threshold=network.threshold,
                frame_scores=tuple(scores),
                looked=looked,
                faces=faces,
                how=how,
            )
            for network, scores in zip(judges, said, strict=True)
        ]


def milliseconds(judges: Sequence[Network]) -> dict[str, float]:
    """The median time of one look, crop and network, of each, as CPU time of the whole process: what other
    programs do counts little, and a second thread would count double."""
    picture = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    box = Box(250.0, 150.0, 390.0, 330.0)
    times: dict[str, list[float]] = {network.name: [] for network in judges}
    for _ in range(TIMED_LOOKS):
        for network in judges:
            began = time.process_time()
            network.judge(picture, box)
            times[network.name].append(1e3 * (time.process_time() - began))
    return {name: float(np.median(laps)) for name, laps in times.items()}
