"""Templates of real faces: what a rotation keeps within one party, and what two parties can't learn."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vouchbox.errors import ModelError
from vouchbox.vault import template
from vouchbox.vision import manifest
from vouchbox.vision.embedding import CHIP, Embedder
from vouchbox.vision.runtime import Network, choose

pytestmark = pytest.mark.real_data

PEOPLE = 60
BORDER = 0.003
"""A decision may hang on quantization only when the cosine is this close to the threshold."""


@pytest.fixture(scope="module")
def embeddings(real_data: Path) -> Any:
    """PEOPLE x 2 x 128: two pictures of each person."""
    folder = next((real_data / "braun-steven+dfi-tensorflow").glob("*crop160"), None)
    if folder is None:
        pytest.skip("the LFW crops are absent")
    try:
        embedder = Embedder(Network(choose(), manifest.load(), "embedding", 1))
    except ModelError as problem:
        pytest.skip(f"no embedding model: {problem}")
    people: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.*")):
        people[path.stem.rpartition("_")[0]].append(path)
    pairs = islice((paths[:2] for paths in people.values() if len(paths) > 1), PEOPLE)
    return np.array([[embedder.embed(chip(path)) for path in pair] for pair in pairs])


def chip(path: Path) -> Any:
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(picture[15:145, 15:145], (CHIP, CHIP)), np.uint8)


def protect(vectors: Any, party: str) -> list[template.Template]:
    by = template.rotation(bytes(32), party, 1)
    return [template.protect(vector.astype("<f4").tobytes(), bytes(32), by) for vector in vectors]


def values(templates: list[template.Template]) -> Any:
    rows = np.array([np.frombuffer(one.values, np.int8) for one in templates], float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_within_one_party_rotation_changes_no_match_decision(embeddings: Any) -> None:
    flat = embeddings.reshape(-1, 128).astype(float)
    clear = flat @ flat.T
    by = template.rotation(bytes(32), "a", 1)
    rotated = np.array([template.rotate(vector, by) for vector in flat])
    assert np.abs(rotated @ rotated.T - clear).max() < 1e-6
    protected = values(protect(flat, "a"))
    off = np.abs(protected @ protected.T - clear)
    assert off.max() < BORDER


def test_two_parties_templates_of_one_face_look_like_those_of_two_faces(embeddings: Any) -> None:
    first, second = embeddings[:, 0], embeddings[:, 1]
    here, there = values(protect(first, "a")), values(protect(second, "b"))
    across = here @ there.T
    same = np.diag(across)
    different = across[~np.eye(len(across), dtype=bool)]
    # The distance of the two distributions, by Kolmogorov and Smirnov, at a level of one in a thousand.
    grid = np.sort(np.concatenate((same, different)))
    below = [
        np.searchsorted(np.sort(scores), grid, side="right") / len(scores) for scores in (same, different)
    ]
    assert np.abs(below[0] - below[1]).max() < 1.95 / len(same) ** 0.5
    within = np.diag(here @ values(protect(second, "a")).T)
    assert within.mean() - same.mean() > 0.3
