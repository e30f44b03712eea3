"""Measures the int8 detector against its float source on real bona fide clips, through the same code that
the box runs: `PYTHONPATH=scripts python -m model_factory.measure_detector [--record] [MODELS]`, in the
environment of the package (no TensorFlow). The clips are found by VOUCHBOX_DATA; nothing of them is kept.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from vouchbox.camera.source import Image
from vouchbox.vision.detector import OPERATING_THRESHOLD, Detection, Detector, overlap, views
from vouchbox.vision.manifest import Manifest, ModelEntry, TensorEntry, load
from vouchbox.vision.runtime import Network, RuntimeName, choose
from vouchbox.vision.scratch import unlocked

from . import manifest, sources

EVERY = 10
MOST_FRAMES = 60
SAME_FACE = 0.3
WEAK = 0.25
"""A float score from which on an int8 detection is no invention, only on the other side of the threshold."""


@dataclass
class Figures:
    """Counts over all views that were looked at; a pair is one face that both models found."""

    views: int = 0
    float_faces: int = 0
    views_with_face: int = 0
    missed_views: int = 0
    extras: int = 0
    inventions: int = 0
    overlaps: list[float] = field(default_factory=list)
    eye_errors: list[float] = field(default_factory=list)

    def add(self, true: list[Detection], weak: list[Detection], found: list[Detection]) -> None:
        """One view: float detections, float detections from score WEAK on, int8 detections."""
        self.views += 1
        self.float_faces += len(true)
        hit = False
        for face in true:
            near = [(_overlap(face, other), other) for other in found]
            best, other = max(near, key=lambda pair: pair[0], default=(0.0, face))
            if best > SAME_FACE:
                hit = True
                self.overlaps.append(best)
                between = float(np.linalg.norm(face.eyes[0] - face.eyes[1]))
                off = float(np.linalg.norm(face.eyes - other.eyes, axis=1).mean())
                self.eye_errors.append(off / max(between, 1e-6))
        self.views_with_face += bool(true)
        self.missed_views += bool(true) and not hit
        self.extras += sum(all(_overlap(face, other) <= SAME_FACE for other in true) for face in found)
        self.inventions += sum(all(_overlap(face, other) <= SAME_FACE for other in weak) for face in found)

    def table(self) -> dict[str, float]:
        """The rows of the manifest's accuracy table."""
        return {
            "views": self.views,
            "views-with-float-face": self.views_with_face,
            "found-share": round(1 - self.missed_views / max(self.views_with_face, 1), 4),
            "iou-median": round(float(np.median(self.overlaps)), 4),
            "iou-5th-percentile": round(float(np.percentile(self.overlaps, 5)), 4),
            "eye-error-median-share-of-eye-distance": round(float(np.median(self.eye_errors)), 4),
            "extras": self.extras,
            "inventions": self.inventions,
        }


def bona_fide_videos(data: Path) -> list[Path]:
    """The bona fide videos of liveness.csv."""
    with (data / "liveness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [data / row["path"] for row in rows if row["kind"] == "video" and row["label"] == "bonafide"]


def frames(path: Path) -> Iterator[Image]:
    """Every tenth frame, RGB, sixty at most."""
    clip = cv2.VideoCapture(str(path))
    for number in range(EVERY * MOST_FRAMES):
        if not clip.grab():
            break
        if number % EVERY == 0:
            _, picture = clip.retrieve()
            yield cast("Image", cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    clip.release()


def source_manifest() -> Manifest:
    """The float source as if it were an entry of the manifest, so that the same code runs it."""
    path = sources.fetch(sources.DETECTOR)
    entry = ModelEntry(
        role="detector",
        file=path.name,
        sha256=sources.DETECTOR.sha256,
        bytes=path.stat().st_size,
        inputs=(TensorEntry((1, 128, 128, 3), "float32"),),
        outputs=(TensorEntry((1, 896, 16), "float32"), TensorEntry((1, 896, 1), "float32")),
    )
    return Manifest(path.parent, (entry,))


def measure(
    models: Manifest, videos: list[Path], runtime: RuntimeName = "litert", level: int = 0
) -> dict[str, Figures]:
    """Figures for each clip by its path. `level` 0 looks at whole frames, 1 at their squares (see views)."""
    chosen = choose(runtime)
    network = Network(chosen, models, "detector")
    quantized = Detector(network, unlocked, OPERATING_THRESHOLD)
    source = Network(chosen, source_manifest(), "detector")
    true, weak = Detector(source, unlocked, OPERATING_THRESHOLD), Detector(source, unlocked, WEAK)
    result: dict[str, Figures] = {}
    for video in videos:
        figures = result[str(video)] = Figures()
        for frame in frames(video):
            levels = views(frame.shape[1], frame.shape[0])
            for view in levels[min(level, len(levels) - 1)]:
                figures.add(
                    true.find(frame, (view,)), weak.find(frame, (view,)), quantized.find(frame, (view,))
                )
    return result


def total(by_clip: dict[str, Figures]) -> Figures:
    """All clips together."""
    everything = Figures()
    for figures in by_clip.values():
        for name, value in vars(figures).items():
            setattr(everything, name, getattr(everything, name) + value)
    return everything


def _overlap(one: Detection, other: Detection) -> float:
    boxes = [np.array([[d.box.left, d.box.top, d.box.right, d.box.bottom]], np.float32) for d in (one, other)]
    return float(overlap(boxes[0][0], boxes[1])[0])


def main(arguments: list[str]) -> int:
    """Print a row for each clip and the totals, and with --record write them into the manifest. Returns 1
    where the promise of the model card does not hold."""
    root = Path(__file__).resolve().parents[2]
    data = Path(os.environ.get("VOUCHBOX_DATA", root.parent / "shared" / "data"))
    folders = [Path(argument) for argument in arguments if argument != "--record"]
    models, videos = load(folders[0] if folders else root / "models"), bona_fide_videos(data)
    by_clip = measure(models, videos)
    for name, figures in by_clip.items():
        middle = np.median(figures.overlaps) if figures.overlaps else float("nan")
        print(
            f"{figures.views_with_face:4} of {figures.views:3} with a face, {figures.missed_views:2} missed, "
            f"{figures.extras:2} extra, {figures.inventions:2} invented, IoU {middle:.3f}  {Path(name).name}"
        )
    accuracy = {
        "clips": len(videos),
        "threshold": OPERATING_THRESHOLD,
        "whole-frames": total(by_clip).table(),
        "whole-frames-tflite-runtime": total(measure(models, videos, "tflite-runtime")).table(),
        "squares": total(measure(models, videos, level=1)).table(),
    }
    for key, value in accuracy.items():
        print(f"{key}: {value}")
    if "--record" in arguments:
        manifest.record_measurement("detector", {"accuracy": accuracy})
    held = total(by_clip).table()
    return 0 if held["found-share"] >= 0.99 and held["iou-median"] >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
