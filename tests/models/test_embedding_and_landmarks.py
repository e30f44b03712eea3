"""The int8 landmarks and embedding say what their float sources say, and the same on both runtimes."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.vision.embedding import CHIP, Embedder, cut_chip
from vouchbox.vision.landmarks import LandmarkFinder, Mesh
from vouchbox.vision.manifest import load
from vouchbox.vision.runtime import Network, RuntimeName, choose
from vouchbox.vision.scratch import unlocked

RUNTIMES: tuple[RuntimeName, ...] = ("litert", "tflite-runtime")

REGION = np.array([[0.83557, -0.04322, 148.855], [0.04322, 0.83557, 38.843]], np.float32)
"""Eileen Collins's face in scikit-image's astronaut (public domain): pixels of the crop to the picture's."""

CROP_SCALE = 0.8367
"""Pixels of the picture for one of the crop."""

FLOAT_POINTS = {
    33: (194.0, 101.0),
    133: (213.2, 103.8),
    362: (236.8, 105.1),
    263: (256.5, 104.3),
    1: (222.7, 131.4),
    61: (200.8, 139.1),
    291: (245.9, 141.8),
    152: (220.3, 176.9),
}
"""Where the float source puts some mesh points of her face, in pixels of the picture."""


def _network(root: Path, runtime: RuntimeName, role: str) -> Network:
    package = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}[runtime]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{runtime} is not made for this Python")
    return Network(choose(runtime, environ={}), load(root / "models"), role)


def _fit(root: Path, runtime: RuntimeName, picture: Image, region: NDArray[np.float32] = REGION) -> Mesh:
    return LandmarkFinder(_network(root, runtime, "landmarks"), unlocked).fit(picture, region)


def _chip(picture: Image, mesh: Mesh) -> Image:
    chip = np.zeros((CHIP, CHIP, 3), np.uint8)
    cut_chip(picture, mesh.points, chip)
    return chip


@pytest.fixture(scope="module")
def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="the portrait travels inside scikit-image")
    return np.ascontiguousarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="module")
def entries(root: Path) -> dict[str, dict[str, Any]]:
    parsed = tomllib.loads((root / "models" / "manifest.toml").read_text())
    return {entry["role"]: entry for entry in parsed["model"]}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_points_lie_where_the_float_source_puts_them(
    root: Path, astronaut: Image, runtime: RuntimeName
) -> None:
    mesh = _fit(root, runtime, astronaut)
    assert mesh.presence > 0.99
    for point, place in FLOAT_POINTS.items():
        assert np.linalg.norm(mesh.points[point, :2] - place) / CROP_SCALE < 1.5


def test_both_runtimes_put_the_points_within_a_pixel_of_the_crop(root: Path, astronaut: Image) -> None:
    one, other = (_fit(root, runtime, astronaut).points[:, :2] for runtime in RUNTIMES)
    assert np.linalg.norm(one - other, axis=1).mean() / CROP_SCALE < 1.0


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_is_no_face(root: Path, runtime: RuntimeName, level: int) -> None:
    assert _fit(root, runtime, np.full((480, 640, 3), level, np.uint8)).presence < 0.5


def test_both_runtimes_give_the_same_embedding(root: Path, astronaut: Image) -> None:
    chip = _chip(astronaut, _fit(root, "litert", astronaut))
    one, other = (Embedder(_network(root, runtime, "embedding")).embed(chip) for runtime in RUNTIMES)
    assert float(one @ other) >= 0.999


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_one_person_matches_in_other_light_and_two_persons_do_not(
    root: Path, astronaut: Image, runtime: RuntimeName, entries: dict[str, dict[str, Any]]
) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="the second portrait travels inside matplotlib")
    hopper_file = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    hopper = np.asarray(cv2.cvtColor(cv2.imread(str(hopper_file)), cv2.COLOR_BGR2RGB), np.uint8)
    around = np.array([[1.5, 0, 266 - 144], [0, 1.5, 243 - 144]], np.float32)
    embedder = Embedder(_network(root, runtime, "embedding"))
    reference = embedder.embed(_chip(astronaut, _fit(root, runtime, astronaut)))
    darker = np.asarray(cv2.GaussianBlur(cv2.convertScaleAbs(astronaut, alpha=0.6), (0, 0), 0.8), np.uint8)
    again = embedder.embed(_chip(darker, _fit(root, runtime, darker)))
    stranger = embedder.embed(_chip(hopper, _fit(root, runtime, hopper, around)))
    thresholds = entries["embedding"]["thresholds"]
    assert float(reference @ again) > thresholds["fmr_1e-4"]
    assert float(reference @ stranger) < thresholds["fmr_1e-3"]


def test_int8_loses_at_most_half_a_point_of_accuracy(entries: dict[str, dict[str, Any]]) -> None:
    accuracy = entries["embedding"]["accuracy"]
    assert accuracy["pairs"] == 6000
    assert accuracy["float"]["accuracy"] - accuracy["int8"]["accuracy"] <= 0.005
    low, high = accuracy["int8"]["accuracy_95"]
    assert low < accuracy["int8"]["accuracy"] < high


def test_a_lower_false_match_rate_asks_for_a_higher_cosine(entries: dict[str, dict[str, Any]]) -> None:
    thresholds = entries["embedding"]["thresholds"]
    assert 0 < thresholds["fmr_1e-2"] < thresholds["fmr_1e-3"] < thresholds["fmr_1e-4"] < 1


def test_the_landmarks_keep_the_promise_of_their_card(entries: dict[str, dict[str, Any]]) -> None:
    for runtime in ("litert", "tflite_runtime"):
        for material in ("lfw", "bona_fide_clips"):
            figures = entries["landmarks"]["accuracy"][runtime][material]
            assert figures["nme_mean"] < 0.015
            assert figures["eye_aspect_ratio_mean"] < 0.01
            assert figures["same_presence"] > 0.99
