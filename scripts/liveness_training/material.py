"""Which pictures of faces there are to learn from and to measure on: frames with a face box, read through the
very code that runs on a box.

Only rows with train=yes are ever returned as training material; asking for them is asking for no other. The
other rows are read for calibration and measurement, by another function.
"""

from __future__ import annotations

import csv
import pickle  # noqa: TID251 - a cache of our own, outside the repository and the rooms
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.source import Image
from vouchbox.vision.detector import Detector
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.manifest import load
from vouchbox.vision.runtime import Network, choose
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.tracking import Tracker

LOOK_RATE = 5.0
"""Frames of a clip that are looked at in a second."""

MINUTE = 60.0

TRIES = 6
"""A still is shown to the tracker this often: it searches other parts of the picture each time."""

PORTRAITS = "pypi_public_domain"


@dataclass(frozen=True)
class Row:
    """One line of liveness.csv."""

    path: str
    kind: str
    bonafide: bool
    attack: str
    person: str
    train: bool


@dataclass(frozen=True)
class Sight:
    """One frame (RGB) with its face: box left, top, right, bottom, and landmarks [468, 3] where they were
    found."""

    frame: Image
    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32] | None
    row: Row


def rows(data: Path) -> list[Row]:
    """All of liveness.csv."""
    with (data / "liveness.csv").open(newline="") as file:
        return [
            Row(r["path"], r["kind"], r["label"] == "bonafide", r["attack"], r["person"], r["train"] == "yes")
            for r in csv.DictReader(file)
        ]


def training_rows(data: Path) -> list[Row]:
    """The rows that may influence a weight, and the public-domain portraits."""
    found = [row for row in rows(data) if row.train]
    for path in sorted((data / PORTRAITS).iterdir()):
        person = path.stem.rstrip("0123456789")
        found.append(Row(f"{PORTRAITS}/{path.name}", "full", True, "none", person, True))
    return found


class Finder:
    """Finds the face of a frame as the box does."""

    def __init__(self) -> None:
        known, runtime = load(), choose()
        self._detector, self._landmarks = (Network(runtime, known, r) for r in ("detector", "landmarks"))

    def _tracker(self, width: int, height: int) -> Tracker:
        finder = LandmarkFinder(self._landmarks, unlocked)
        return Tracker(Detector(self._detector, unlocked), finder, width, height)

    def still(self, row: Row, frame: Image) -> Sight | None:
        """The largest face of a still; a crop in which none is found is its own box."""
        height, width = frame.shape[:2]
        tracker = self._tracker(width, height)
        for _ in range(TRIES):
            mesh = tracker.follow(frame).mesh
            if mesh is not None:
                b = mesh.box
                return Sight(frame, (b.left, b.top, b.right, b.bottom), mesh.points, row)
        if row.kind != "crop":
            return None
        # A crop from somebody's detector: the face reaches to its edges.
        return Sight(frame, (0.0, 0.0, float(width), float(height)), None, row)

    def clip(self, row: Row, path: Path, most: int, seconds: float) -> list[Sight]:
        """Up to `most` frames with a face, spread over the first `seconds` of a clip."""
        source = ClipSource(path, pace="fast", max_seconds=seconds)
        shape = source.open()
        tracker = self._tracker(shape.width, shape.height)
        frame = np.zeros((shape.height, shape.width, 3), np.uint8)
        found, due = [], 0.0
        first: int | None = None
        while (stamp := source.capture(frame)) is not None:
            first = stamp.timestamp_ns if first is None else first
            now = (stamp.timestamp_ns - first) / 1e9
            if now < due:
                continue
            due = now + 1.0 / LOOK_RATE
            mesh = tracker.follow(frame).mesh
            if mesh is not None:
                b = mesh.box
                found.append(Sight(frame.copy(), (b.left, b.top, b.right, b.bottom), mesh.points, row))
        source.close()
        if len(found) > most:
            found = [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
        return found


def sights(data: Path, chosen: list[Row], most: int, seconds: float = MINUTE) -> Iterator[Sight]:
    """The sights of these rows, at most `most` of the first `seconds` of a clip."""
    finder = Finder()
    for row in chosen:
        path = data / row.path
        if row.kind == "video":
            yield from finder.clip(row, path, most, seconds)
            continue
        decoded: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if decoded is None:
            raise ValueError(f"{row.path} can't be read as a picture")
        sight = finder.still(row, np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8))
        if sight is not None:
            yield sight


MATERIAL = "material.pickle"
CLIP_FRAMES = 30
SUBJECT_SESSIONS = 320


def gather_material(data: Path, path: Path, seed: int) -> int:
    """Collect what may be learnt from into one file, real frames and the simulated subject's; how many."""
    from .simulated import subjects

    real = list(sights(data, training_rows(data), CLIP_FRAMES))
    if not all(sight.row.train for sight in real):
        raise ValueError("a row that may not be learnt from is among the material")
    drawn = list(subjects(data / PORTRAITS, SUBJECT_SESSIONS, seed))
    with path.open("wb") as file:
        pickle.dump((real, drawn), file)
    return len(real) + len(drawn)


def read_material(path: Path) -> tuple[list[Sight], list[Sight]]:
    """Real sights, and those of the simulated subject, that gather_material left."""
    with path.open("rb") as file:
        real, drawn = pickle.load(file)  # noqa: S301 - a file of our own, written a stage before
    return real, drawn
