"""Builds every model from its source, and states what its manifest entry is. Pure recipes: fetching aside,
the same sources and seeds go in each time, and nothing of models/ is read or written here.

TensorFlow is imported only inside a recipe, for the manifest and the measurements do without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import sources
from .crop_calibration import embedding_chips, landmark_crops
from .manifest import Entry, describe

CALIBRATION_CROPS = 300
EMBEDDING_SEED = 150
LANDMARK_SEED = 192


@dataclass(frozen=True)
class Built:
    """A model file and its manifest entry, without measured figures."""

    data: bytes
    entry: Entry


def build_detector(report: Callable[[str], None]) -> Built:
    """The face detector, from MediaPipe's float file."""
    from . import detector

    report("detector: searching ranges (several minutes)")
    source = sources.fetch(sources.DETECTOR).read_bytes()
    made = detector.build_detector(source, lambda line: report(f"detector: {line}"))
    entry = describe("detector", "detector.tflite", made.file, ("regressors", "scores"), sources.DETECTOR)
    return Built(made.file, entry | {"decode": made.decode})


def build_embedding(report: Callable[[str], None]) -> Built:
    """The embedding network, from dlib's weights."""
    from . import embedding
    from .dlib_weights import read_embedding_weights

    report("embedding: quantizing dlib's network")
    weights = read_embedding_weights(sources.fetch(sources.EMBEDDING))
    # The measurement compares with float and has no TensorFlow.
    sources.FLOAT_EMBEDDING.write_bytes(embedding.float_file(weights))
    data = embedding.build(weights, embedding_chips(CALIBRATION_CROPS, EMBEDDING_SEED))
    return Built(data, describe("embedding", "embedding.tflite", data, ("embedding",), sources.EMBEDDING))


def build_landmarks(report: Callable[[str], None]) -> Built:
    """The 468-point mesh, from MediaPipe's float file."""
    from . import landmarks

    report("landmarks: quantizing MediaPipe's face mesh")
    source = sources.fetch(sources.LANDMARKS).read_bytes()
    made = landmarks.build(source, landmark_crops(CALIBRATION_CROPS, LANDMARK_SEED))
    entry = describe("landmarks", "landmarks.tflite", made.file, ("points", "presence"), sources.LANDMARKS)
    decode: dict[str, Any] = {
        "low": [round(float(v), 2) for v in made.decode.low],
        "span": [round(float(v), 2) for v in made.decode.span],
    }
    return Built(made.file, entry | {"decode": decode})


RECIPES: dict[str, Callable[[Callable[[str], None]], Built]] = {
    "detector": build_detector,
    "embedding": build_embedding,
    "landmarks": build_landmarks,
}
