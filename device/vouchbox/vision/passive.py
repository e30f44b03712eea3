"""Passive: does the picture look like a person before a camera, or like paper or a screen?

One int8 network of our own looks at the face close and with its surroundings, on every few frames; the test
pools what it said over the session. It sees crops only inside `look`, keeps two numbers of a frame, and never
calls a session a success that it hardly saw. Data, training and error rates: models/README.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import ModelError
from vouchbox.messages import TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision.crops import FaceCrops
from vouchbox.vision.observation import Box, Observation, PassiveScores
from vouchbox.vision.runtime import Network
from vouchbox.vision.scratch import Scratch

EVERY = 3
"""The network looks at each EVERYth frame with a face: neighbouring frames say the same."""

LOOKS = 5
"""Fewer looks than this, and the test does not run."""

SEEN_SHARE = 0.5
"""The face must be seen in more than this share of the frames, else the looks may be of something else."""

CLIP = 4.0
"""One frame's logit counts within -CLIP..CLIP, so that no single frame decides."""

THRESHOLD = 0.5
"""Score from which on the session looks bona fide; the calibration puts the operating point here."""

Logits = NDArray[np.float64]

_CROPS, _LOGITS = 2, 2
_REINSTALL = "install vouchbox again"


class PassiveNetwork:
    """The liveness network on one face after another.

    Its output is two logits: the first learnt from a network that goes by the grain of skin, paper and
    screens, the second from a pair that goes by edges and surroundings. It is run on the close and on the
    wide crop, and a second time on each one's mirror image, and the mean counts: what a network makes of a
    single picture is partly chance, and a face has no preferred side. `decode` in the manifest holds the
    calibration: `weight`, four values (close crop: first, second logit; wide crop: the same), and `offset`,
    one for each crop. What a crop says is its weighted logits and its offset; a crop without weight is not
    run.
    """

    def __init__(self, network: Network, scratch: Scratch) -> None:
        """Raises ModelError for a network of other shapes or without a calibration."""
        rows, columns, _ = network.shape
        if rows != columns:
            raise ModelError("the liveness model takes no square picture", _REINSTALL)
        self._network = network
        self._output = network.output_of_size(_LOGITS)
        self._weight = _known(network, "weight", _CROPS * _LOGITS).reshape(_CROPS, _LOGITS)
        self._offset = _known(network, "offset", _CROPS).tolist()
        self.crops = FaceCrops(scratch, rows)

    def look(self, frame: Image, box: Box) -> PassiveScores | None:
        """What the face in `box` looks like; None where its crops can't be cut."""
        if not self.crops.cut(frame, box):
            return None
        close, wide = (
            float(weight @ self._logits(crop)) + offset if weight.any() else offset
            for crop, weight, offset in zip(self._both(), self._weight, self._offset, strict=True)
        )
        return PassiveScores(close=close, context=wide)

    def logits(self, frame: Image, box: Box) -> Logits | None:
        """Both logits of both crops [2, 2] before any calibration, as `look` weighs them."""
        return np.stack([self._logits(crop) for crop in self._both()]) if self.crops.cut(frame, box) else None

    def _both(self) -> tuple[Image, Image]:
        return self.crops.close, self.crops.context

    def _logits(self, crop: Image) -> Logits:
        """Both logits [2], the mean of what is said of the crop and of its mirror image."""
        said = np.zeros(_LOGITS)
        for picture in (crop, self.crops.mirrored(crop)):
            self._network.run(picture)
            said += self._network.output(self._output).reshape(-1)
        return said / 2.0


def _known(network: Network, name: str, size: int) -> Logits:
    values = network.decode.get(name)
    if values is None or values.shape != (size,) or not np.isfinite(values).all():
        raise ModelError("the liveness model has no calibration for its two crops", _REINSTALL)
    return values.astype(np.float64)


def frame_logit(scores: PassiveScores) -> float:
    """Both crops of one frame together, within -CLIP..CLIP; 0 is the operating point, higher is bona fide."""
    return min(max(scores.close + scores.context, -CLIP), CLIP)


def score_of(logit: float) -> float:
    """A pooled logit as a score 0..1; logit 0 is THRESHOLD."""
    return 1.0 / (1.0 + math.exp(-logit))


class Passive:
    """Pools the looks of one session: the mean of the frames' logits."""

    def __init__(self) -> None:
        self._frames = 0
        self._with_face = 0
        self._logits: list[float] = []

    def observe(self, observation: Observation) -> None:
        """Take the next frame."""
        self._frames += 1
        self._with_face += observation.face is not None
        if observation.passive is not None:
            self._logits.append(frame_logit(observation.passive))

    def result(self) -> TestResult:
        """SUCCESS from THRESHOLD on; NOT_RUN for too few looks, or with TRACK_LOST where the face was away
        for half of the session."""
        reasons: tuple[Reason, ...] = (Reason.PASSIVE_NOT_RUN,)
        if self._frames and self._with_face <= SEEN_SHARE * self._frames:
            reasons = (Reason.TRACK_LOST, Reason.PASSIVE_NOT_RUN) if self._with_face else reasons
            return TestResult(TestName.PASSIVE, TestStatus.NOT_RUN, reasons=reasons)
        if len(self._logits) < LOOKS or not all(math.isfinite(logit) for logit in self._logits):
            return TestResult(TestName.PASSIVE, TestStatus.NOT_RUN, reasons=reasons)
        score = score_of(sum(self._logits) / len(self._logits))
        good = score >= THRESHOLD
        return TestResult(
            TestName.PASSIVE,
            TestStatus.SUCCESS if good else TestStatus.FAIL,
            score=score,
            threshold=THRESHOLD,
            measured=len(self._logits),
            reasons=() if good else (Reason.PASSIVE_FAILED,),
        )
