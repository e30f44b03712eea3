"""From trained weights to models/liveness.tflite and its manifest entry."""

from __future__ import annotations

from pathlib import Path

import torch

from model_factory.manifest import describe_file, read, record_build

from .int8 import int8_file
from .learning import tensor_of
from .network import Liveness
from .views import Views

WEIGHTS = "liveness.pt"
FILE = "liveness.tflite"
CALIBRATION_VIEWS = 1000
LICENCE = "Apache-2.0"
SOURCE = "trained by scripts/train_liveness; data and licences in README.md"
NEUTRAL = {"weight": [0.25, 0.25, 0.25, 0.25], "offset": [0.0, 0.0]}
"""Until the stage `calibrate` has run."""


def load_network(path: Path) -> Liveness:
    """The trained network, ready to run."""
    network = Liveness()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def views_path(work: Path, seed: int, number: int) -> Path:
    """Where one file of views is kept."""
    return work / f"views_{seed}_{number:03d}.npz"


def known_views(work: Path, seed: int) -> list[Path]:
    """All files of views of a seed."""
    found = sorted(work.glob(f"views_{seed}_[0-9][0-9][0-9].npz"))
    if not found:
        raise ValueError(f"no views of seed {seed} in {work}: run the stage `views`")
    return found


def export(work: Path, seed: int) -> str:
    """Write the int8 file; ranges come from training views of the seed."""
    pictures = Views.load(known_views(work, seed)[-1:]).pictures[:CALIBRATION_VIEWS]
    network = load_network(work / WEIGHTS)
    data = int8_file(network, [tensor_of(part) for part in (pictures[::2], pictures[1::2])])
    entry = describe_file("liveness", FILE, data, ("logits",)) | {"licence": LICENCE, "source": SOURCE}
    before = next((e for e in read() if e["role"] == "liveness"), {})
    same = before.get("sha256") == entry["sha256"]
    record_build(entry | {"decode": before["decode"] if same else NEUTRAL}, data)
    return f"{FILE}: {len(data)} bytes, {entry['sha256'][:16]}"
