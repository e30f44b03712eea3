"""From trained weights to models/liveness.tflite and its manifest entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from model_factory.manifest import describe_file, read, record_build

from .dataset import chunk_path
from .int8 import int8_file
from .learning import tensor_of
from .network import Liveness

WEIGHTS = "liveness.pt"
FILE = "liveness.tflite"
CALIBRATION_SAMPLES = 400
LICENCE = "Apache-2.0"
SOURCE = "trained by scripts/train_liveness; data and licences in README.md"
NEUTRAL = {"weight": [0.5, 0.5], "offset": [0.0, 0.0]}
"""Until the stage `calibrate` has run."""


def load_network(path: Path) -> Liveness:
    """The trained network, ready to run."""
    network = Liveness()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def export(work: Path, seed: int) -> str:
    """Write the int8 file; ranges come from training samples."""
    with np.load(chunk_path(work, seed, 0)) as file:
        crops = file["ours"][:CALIBRATION_SAMPLES]
    network = load_network(work / WEIGHTS)
    data = int8_file(network, [tensor_of(crops[:, 0]), tensor_of(crops[:, 1])])
    entry = describe_file("liveness", FILE, data, ("logits",)) | {"licence": LICENCE, "source": SOURCE}
    before = next((e for e in read() if e["role"] == "liveness"), {})
    same = before.get("sha256") == entry["sha256"]
    record_build(entry | {"decode": before["decode"] if same else NEUTRAL}, data)
    return f"{FILE}: {len(data)} bytes, {entry['sha256'][:16]}"
