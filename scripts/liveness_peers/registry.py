"""Which networks are compared: ours, the published ones whose files are there, and what `--add` brings.

To add one: a Python file with a function `networks(models: Path) -> list[Network]` (see README.md).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from liveness_peers.network import Network
from vouchbox.errors import UsageError
from vouchbox.vision.models import Models


def networks(folder: Path, models: Models | None, added: tuple[Path, ...]) -> list[Network]:
    """Ours first (unless `models` is None), then the published ones; UsageError for a wrong addition."""
    found: list[Network] = []
    if models is not None:
        from liveness_peers.ours import Ours

        found.append(Ours(models))
    if not absent(folder):
        from liveness_peers.mini_fas import MiniFas
        from liveness_peers.silent_face import SilentFace

        found += [
            SilentFace(folder),
            MiniFas("MiniFAS fp32", folder / "best_model.onnx"),
            MiniFas("MiniFAS int8", folder / "best_model_quantized.onnx"),
        ]
    for path in added:
        found += _added(path, folder)
    names = [network.name for network in found]
    if len(set(names)) != len(names):
        raise UsageError(f"two networks have one name ({', '.join(names)})", "give each a name of its own")
    return found


def absent(folder: Path) -> list[str]:
    """The published networks' files that are not in `folder`."""
    files = (
        "2.7_80x80_MiniFASNetV2.pth",
        "4_0_0_80x80_MiniFASNetV1SE.pth",
        "best_model.onnx",
        "best_model_quantized.onnx",
    )
    return [name for name in files if not (folder / name).is_file()]


def _added(path: Path, folder: Path) -> list[Network]:
    name = f"liveness_peers_added_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{path} is no Python file", "give --add a file that defines networks(models)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "networks"):
        raise UsageError(f"{path.name} defines no function networks(models)", "see liveness_peers/README.md")
    return list(module.networks(folder))
