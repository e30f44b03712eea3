"""Small labelled sets on disk: public-domain portraits and a clip, with the manifest that lists them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

COLUMNS = ("path", "kind", "label", "attack", "person", "train")

Write = Callable[[Sequence[Sequence[str]]], Path]
Save = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows of (path, kind, label, attack[, person[, train]]) as the manifest of a folder."""

    def build(rows: Sequence[Sequence[str]]) -> Path:
        path = tmp_path / "set.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([*row, *[""] * (len(COLUMNS) - len(row))] for row in rows)
        return path

    return build


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """Eileen Collins, NASA, public domain: 512 x 512 pixels, RGB."""
    skimage = pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)


def _png_of(picture: NDArray[np.uint8], path: Path) -> str:
    """Writes a public-domain picture; returns its name."""
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))  # noqa: TID251 - a public-domain portrait
    return path.name


def _clip_of(picture: NDArray[np.uint8], path: Path, frames: int = 45) -> str:
    """Writes a clip in which the picture sways before a noisy sensor; returns its name."""
    height, width = picture.shape[:2]
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 15.0, (width, height))  # noqa: TID251 - a public-domain portrait
    noise = np.random.default_rng(1)
    for i in range(frames):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 2.0 * np.sin(i / 7), 1.0)
        turn[:, 2] += (5.0 * np.sin(i / 5), 0.0)
        frame = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        frame = np.clip(frame + noise.normal(0.0, 2.0, frame.shape), 0, 255).astype(np.uint8)
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path.name


@pytest.fixture(scope="session")
def png_of() -> Save:
    """Writes a picture as a PNG at a path; returns its name."""
    return _png_of


@pytest.fixture(scope="session")
def clip_of() -> Save:
    """Writes a clip of a swaying picture at a path, so many frames long; returns its name."""
    return _clip_of
