"""Writes models/manifest.toml: one entry per model with its digest, tensors, origin, licence and accuracy.

A build replaces what follows from the file (digest, size, tensors, decode); a measurement replaces what
follows from measuring (accuracy, thresholds). Each leaves the rest of the entry, and other entries, alone;
figures of another file never survive a new digest.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from .sources import Source

MODELS = Path(__file__).resolve().parents[2] / "models"
SCHEMA = 1
ROLES = ("detector", "landmarks", "embedding", "liveness")
_MEASURED = ("accuracy", "thresholds")
_HEAD = (
    "# Written by scripts/build_models and the measurements in scripts/model_factory; do not edit by hand.\n"
    "# What every figure means stands in README.md.\n"
)

Entry = dict[str, Any]


def describe(role: str, name: str, data: bytes, outputs: tuple[str, ...], source: Source) -> Entry:
    """The entry that follows from a built file. `outputs` names its outputs in the interpreter's order."""
    return describe_file(role, name, data, outputs) | {
        "licence": source.licence,
        "source": source.description,
        "source_sha256": source.sha256,
    }


def describe_file(role: str, name: str, data: bytes, outputs: tuple[str, ...]) -> Entry:
    """The part of an entry that says nothing of an origin: role, file, digest, size, tensors."""
    interpreter = Interpreter(model_content=data)
    wanted, given = interpreter.get_input_details(), interpreter.get_output_details()
    if len(given) != len(outputs):
        raise ValueError(f"the {role} model has {len(given)} outputs, not {len(outputs)}")
    return {
        "role": role,
        "file": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "inputs": [_tensor(detail) for detail in wanted],
        "outputs": [{"name": label, **_tensor(detail)} for label, detail in zip(outputs, given, strict=True)],
    }


def _tensor(detail: dict[str, Any]) -> dict[str, Any]:
    return {"shape": [int(n) for n in detail["shape"]], "dtype": np.dtype(detail["dtype"]).name}


def read(folder: Path = MODELS) -> list[Entry]:
    """The entries of a manifest; none where there is no file yet."""
    path = folder / "manifest.toml"
    entries: list[Entry] = tomllib.loads(path.read_text())["model"] if path.is_file() else []
    return entries


def record_build(entry: Entry, data: bytes, folder: Path = MODELS) -> None:
    """Write a built file and its entry. Figures measured on an equal file stay."""
    (folder / entry["file"]).write_bytes(data)
    before = next((e for e in read(folder) if e["role"] == entry["role"]), {})
    if before.get("sha256") == entry["sha256"]:
        entry = entry | {key: before[key] for key in _MEASURED if key in before}
    _replace(entry, folder)


def record_measurement(role: str, figures: Entry, folder: Path = MODELS) -> None:
    """Write measured figures (`accuracy`, and `thresholds` where there are any) into a role's entry."""
    unknown = set(figures) - set(_MEASURED)
    if unknown:
        raise ValueError(f"a measurement may not set {sorted(unknown)}")
    entry = next(e for e in read(folder) if e["role"] == role)
    _replace(entry | figures, folder)


def _replace(entry: Entry, folder: Path) -> None:
    entries = {e["role"]: e for e in read(folder)} | {entry["role"]: entry}
    text = _HEAD + f"\nschema = {SCHEMA}\n"
    for role in ROLES:
        if role in entries:
            text += "\n[[model]]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in entries[role].items())
    (folder / "manifest.toml").write_text(text)


def _toml(value: Any) -> str:
    """A value as TOML: strings, numbers, arrays and inline tables of these."""
    if isinstance(value, str):
        if any(ord(c) < 32 or c in '"\\' for c in value):
            raise ValueError("a manifest text may hold no quote, backslash or control character")
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return "[" + ", ".join(_toml(v) for v in value) + "]"
