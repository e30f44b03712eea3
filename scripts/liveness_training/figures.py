"""The stage `calibrate`: what the int8 file says of all real material, in the code of the box; weights of
both logits of both crops, operating point, and the figures that the manifest states.

Rows with train=no are read here and nowhere else in this package: after the weights are final.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_factory.manifest import MODELS, read, record_build, record_measurement
from vouchbox.vision.manifest import load
from vouchbox.vision.observation import Box
from vouchbox.vision.passive import PassiveNetwork
from vouchbox.vision.runtime import Network, choose
from vouchbox.vision.scratch import unlocked

from .calibration import Calibration, Said, area, calibrate, pooled
from .material import Sight, rows, sights

FRAMES, SECONDS = 25, 5.0
"""A video is looked at as a session looks: five times a second for five seconds."""

KINDS = ("video", "full", "crop")


def said_of(found: Iterable[Sight]) -> Said:
    """The raw logits of every sight, before any calibration."""
    network = Network(choose("litert"), load(MODELS), "liveness")
    looking = PassiveNetwork(network, unlocked)
    logits, paths, live = [], [], []
    for sight in found:
        found_here = looking.logits(sight.frame, Box(*sight.box))
        if found_here is not None:
            logits.append(found_here.reshape(-1))
            paths.append(sight.row.path)
            live.append(sight.row.bonafide)
    return Said(np.array(logits), np.array(paths), np.array(live, np.int64))


def calibrate_and_state(data: Path) -> dict[str, Any]:
    """Look at everything, write `decode` and `accuracy` of the liveness entry, and return the figures."""
    known = rows(data)
    said = {
        kind: said_of(sights(data, [r for r in known if r.kind == kind], FRAMES, SECONDS)) for kind in KINDS
    }
    calibration = calibrate(said["video"], (said["full"], said["crop"]))
    entry = next(e for e in read() if e["role"] == "liveness")
    decode = {name: [round(v, 4) for v in getattr(calibration, name)] for name in ("weight", "offset")}
    record_build(entry | {"decode": decode}, (MODELS / entry["file"]).read_bytes())
    stated = figures(said, calibration)
    record_measurement("liveness", {"accuracy": stated})
    return stated


def figures(said: dict[str, Said], calibration: Calibration) -> dict[str, Any]:
    """Area, counts and errors at the operating point, for each kind; crops also by source."""
    stated: dict[str, Any] = {}
    for kind, material in said.items():
        scores, live = pooled(material, calibration)
        stated[kind] = _of(scores, live)
        if kind == "crop":
            names = np.unique(material.paths)
            print_ = np.array([name.startswith("hzhero1") for name in names])
            phone = np.array([name.startswith("ydf1014") for name in names])
            for word, chosen in (("nuaa-print", print_), ("trained-on", phone), ("other", ~print_ & ~phone)):
                stated[f"crop-{word}"] = _of(scores[chosen], live[chosen])
    return stated


def _of(scores: NDArray[np.float64], live: NDArray[np.int64]) -> dict[str, Any]:
    bona, bad = scores[live == 1], scores[live == 0]
    return {
        "bona-fide": len(bona),
        "attacks": len(bad),
        "auc": round(area(scores, live), 4),
        "rejected-bona-fide": int((bona < 0).sum()),
        "accepted-attacks": int((bad >= 0).sum()),
    }
