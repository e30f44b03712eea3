"""The embedding is of the best frames, of unit length, and the same person stays the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.camera.source import Image, Stamp
from vouchbox.vision.embedding import (
    BEST_FRAMES,
    CHIP,
    CHIP_POINTS,
    CHIP_TARGET,
    BestChips,
    Embedder,
    cut_chip,
    similarity,
)
from vouchbox.vision.models import Models
from vouchbox.vision.observer import Observer
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock


@given(turn=st.floats(-3.1, 3.1), scale=st.floats(0.1, 10.0), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_a_similarity_is_recovered_exactly(turn: float, scale: float, x: float, y: float) -> None:
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = CHIP_TARGET @ rotation.T + (x, y)
    assert similarity(CHIP_TARGET, moved) == pytest.approx(np.column_stack([rotation, (x, y)]), abs=1e-6)


def _points(scale: float, left: float, top: float) -> np.ndarray:
    points = np.zeros((468, 3), np.float32)
    points[list(CHIP_POINTS), :2] = CHIP_TARGET * scale + (left, top)
    return points


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.5])
def test_the_chip_is_cut_at_the_template_at_every_size(scale: float) -> None:
    y, x = np.mgrid[0:600, 0:600].astype(np.float32)
    frame = np.dstack([x / 600 * 255, y / 600 * 255, np.zeros_like(x)]).astype(np.uint8)
    chip = np.zeros((CHIP, CHIP, 3), np.uint8)
    cut_chip(frame, _points(scale, 20.0, 30.0), chip)
    for row, column in ((20, 20), (75, 75), (130, 40)):
        expected = np.array([(column * scale + 20) / 600 * 255, (row * scale + 30) / 600 * 255])
        assert chip[row, column, :2] == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize(("left", "top"), [(-900.0, -900.0), (560.0, 100.0), (5000.0, 5000.0)])
@pytest.mark.parametrize("scale", [0.2, 4.0])
def test_a_face_over_the_edge_is_no_trouble(left: float, top: float, scale: float) -> None:
    frame = np.full((480, 640, 3), 99, np.uint8)
    chip = np.zeros((CHIP, CHIP, 3), np.uint8)
    cut_chip(frame, _points(scale, left, top), chip)
    assert chip.min() == chip.max() == 99


def test_only_the_fittest_frames_are_kept() -> None:
    chips = BestChips(unlocked)
    for number in range(40):
        fit = 90.0 if number in (3, 11, 17, 29, 31) else 10.0 + number / 10
        chips.offer(np.full((300, 300, 3), number, np.uint8), _points(1.0, 50.0, 50.0), fit)
    assert sorted(int(chip[0, 0, 0]) for chip in chips.chips) == [3, 11, 17, 29, 31]
    assert len(chips.chips) == BEST_FRAMES


def _embed(models: Models, frame: Image) -> np.ndarray:
    observer = Observer(models, unlocked, frame.shape[1], frame.shape[0], StageClock(), True)
    for index in range(2):
        observer.observe(frame, Stamp(index, index), index / 15)
    assert observer.chips is not None
    vector = Embedder(models.embedding).embed_all(observer.chips)
    assert vector is not None
    return vector


def test_an_embedding_has_unit_length_and_survives_size_tilt_and_noise(
    models_on_each_runtime: Models, picture_of: Callable[..., Image]
) -> None:
    reference = _embed(models_on_each_runtime, picture_of(160))
    assert reference.shape == (128,)
    assert reference.dtype == np.float32
    assert float(np.linalg.norm(reference)) == pytest.approx(1.0, abs=1e-5)
    for frame in (picture_of(110), picture_of(160, degrees=15, noise=3)):
        assert float(reference @ _embed(models_on_each_runtime, frame)) > 0.95


def test_without_a_frame_there_is_no_embedding(models: Models) -> None:
    assert Embedder(models.embedding).embed_all(BestChips(unlocked)) is None
