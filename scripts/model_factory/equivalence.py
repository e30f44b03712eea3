"""Decides whether two builds of a model are the same in effect. Digests cannot tell: another processor rounds
its float sums otherwise, and the last bit of a range then moves. So both files look at pictures that took no
part in calibration, and what they say must agree much better than int8 agrees with float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .build import Built
from .calibration import detector_inputs
from .crop_calibration import embedding_chips, landmark_crops
from .face_chips import LANDMARK_POINTS, Network

PICTURES = 48
_SEED = 7_919
_LEAST_COSINE = 0.998
_MOST_POINT_PX = 0.4
_MOST_BOX_SHARE = 0.03
_MOST_LOGIT = 0.4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """Whether two files are equivalent, and the figures that say so."""

    equivalent: bool
    reason: str


def compare(role: str, one: Built, other: Built) -> Verdict:
    """Compare two builds of a role; files of equal digest need no pictures."""
    if one.entry["sha256"] == other.entry["sha256"]:
        return Verdict(True, "byte for byte the same")
    stated = ("inputs", "outputs", "source_sha256")
    if any(one.entry[key] != other.entry[key] for key in stated):
        return Verdict(False, "the tensors or the source differ")
    return _JUDGES[role](one, other)


def _embedding(one: Built, other: Built) -> Verdict:
    chips = embedding_chips(PICTURES, _SEED).astype(np.float32)
    a, b = (np.array([Network.load(built.data)(chip)[0] for chip in chips]) for built in (one, other))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return Verdict(bool(cosines.min() >= _LEAST_COSINE), f"lowest cosine {cosines.min():.5f}")


def _landmarks(one: Built, other: Built) -> Verdict:
    crops = landmark_crops(PICTURES, _SEED).astype(np.float32) / 255
    a, b = (_points(built, crops) for built in (one, other))
    distance = float(np.linalg.norm(a - b, axis=2).mean())
    return Verdict(distance <= _MOST_POINT_PX, f"points {distance:.3f} px of the crop apart in the mean")


def _points(built: Built, crops: NDArray[np.float32]) -> Floats:
    network = Network.load(built.data)
    raw = np.array([_of_size(network(crop), 3 * LANDMARK_POINTS) for crop in crops], np.float64)
    decode: dict[str, Any] = built.entry["decode"]
    real: Floats = raw * decode["span"] + decode["low"]
    return real.reshape(len(crops), LANDMARK_POINTS, 3)[..., :2]


def _detector(one: Built, other: Built) -> Verdict:
    views = (detector_inputs(PICTURES, _SEED).astype(np.float32) / 127.5) - 1
    (boxes, logits), (other_boxes, other_logits) = (_heads(built, views) for built in (one, other))
    face = logits > 0
    if not face.any():
        return Verdict(False, "no face is found in the pictures that compare")
    width = boxes[face][:, 2:3]
    off = float((np.abs(boxes - other_boxes)[face][:, :8] / width).mean())
    score = float(np.abs(logits - other_logits)[face].mean())
    good = off <= _MOST_BOX_SHARE and score <= _MOST_LOGIT
    return Verdict(good, f"boxes {off:.4f} of a face's width apart, logits {score:.3f}")


def _heads(built: Built, views: NDArray[np.float32]) -> tuple[Floats, Floats]:
    network = Network.load(built.data)
    decode: dict[str, Any] = built.entry["decode"]
    outputs = [network(view) for view in views]
    boxes = np.array([_of_size(o, 896 * 16).reshape(896, 16) for o in outputs], np.float64)
    logits = np.array([_of_size(o, 896) for o in outputs], np.float64)
    return (
        boxes * decode["regressor-span"] + decode["regressor-low"],
        logits * decode["logit-span"] + decode["logit-low"],
    )


def _of_size(outputs: list[NDArray[np.float32]], size: int) -> NDArray[np.float32]:
    return next(output for output in outputs if output.size == size)


_JUDGES: dict[str, Callable[[Built, Built], Verdict]] = {
    "detector": _detector,
    "landmarks": _landmarks,
    "embedding": _embedding,
}
