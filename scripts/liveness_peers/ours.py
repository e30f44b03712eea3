"""The network that ships, on the same frames and boxes as its peers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from liveness_peers.network import Network
from vouchbox.camera.source import Image
from vouchbox.evaluation import identity
from vouchbox.vision import manifest
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Box
from vouchbox.vision.passive import THRESHOLD, PassiveNetwork, frame_logit, score_of
from vouchbox.vision.scratch import unlocked

_CODE = ("vision/passive.py", "vision/crops.py", "vision/runtime.py")


class Ours(Network):
    """Both crops of the face; the frames of a video are pooled as a session pools them."""

    name = "vouchbox int8"
    threshold = THRESHOLD

    def __init__(self, models: Models) -> None:
        folder = manifest.default_folder()
        self.files = [folder / manifest.load(folder).entry("liveness").file]
        self._network = PassiveNetwork(models.liveness, unlocked)
        self._stands_on = " ".join(
            [identity.of_networks(models.runtime, [models.liveness]), identity.of_code(_CODE)]
        )
        self.note = f"close and wide crop, RGB, {models.liveness.shape[0]} px, {models.runtime.label}"

    def judge(self, picture: Image, box: Box) -> float | None:
        said = self._network.look(picture, box)
        return None if said is None else score_of(frame_logit(said))

    def pool(self, scores: Sequence[float]) -> float:
        logits = [math.log(score / (1.0 - score)) for score in scores]
        return score_of(sum(logits) / len(logits))

    @cached_property
    def identity(self) -> str:
        return f"{super().identity} {self._stands_on}"
