"""How good a face picture is, component by component, each with the one thing the person can change.

Components bear the names of ISO/IEC 29794-5 and its scale, 0-100 and higher is better; the measures are
our own, taken on the levelled crop of the landmark network, so that they mean the same at every face size.
Thresholds were set on the bona fide clips of ../shared/data. Quality excludes, it never vouches: a good
picture of a mask is a good picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.messages import QualityComponent
from vouchbox.reasons import Reason
from vouchbox.vision.observation import Face
from vouchbox.vision.scratch import Scratch

_CROP = 192
_SMALL = 96
_FACE = slice(16, 80)
_FACE_PIXELS = 64 * 64
_CHEEK_ROWS = slice(32, 72)
_RIGHT_CHEEK, _LEFT_CHEEK = slice(20, 42), slice(54, 76)

DARK_LUMA, BRIGHT_LUMA = 25, 247
"""Luma below and from which a pixel carries no detail of a face (ISO/IEC 29794-5, exposure)."""

NIGHT_LUMA, GLARE_LUMA = 30.0, 225.0
"""Mean luma of whole frames at which a face can't be seen for the light."""

FULL_INTER_EYE_PX = 90.0
"""Inter-eye distance from which on more pixels bring nothing (ISO/IEC 19794-5 asks for 90)."""

POSE_LIMIT_DEGREES = 60.0
FULL_EYE_RATIO = 0.30


@dataclass(frozen=True, slots=True)
class Rule:
    """A component's name, the value from which it passes, the reason when it does not, and the percentile
    of a session's frames that counts: 50 where every frame matters, 90 where some good frames are enough."""

    name: str
    threshold: int
    reason: Reason
    percentile: int


RULES: tuple[Rule, ...] = (
    Rule("InterEyeDistance", 27, Reason.FACE_TOO_SMALL, 50),
    Rule("HeadSize", 50, Reason.FACE_TOO_CLOSE, 50),
    Rule("UnderExposurePrevention", 55, Reason.TOO_DARK, 50),
    Rule("OverExposurePrevention", 70, Reason.TOO_BRIGHT, 50),
    Rule("DynamicRange", 62, Reason.LOW_CONTRAST, 50),
    Rule("IlluminationUniformity", 30, Reason.UNEVEN_LIGHT, 75),
    Rule("Sharpness", 30, Reason.BLURRED, 75),
    Rule("HeadPose", 50, Reason.HEAD_TURNED, 90),
    Rule("EyesOpen", 47, Reason.EYES_CLOSED, 90),
)
"""In the order in which a person should hear of them; SingleFacePresent comes before them all."""

_HINTED = np.array([rule.threshold for rule in RULES[:-2]], np.float32)

SINGLE_FACE_THRESHOLD = 75
"""Percent of the frames with a face that must show exactly one."""

Values = NDArray[np.float32]
"""One frame: a value 0..100 for each of RULES."""


