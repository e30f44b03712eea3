"""What a remembered score stands on: networks with their calibration, runtime, OpenCV, and code, as digests.

Anything that could give the same file another score belongs into an identity; a changed byte of it makes
every remembered score worthless. It reads code and holds no score.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path

from vouchbox.vision.runtime import Network, Runtime

PACKAGE = Path(__file__).parents[1]

FACES_CODE = (
    *(f"camera/{name}.py" for name in ("clip", "decoder", "fitting")),
    *(f"vision/{name}.py" for name in ("detector", "landmarks", "runtime", "tracking")),
    "evaluation/pictures.py",
)
"""What decides which frames of a file are looked at, and where the face is."""

BOX_CODE = (*FACES_CODE, "camera", "vision", "evaluation/scoring.py")
"""What decides the score of a whole session."""


def of_networks(runtime: Runtime, networks: Iterable[Network]) -> str:
    """Runtime, OpenCV, and each network's role, digest and calibration."""
    words = [runtime.label, f"opencv {importlib.metadata.version('opencv-python-headless')}"]
    for network in networks:
        decode = hashlib.sha256()
        for name, values in sorted(network.decode.items()):
            decode.update(f"{name}\0{values.shape}\0".encode() + values.tobytes())
        words.append(f"{network.identity.role} {network.identity.sha256} {decode.hexdigest()[:16]}")
    return ", ".join(words)


def of_code(places: Iterable[str | Path]) -> str:
    """One digest of Python files and of all those under folders; relative places start at the package."""
    total = hashlib.sha256()
    for place in places:
        root = PACKAGE / place
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            data = path.read_bytes()
            total.update(f"{path.relative_to(root.parent)}\0{len(data)}\0".encode() + data)
    return total.hexdigest()
