"""Measures the int8 landmarks against their float source, through the same code that the box runs:

    PYTHONPATH=scripts .venv/bin/python -m model_factory.measure_landmarks [--record]

Both networks look at the very same crops: those of every tenth LFW picture, and those of faces that are
followed through the bona fide clips (turned heads, blinks, speech). Clips are found by VOUCHBOX_DATA, and
nothing of them is kept. Prints JSON; with --record the figures go into models/manifest.toml.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import Progress

from vouchbox.camera.source import Image
from vouchbox.vision.detector import Detector
from vouchbox.vision.eyes import aspect_ratios, inter_eye_distance
from vouchbox.vision.landmarks import LandmarkFinder, region_of_points
from vouchbox.vision.manifest import load
from vouchbox.vision.runtime import Network, Runtime, RuntimeName, choose
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.tracking import Tracker

from . import manifest
from .float_models import float_models
from .measure_detector import bona_fide_videos, frames
from .measure_embedding import ROOT, lfw_pictures, picture_of

EVERY_PICTURE = 10
PRESENT = 0.5
RUNTIMES: tuple[RuntimeName, ...] = ("litert", "tflite-runtime")


@dataclass
class Agreement:
    """What was seen on one kind of picture; one value for each face."""

    point_errors: list[float] = field(default_factory=list)
    depth_errors: list[float] = field(default_factory=list)
    eye_errors: list[float] = field(default_factory=list)
    presences: list[tuple[float, float]] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """Errors in parts of the eye distance; eye aspect ratio errors in its own unit (open: about 0.25)."""
        points = np.array(self.point_errors)
        judged = [(a > PRESENT) == (b > PRESENT) for a, b in self.presences]
        return {
            "faces": len(self.presences),
            "nme_mean": round(float(points.mean()), 5),
            "nme_95th_percentile": round(float(np.percentile(points, 95)), 5),
            "nme_highest": round(float(points.max()), 5),
            "depth_mean": round(float(np.mean(self.depth_errors)), 5),
            "eye_aspect_ratio_mean": round(float(np.mean(self.eye_errors)), 5),
            "eye_aspect_ratio_95th_percentile": round(float(np.percentile(self.eye_errors, 95)), 5),
            "same_presence": round(float(np.mean(judged)), 5),
        }


class Comparison:
    """Follows faces with the float networks and shows each crop to both."""

    def __init__(self, runtime: Runtime) -> None:
        originals = float_models()
        self._detector = Detector(Network(runtime, originals, "detector"), unlocked)
        self._original = LandmarkFinder(Network(runtime, originals, "landmarks"), unlocked)
        shipped = Network(runtime, load(ROOT / "models"), "landmarks")
        self._shipped = LandmarkFinder(shipped, unlocked)

    def follow(self, pictures: Iterator[Image], into: Agreement) -> None:
        """Compare on every picture of one size in which the float networks find a face."""
        tracker: Tracker | None = None
        for picture in pictures:
            tracker = tracker or Tracker(self._detector, self._original, picture.shape[1], picture.shape[0])
            mesh = tracker.follow(picture).mesh
            if mesh is None:
                continue
            region = region_of_points(mesh.points, self._original.pixels)
            true, found = self._original.fit(picture, region), self._shipped.fit(picture, region)
            eyes = inter_eye_distance(true.points)
            off = np.abs(true.points - found.points)
            into.point_errors.append(float(np.hypot(off[:, 0], off[:, 1]).mean() / eyes))
            into.depth_errors.append(float(off[:, 2].mean() / eyes))
            ratios = zip(aspect_ratios(true.points), aspect_ratios(found.points), strict=True)
            into.eye_errors.append(float(np.mean([abs(a - b) for a, b in ratios])))
            into.presences.append((true.presence, found.presence))


def measure(data: Path, runtime: Runtime) -> dict[str, Any]:
    """The figures of one runtime."""
    comparison = Comparison(runtime)
    pictures, videos = lfw_pictures(data)[::EVERY_PICTURE], bona_fide_videos(data)
    stills, clips = Agreement(), Agreement()
    with Progress(console=Console(stderr=True)) as progress:
        for path in progress.track(pictures, description=f"{runtime.label}: pictures"):
            comparison.follow(iter([picture_of(path)]), stills)
        for video in progress.track(videos, description=f"{runtime.label}: clips"):
            comparison.follow(frames(video), clips)
    return {"runtime": runtime.label, "lfw": stills.table(), "bona_fide_clips": clips.table()}


@click.command()
@click.option("--record", is_flag=True, help="Write the figures into models/manifest.toml.")
def main(record: bool) -> None:
    """Measure the int8 landmarks against float on both runtimes and print JSON.

    Example: PYTHONPATH=scripts .venv/bin/python -m model_factory.measure_landmarks
    """
    data = Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data"))
    result = {name.replace("-", "_"): measure(data, choose(name)) for name in RUNTIMES}
    print(json.dumps(result, indent=2))
    if record:
        manifest.record_measurement("landmarks", {"accuracy": {"reference": "the float source", **result}})


if __name__ == "__main__":
    main()