class FrameQuality:
    """Measures one crop after the other in buffers of its own."""

    def __init__(self, scratch: Scratch) -> None:
        self._grey: Image = scratch("quality-grey", (_CROP, _CROP), np.uint8)
        self._small: Image = scratch("quality-small", (_SMALL, _SMALL), np.uint8)
        self._edges: NDArray[np.int16] = scratch("quality-edges", (64, 64), np.int16)

    def measure(self, crop: Image, face: Face, width: int, height: int) -> Values:
        """Values of one frame of `width` x `height`; `crop` is the landmark network's 192 x 192 picture."""
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY, dst=self._grey)
        cv2.resize(self._grey, (_SMALL, _SMALL), dst=self._small, interpolation=cv2.INTER_AREA)
        inner = self._small[_FACE, _FACE]
        cv2.Laplacian(inner, cv2.CV_16S, dst=self._edges)
        contrast = float(cv2.meanStdDev(inner)[1][0, 0])
        edges = float(cv2.meanStdDev(self._edges)[1][0, 0])
        shares = np.bincount(inner.ravel(), minlength=256) * (1.0 / _FACE_PIXELS)
        dark, bright = float(shares[:DARK_LUMA].sum()), float(shares[BRIGHT_LUMA:].sum())
        present = shares[shares > 0.0]
        entropy = -float(present @ np.log2(present))
        right = cv2.mean(self._small[_CHEEK_ROWS, _RIGHT_CHEEK])[0]
        left = cv2.mean(self._small[_CHEEK_ROWS, _LEFT_CHEEK])[0]
        pose, box = face.pose, face.box
        turned = max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll))
        share = max((box.bottom - box.top) / height, (box.right - box.left) / width)
        values = (
            face.inter_eye_px / FULL_INTER_EYE_PX,
            (1.05 - share) / 0.30,
            1.0 - dark,
            1.0 - bright,
            entropy / 8.0,
            min(left, right) / max(left, right, 1.0),
            (edges / max(contrast, 1.0) - 0.05) / 0.55,
            1.0 - turned / POSE_LIMIT_DEGREES,
            min(face.left_eye, face.right_eye) / FULL_EYE_RATIO,
        )
        return np.asarray(np.clip(np.array(values, np.float32), 0.0, 1.0) * 100.0, np.float32)


def hint(values: Values) -> Reason | None:
    """The first thing the person could change now. Turning the head and blinking are no faults of a frame,
    for a prompt may ask for them."""
    failed = np.flatnonzero(values[: len(_HINTED)] < _HINTED)
    return RULES[int(failed[0])].reason if failed.size else None


def fitness(values: Values) -> float:
    """How well a frame serves recognition, 0..100: its weakest of pose, sharpness, eyes and exposure."""
    _, size, dark, bright, _, even, sharp, pose, eyes = (float(v) for v in values)
    return min(size, dark, bright, even + 30.0, sharp, pose, eyes + 10.0)


class SessionQuality:
    """Pools the frames of one session."""

    def __init__(self) -> None:
        self._frames = 0
        self._single = 0
        self._luma = 0.0
        self._values: list[Values] = []

    def add(self, faces: int, values: Values | None, luma: float = 128.0) -> None:
        """Take one frame: how many faces, its values (None when no face was seen), its mean luma 0..255."""
        self._frames += 1
        self._luma += luma
        if values is not None:
            self._single += faces == 1
            self._values.append(values)

    def components(self) -> tuple[QualityComponent, ...]:
        """Every component of the session; when a face was hardly ever seen only SingleFacePresent, and the
        light if that explains it."""
        seen = len(self._values)
        if seen == 0 or seen < self._frames * 0.2:
            return (QualityComponent("SingleFacePresent", 0, False, Reason.NO_FACE), *self._why_nobody())
        single = round(100 * self._single / seen)
        enough = single >= SINGLE_FACE_THRESHOLD
        first = QualityComponent(
            "SingleFacePresent", single, enough, None if enough else Reason.SEVERAL_FACES
        )
        table = np.array(self._values)
        pooled = [first]
        for column, rule in enumerate(RULES):
            value = round(float(np.percentile(table[:, column], rule.percentile)))
            passed = value >= rule.threshold
            pooled.append(QualityComponent(rule.name, value, passed, None if passed else rule.reason))
        return tuple(pooled)

    def _why_nobody(self) -> tuple[QualityComponent, ...]:
        luma = self._luma / max(self._frames, 1)
        if luma < NIGHT_LUMA:
            value = round(100 * luma / 255)
            return (QualityComponent("UnderExposurePrevention", value, False, Reason.TOO_DARK),)
        if luma > GLARE_LUMA:
            value = round(100 * (1 - luma / 255))
            return (QualityComponent("OverExposurePrevention", value, False, Reason.TOO_BRIGHT),)
        return ()


def reasons(components: tuple[QualityComponent, ...]) -> tuple[Reason, ...]:
    """What failed, in the order of the components."""
    return tuple(c.reason for c in components if not c.passed and c.reason is not None)
