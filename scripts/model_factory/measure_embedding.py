"""Measures the embedding on LFW, float against int8, through the same code that the box runs:

    PYTHONPATH=scripts .venv/bin/python -m model_factory.measure_embedding [--seed N] [--record]

Pictures are found by VOUCHBOX_DATA. "float" is the chain of the three float originals, "int8" the chain that
ships. Only landmarks are kept between runs (in .cache/), never a picture or an embedding. Prints JSON; with
--record the figures and the match thresholds go into models/manifest.toml.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from vouchbox.camera.source import Image
from vouchbox.vision import embedding
from vouchbox.vision.detector import Detector
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.manifest import Manifest, load
from vouchbox.vision.observation import Landmarks
from vouchbox.vision.runtime import Network, Runtime, RuntimeName, choose
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.tracking import Tracker

from . import manifest, verification
from .float_models import float_models

ROOT = Path(__file__).resolve().parents[2]
LFW = "braun-steven+dfi-tensorflow/lfw_dfunneled_crop160"
BORDER_PX = 40
"""The crops are tight; the detector wants some room around a face."""

PAIRS_EACH = 3000
THRESHOLD_RATES = (1e-2, 1e-3, 1e-4)
Embeddings = NDArray[np.float32]


def lfw_pictures(data: Path) -> list[Path]:
    """All pictures; raises FileNotFoundError where the folder is absent."""
    found = sorted((data / LFW).glob("*.jpg"))
    if not found:
        raise FileNotFoundError(f"no pictures in {data / LFW} (set VOUCHBOX_DATA)")
    return found


def person_of(picture: Path) -> str:
    """The identity: the file name without its _NNNN."""
    return picture.stem.rsplit("_", 1)[0]


def picture_of(path: Path) -> Image:
    """The RGB picture with its edge pixels repeated BORDER_PX outwards."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    sides = (BORDER_PX,) * 4
    return cast(
        "Image", cv2.copyMakeBorder(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), *sides, cv2.BORDER_REPLICATE)
    )


