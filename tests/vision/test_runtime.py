"""One thin module chooses the interpreter, and feeds it the same numbers that float arithmetic would."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import RuntimeMissing
from vouchbox.vision.models import Models
from vouchbox.vision.runtime import choose, lookup_table


@given(
    low=st.floats(-2.0, 1.0),
    span=st.floats(0.1, 300.0),
    scale=st.floats(1e-3, 2.0),
    zero=st.integers(-128, 127),
)
def test_the_lookup_table_equals_quantization_in_float(
    low: float, span: float, scale: float, zero: int
) -> None:
    picture = np.arange(256, dtype=np.uint8)
    table = lookup_table(low, low + span, np.dtype(np.int8), scale, zero)
    real = low + picture.astype(np.float64) * (span / 255.0)
    expected = np.clip(np.round(real / scale + zero), -128, 127)
    assert np.array_equal(table[picture], expected)


def test_a_float_input_takes_the_real_values() -> None:
    table = lookup_table(-1.0, 1.0, np.dtype(np.float32), 0.0, 0)
    assert (table[0], table[255], table.dtype) == (-1.0, 1.0, np.float32)


def test_both_ways_of_quantizing_give_the_same_input(models_on_each_runtime: Models) -> None:
    network = models_on_each_runtime.landmarks
    picture = np.random.default_rng(1).integers(0, 256, network.shape, np.uint8)
    network.run(picture)
    by_shift = network._batch.copy()
    network._shift = not network._shift
    network.run(picture)
    network._shift = not network._shift
    assert network._shift
    assert np.array_equal(by_shift, network._batch)


def test_wiping_leaves_no_picture_in_a_network(models_on_each_runtime: Models) -> None:
    network = models_on_each_runtime.detector
    network.run(np.full(network.shape, 200, np.uint8))
    assert not network.wiped
    network.wipe()
    assert network.wiped


def test_both_runtimes_agree_on_a_face(models: Models, models_on_each_runtime: Models) -> None:
    picture = np.random.default_rng(2).integers(0, 256, models.embedding.shape, np.uint8)
    vectors = []
    for loaded in (models, models_on_each_runtime):
        loaded.embedding.run(picture)
        vector = loaded.embedding.output(0).ravel()
        vectors.append(vector / np.linalg.norm(vector))
    assert float(vectors[0] @ vectors[1]) > 0.99


def test_the_verdict_can_name_the_runtime(models_on_each_runtime: Models) -> None:
    name, version = models_on_each_runtime.runtime.label.split(" ")
    assert name in ("litert", "tflite-runtime")
    assert version[0].isdigit()


def test_the_environment_goes_before_the_configuration() -> None:
    assert choose("tflite-runtime", {"VOUCHBOX_RUNTIME": "litert"}).label.startswith("litert")
    with pytest.raises(RuntimeMissing, match="no runtime 'psychic'"):
        choose("litert", {"VOUCHBOX_RUNTIME": "psychic"})


def test_a_runtime_that_is_not_installed_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeMissing, match="pip install ai-edge-litert"):
        choose("auto", {})


def test_without_litert_the_fallback_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime has no release for Python >= 3.12")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert choose("auto", {}).label.startswith("tflite-runtime")
