"""The face's embedding: 128 numbers from the few best frames of a session.

While the clip runs, the best chips are kept in locked scratch memory; the network sees them only after the
session was found live and an embedding was asked for. Nothing else may leave: the chips are wiped with the
ring. Sources: dlib's face recognition ResNet (CC0) and the geometry of its get_face_chip; S. Umeyama,
IEEE PAMI 13 (1991) 376, for the similarity.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import ModelError
from vouchbox.vision.observation import Landmarks
from vouchbox.vision.runtime import Network
from vouchbox.vision.scratch import Scratch

CHIP = 150
"""Pixels of a chip's side."""

PADDING = 0.25
"""Margin around the template, in units of its side."""

SIZE = 128

BEST_FRAMES = 5
"""Chips that are kept and averaged."""

BETTER_BY = 2.0
"""A frame replaces a kept one only when it is fitter by this much, so that equal frames cost nothing."""

# Eye corners (person's left outer and inner, right outer and inner) and nose base, and where dlib's
# 5-point template puts them in the unit square.
CHIP_POINTS = (263, 362, 33, 133, 2)
_TEMPLATE = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750820789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)
CHIP_TARGET: NDArray[np.float64] = (np.array(_TEMPLATE) + PADDING) / (1.0 + 2.0 * PADDING) * CHIP
"""Where CHIP_POINTS lie in a chip, in pixels (5 x 2)."""


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2 x 3 rotation, scale and shift that best carries n x 2 points to n x 2 points."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    energy = max(float((a**2).sum()), 1e-9)
    # In the plane the best rotation and scale are one complex number.
    real = float((a * b).sum()) / energy
    imaginary = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / energy
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def cut_chip(frame: Image, points: Landmarks, into: Image) -> None:
    """Write the aligned 150 x 150 chip of the face with `points` into `into`."""
    to_chip = similarity(points[list(CHIP_POINTS), :2].astype(np.float64), CHIP_TARGET)
    factor = int(1.0 / max(math.hypot(to_chip[0, 0], to_chip[1, 0]), 1e-3))
    if factor >= 2:
        # Sampling a face far larger than the chip would alias: shrink its surroundings first.
        small, to_chip = _shrunk(frame, to_chip, factor)
        _warp(small, to_chip, into)
        small.fill(0)
    else:
        _warp(frame, to_chip, into)


def _warp(picture: Image, to_chip: NDArray[np.float64], into: Image) -> None:
    cv2.warpAffine(
        picture, to_chip, (CHIP, CHIP), dst=into, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _shrunk(frame: Image, to_chip: NDArray[np.float64], factor: int) -> tuple[Image, NDArray[np.float64]]:
    """The part of the frame that the chip needs, smaller by `factor`, and the map from there to the chip."""
    back = cv2.invertAffineTransform(to_chip)
    corners = np.array([(0, 0, 1), (CHIP, 0, 1), (0, CHIP, 1), (CHIP, CHIP, 1)]) @ back.T
    height, width = frame.shape[:2]
    edge = (width - factor, height - factor)
    low = np.clip(corners.min(axis=0) - factor, 0.0, edge)
    left, top = (int(v) // factor * factor for v in low)
    right = int(min(width, corners[:, 0].max() + 2 * factor))
    bottom = int(min(height, corners[:, 1].max() + 2 * factor))
    columns, rows = max(1, (right - left) // factor), max(1, (bottom - top) // factor)
    part = frame[top : top + rows * factor, left : left + columns * factor]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    middle = (factor - 1) / 2.0
    grow = np.array([[factor, 0.0, left + middle], [0.0, factor, top + middle], [0.0, 0.0, 1.0]])
    return np.asarray(small, np.uint8), to_chip @ grow


class BestChips:
    """The BEST_FRAMES fittest chips of a session so far."""

    def __init__(self, scratch: Scratch) -> None:
        self._chips: Image = scratch("chips", (BEST_FRAMES, CHIP, CHIP, 3), np.uint8)
        self._fitness: list[float] = []

    def offer(self, frame: Image, points: Landmarks, fitness: float) -> None:
        """Keep this frame's chip when it is among the fittest."""
        if len(self._fitness) < BEST_FRAMES:
            self._fitness.append(fitness)
            place = len(self._fitness) - 1
        else:
            place = min(range(BEST_FRAMES), key=self._fitness.__getitem__)
            if fitness < self._fitness[place] + BETTER_BY:
                return
            self._fitness[place] = fitness
        cut_chip(frame, points, self._chips[place])

    @property
    def chips(self) -> list[Image]:
        """The kept chips, views of the scratch memory."""
        return [self._chips[place] for place in range(len(self._fitness))]


class Embedder:
    """The embedding network."""

    def __init__(self, network: Network) -> None:
        if network.shape != (CHIP, CHIP, 3):
            raise ModelError("the embedding model takes another picture size", "install vouchbox again")
        self._network = network
        self._output = network.output_of_size(SIZE)

    def embed(self, chip: Image) -> NDArray[np.float32]:
        """The L2-normalised embedding of one chip: 128 float32."""
        self._network.run(chip)
        return _unit(self._network.output(self._output).reshape(-1))

    def embed_all(self, chips: BestChips) -> NDArray[np.float32] | None:
        """The L2-normalised mean of the kept chips' embeddings, or None when there are none."""
        kept = [self.embed(chip) for chip in chips.chips]
        return _unit(np.mean(kept, axis=0, dtype=np.float32)) if kept else None


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    if not math.isfinite(length) or length < 1e-6:
        raise ModelError("the embedding model gave no embedding", "install vouchbox again")
    return np.asarray(vector / length, np.float32)