class Locator:
    """Finds the landmarks that the chip needs, and remembers them on disk for these very models."""

    def __init__(self, runtime: Runtime, models: Manifest) -> None:
        self._detector = Detector(Network(runtime, models, "detector"), unlocked)
        self._finder = LandmarkFinder(Network(runtime, models, "landmarks"), unlocked)
        name = "-".join(models.entry(role).sha256[:12] for role in ("detector", "landmarks"))
        self._file = ROOT / ".cache" / "lfw_landmarks" / f"{name}-{runtime.label.replace(' ', '-')}.json"
        self._known: dict[str, Any] = json.loads(self._file.read_text()) if self._file.is_file() else {}

    def landmarks(self, path: Path, picture: Image) -> Landmarks | None:
        """468 points of which only the chip's are set; None where the tracker finds no face."""
        if path.name not in self._known:
            tracker = Tracker(self._detector, self._finder, picture.shape[1], picture.shape[0])
            mesh = tracker.follow(picture).mesh
            few = None if mesh is None else mesh.points[list(embedding.CHIP_POINTS), :2]
            self._known[path.name] = None if few is None else few.round(3).tolist()
        kept = self._known[path.name]
        if kept is None:
            return None
        points = np.zeros((468, 3), np.float32)
        points[list(embedding.CHIP_POINTS), :2] = kept
        return points

    def save(self) -> None:
        """Keep what is known for the next run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._file.parent, delete=False) as file:
            json.dump(self._known, file)
        Path(file.name).replace(self._file)


def embed(
    pictures: list[Path], locating: Manifest, embedding_of: list[Manifest], runtime: Runtime, title: str
) -> tuple[list[Embeddings], list[bool]]:
    """L2-normalised embeddings [n, 128] of the same chips by each of the embedding networks, and where a face
    was found (rows of the others are zero)."""
    locator = Locator(runtime, locating)
    embedders = [embedding.Embedder(Network(runtime, models, "embedding")) for models in embedding_of]
    results = [np.zeros((len(pictures), embedding.SIZE), np.float32) for _ in embedders]
    found = [False] * len(pictures)
    chip = np.zeros((embedding.CHIP, embedding.CHIP, 3), np.uint8)
    with Progress(console=Console(stderr=True)) as progress:
        for k in progress.track(range(len(pictures)), description=title):
            picture = picture_of(pictures[k])
            points = locator.landmarks(pictures[k], picture)
            if points is None:
                continue
            found[k] = True
            embedding.cut_chip(picture, points, chip)
            for result, embedder in zip(results, embedders, strict=True):
                result[k] = embedder.embed(chip)
    locator.save()
    return results, found


def figures(embeddings: Embeddings, pairs: verification.Drawn, seed: int) -> dict[str, Any]:
    """The figures of one chain on the drawn pairs."""
    same, different = (verification.scores(embeddings, p) for p in (pairs.same, pairs.different))
    right, total = verification.fold_accuracy(same, different, seed)
    return {
        "accuracy": round(right / total, 5),
        "accuracy_95": [round(v, 5) for v in verification.wilson_interval(right, total)],
        "auc": round(verification.area_under_curve(same, different), 5),
        "tmr_at_fmr_1e-2": round(verification.true_match_rate(same, different, 1e-2), 4),
        "tmr_at_fmr_1e-3": round(verification.true_match_rate(same, different, 1e-3), 4),
    }


def thresholds(embeddings: Embeddings, persons: list[str], pairs: verification.Drawn) -> dict[str, Any]:
    """Match thresholds from all pairs of different persons, and how many true pairs pass each."""
    cross = verification.all_cross_scores(embeddings, persons)
    same = verification.scores(embeddings, pairs.same)
    limits = {f"fmr_{rate:.0e}".replace("e-0", "e-"): cross.threshold(rate) for rate in THRESHOLD_RATES}
    passed = {f"tmr_at_{name}": round(float((same >= cosine).mean()), 4) for name, cosine in limits.items()}
    return {"thresholds": limits, "pairs_of_different_persons": cross.pairs, **passed}


def measure(data: Path, seed: int, runtime_name: RuntimeName) -> dict[str, Any]:
    """Everything, as the JSON that is printed."""
    runtime = choose(runtime_name)
    ships, originals = load(ROOT / "models"), float_models()
    pictures = lfw_pictures(data)
    (int8, float_on_int8), seen = embed(pictures, ships, [ships, originals], runtime, "int8 chain")
    (full,), seen_float = embed(pictures, originals, [originals], runtime, "float chain")
    both = np.flatnonzero(np.array(seen) & np.array(seen_float))
    persons = [person_of(pictures[k]) for k in both]
    pairs = verification.draw_pairs(persons, PAIRS_EACH, seed)
    agreement = (int8[both] * float_on_int8[both]).sum(axis=1)
    return {
        "data": "LFW, deep-funnelled 160x160 centre crops",
        "pictures": len(pictures),
        "persons": len({person_of(picture) for picture in pictures}),
        "no_face_int8": len(pictures) - sum(seen),
        "no_face_float": len(pictures) - sum(seen_float),
        "pairs": 2 * PAIRS_EACH,
        "seed": seed,
        "runtime": runtime.label,
        "float": figures(full[both], pairs, seed),
        "int8": figures(int8[both], pairs, seed),
        "cosine_int8_to_float": {
            "median": round(float(np.median(agreement)), 5),
            "1st-percentile": round(float(np.percentile(agreement, 1)), 5),
            "lowest": round(float(agreement.min()), 5),
        },
        **thresholds(int8[both], persons, pairs),
    }


@click.command()
@click.option("--seed", default=2026, show_default=True, help="Draws the pairs and the folds.")
@click.option("--runtime", default="litert", show_default=True, help="litert or tflite-runtime.")
@click.option("--record", is_flag=True, help="Write the figures into models/manifest.toml.")
def main(seed: int, runtime: str, record: bool) -> None:
    """Measure the embedding on LFW pairs and print JSON.

    Example: PYTHONPATH=scripts .venv/bin/python -m model_factory.measure_embedding --seed 2026
    """
    data = Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data"))
    result = measure(data, seed, cast("RuntimeName", runtime))
    print(json.dumps(result, indent=2))
    if record:
        kept = {key: value for key, value in result.items() if key != "thresholds"}
        manifest.record_measurement("embedding", {"accuracy": kept, "thresholds": result["thresholds"]})
    lost = result["float"]["accuracy"] - result["int8"]["accuracy"]
    sys.exit(0 if lost <= 0.005 else 1)


if __name__ == "__main__":
    main()
