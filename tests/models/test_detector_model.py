"""The int8 face detector that ships: the file is the stated one, both runtimes agree on it, and it finds the
face of a public-domain portrait as well as its card says."""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.vision.detector import Detection, Detector, View
from vouchbox.vision.manifest import load
from vouchbox.vision.runtime import Network, RuntimeName, choose
from vouchbox.vision.scratch import unlocked

RUNTIMES: tuple[RuntimeName, ...] = ("litert", "tflite-runtime")

FACE = (178.0, 81.0, 272.0, 175.0)
"""Where the float source finds the astronaut's face: left, top, right, bottom in pixels."""


def _runtime_or_skip(name: RuntimeName) -> None:
    package = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}[name]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{name} is not made for this Python")


def _network(root: Path, name: RuntimeName) -> Network:
    _runtime_or_skip(name)
    return Network(choose(name, environ={}), load(root / "models"), "detector")


def _astronaut() -> NDArray[np.uint8]:
    data = pytest.importorskip("skimage.data", reason="the portrait travels inside scikit-image")
    return np.ascontiguousarray(data.astronaut(), np.uint8)


def _found(root: Path, name: RuntimeName, picture: NDArray[np.uint8]) -> list[Detection]:
    detector = Detector(_network(root, name), unlocked)
    return detector.find(picture, (View(0, 0, picture.shape[1], picture.shape[0]),))


def _sides(detection: Detection) -> NDArray[np.float64]:
    box = detection.box
    return np.array([box.left, box.top, box.right, box.bottom])


def _iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return float(shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared))


@pytest.fixture(scope="module")
def entry(root: Path) -> dict[str, Any]:
    manifest = tomllib.loads((root / "models" / "manifest.toml").read_text())
    return next(model for model in manifest["model"] if model["role"] == "detector")


def test_the_file_is_the_one_that_the_manifest_states(root: Path, entry: dict[str, Any]) -> None:
    data = (root / "models" / entry["file"]).read_bytes()
    assert len(data) == entry["bytes"]
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_the_manifest_keeps_the_promise_of_the_model_card(entry: dict[str, Any]) -> None:
    assert entry["licence"] == "Apache-2.0"
    assert entry["accuracy"]["whole-frames"]["found-share"] >= 0.99
    assert entry["accuracy"]["whole-frames"]["iou-median"] >= 0.9


@pytest.mark.parametrize("name", RUNTIMES)
def test_each_runtime_finds_the_one_face(root: Path, name: RuntimeName) -> None:
    (face,) = _found(root, name, _astronaut())
    assert _iou(_sides(face), np.array(FACE)) > 0.9
    right, left = face.eyes
    assert right[0] < left[0]
    assert FACE[1] < right[1] < FACE[3]


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_each_runtime_finds_nobody_in_an_empty_picture(root: Path, name: RuntimeName, level: int) -> None:
    assert _found(root, name, np.full((480, 640, 3), level, np.uint8)) == []


def test_both_runtimes_give_the_same_numbers(root: Path) -> None:
    picture = cv2.resize(_astronaut(), (128, 128), interpolation=cv2.INTER_AREA)
    logits, boxes = [], []
    for name in RUNTIMES:
        network = _network(root, name)
        network.run(picture.astype(np.uint8))
        logits.append(network.output(network.output_of_size(896)).copy())
        boxes.append(network.output(network.output_of_size(896 * 16)).copy())
    # The runtimes round differently on the way, and background saturates at random: only anchors that come
    # near a face count. Outputs are 0..1 in 255 levels.
    near = (logits[0] > 0.5).reshape(-1)
    assert near.any()
    assert np.abs(logits[0] - logits[1]).reshape(-1)[near].max(initial=0.0) < 30 / 255
    assert np.abs(boxes[0] - boxes[1]).reshape(896, 16)[near].mean() < 6 / 255


def test_both_runtimes_agree_on_the_face(root: Path) -> None:
    one, other = (_found(root, name, _astronaut())[0] for name in RUNTIMES)
    assert _iou(_sides(one), _sides(other)) > 0.97
    assert abs(one.score - other.score) < 0.05
