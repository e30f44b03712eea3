"""models/manifest.toml says of every file what the file itself says, and where it comes from."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from model_factory import manifest, sources

ROLES = ("detector", "landmarks", "embedding", "liveness")
SOURCES = {
    "detector": sources.DETECTOR,
    "landmarks": sources.LANDMARKS,
    "embedding": sources.EMBEDDING,
}


@pytest.fixture(scope="module")
def entries(root: Path) -> dict[str, dict[str, Any]]:
    parsed = tomllib.loads((root / "models" / "manifest.toml").read_text())
    assert parsed["schema"] == 1
    return {entry["role"]: entry for entry in parsed["model"]}


def test_every_model_that_ships_is_listed_and_nothing_else(
    root: Path, entries: dict[str, dict[str, Any]]
) -> None:
    assert {entry["file"] for entry in entries.values()} == {
        p.name for p in (root / "models").glob("*.tflite")
    }
    assert set(ROLES) <= set(entries)


@pytest.mark.parametrize("role", ROLES)
def test_size_and_digest_are_those_of_the_file(
    root: Path, entries: dict[str, dict[str, Any]], role: str
) -> None:
    data = (root / "models" / entries[role]["file"]).read_bytes()
    assert len(data) == entries[role]["bytes"]
    assert hashlib.sha256(data).hexdigest() == entries[role]["sha256"]


@pytest.mark.parametrize("role", ROLES)
def test_tensors_are_those_of_the_file_and_all_int8(
    root: Path, entries: dict[str, dict[str, Any]], role: str
) -> None:
    interpreter = Interpreter(model_path=str(root / "models" / entries[role]["file"]))
    for stated, found in (
        (entries[role]["inputs"], interpreter.get_input_details()),
        (entries[role]["outputs"], interpreter.get_output_details()),
    ):
        real = [(d["shape"].tolist(), np.dtype(d["dtype"]).name) for d in found]
        assert [(tensor["shape"], tensor["dtype"]) for tensor in stated] == real
        assert {tensor["dtype"] for tensor in stated} == {"int8"}


@pytest.mark.parametrize("role", SOURCES)
def test_licence_and_source_are_those_that_the_build_fetches(
    entries: dict[str, dict[str, Any]], role: str
) -> None:
    assert entries[role]["licence"] == SOURCES[role].licence
    assert entries[role]["source"] == SOURCES[role].description
    assert entries[role]["source_sha256"] == SOURCES[role].sha256
    assert entries[role]["accuracy"]


def test_the_network_of_our_own_is_small_names_its_training_and_carries_its_calibration(
    root: Path, entries: dict[str, dict[str, Any]]
) -> None:
    entry = entries["liveness"]
    assert entry["bytes"] <= 600 * 1024
    assert entry["licence"] == "Apache-2.0"
    assert "scripts/train_liveness" in entry["source"]
    assert (root / "scripts" / "train_liveness").is_file()
    assert set(entry["decode"]) == {"weight", "offset"}
    for kind in ("video", "full", "crop"):
        assert 0.0 <= entry["accuracy"][kind]["auc"] <= 1.0


def test_the_network_of_our_own_is_plain_convolutions_of_at_most_half_a_million_weights(root: Path) -> None:
    interpreter = Interpreter(model_path=str(root / "models" / "liveness.tflite"))
    assert {op["op_name"] for op in interpreter._get_ops_details()} <= {"CONV_2D", "DELEGATE"}
    weights = [
        t["shape"]
        for t in interpreter.get_tensor_details()
        if len(t["shape"]) == 4 and "weights" in t["name"]
    ]
    assert 50_000 < sum(int(np.prod(shape)) for shape in weights) <= 500_000


def _entry(role: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "file": f"{role}.tflite", "sha256": sha256, **more}


def test_a_measurement_belongs_to_one_digest(tmp_path: Path) -> None:
    manifest.record_build(_entry("embedding", "aa"), b"a", tmp_path)
    manifest.record_measurement("embedding", {"accuracy": {"int8": 0.5}}, tmp_path)
    manifest.record_build(_entry("embedding", "aa"), b"a", tmp_path)
    assert manifest.read(tmp_path)[0]["accuracy"] == {"int8": 0.5}
    manifest.record_build(_entry("embedding", "bb"), b"b", tmp_path)
    assert "accuracy" not in manifest.read(tmp_path)[0]


def test_building_one_model_leaves_the_others_alone(tmp_path: Path) -> None:
    manifest.record_build(_entry("landmarks", "aa", decode={"low": [1.5, -2.0]}), b"a", tmp_path)
    manifest.record_build(_entry("detector", "bb"), b"b", tmp_path)
    assert [entry["role"] for entry in manifest.read(tmp_path)] == ["detector", "landmarks"]
    assert manifest.read(tmp_path)[1]["decode"] == {"low": [1.5, -2.0]}


def test_a_measurement_can_change_nothing_but_figures(tmp_path: Path) -> None:
    manifest.record_build(_entry("embedding", "aa"), b"a", tmp_path)
    with pytest.raises(ValueError, match="sha256"):
        manifest.record_measurement("embedding", {"sha256": "bb"}, tmp_path)


def test_a_source_that_is_not_the_known_file_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / f"{sources.LANDMARKS.sha256[:16]}-face_landmark.tflite"
    kept.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not the file"):
        sources.fetch(sources.LANDMARKS, tmp_path)
