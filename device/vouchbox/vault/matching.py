"""Is this the person of the reference? One template against one, at a stated false match rate.

Pure but for reading the thresholds once at start. There is no search over many, by design. Thresholds
belong to one embedding model, named by its digest; for another model there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vouchbox.errors import ConfigError
from vouchbox.messages import Sha256Hex
from vouchbox.vault import template
from vouchbox.vault.template import Template

ROLE = "embedding"

_RATE = re.compile(r"(?:fmr[-_])?(1e-[1-9])")
"""A false match rate as the manifest names it: `1e-4` or `fmr-1e-4`."""


class _Model(Struct, frozen=True):
    role: str
    sha256: Sha256Hex
    thresholds: dict[str, Any] = {}


class _Manifest(Struct, frozen=True):
    model: tuple[_Model, ...]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """False match rate to cosine, for the embedding model with this SHA-256 (hex, empty when unknown)."""

    model: str = ""
    cosines: Mapping[float, float] = field(default_factory=dict)

    def cosine(self, fmr: float) -> float | None:
        """The threshold that keeps `fmr`, or a stricter one; None when none is known."""
        rates = [rate for rate in self.cosines if rate <= fmr]
        return self.cosines[max(rates)] if rates else None


def load(folder: Path | None = None) -> Thresholds:
    """The thresholds of manifest.toml in `folder` (None: the models that ship); empty when it has none.

    Raises ConfigError for a manifest that can't be read.
    """
    path = (folder or _default_folder()) / "manifest.toml"
    try:
        parsed = msgspec.toml.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"can't read {path}", "install vouchbox again") from None
    for model in parsed.model:
        if model.role == ROLE:
            return Thresholds(model.sha256, _rates(model.thresholds, path))
    return Thresholds()


def is_same(reference: Template, live: Template, threshold: float) -> bool:
    """Whether the cosine reaches the threshold; raises SealError when the two can't be compared."""
    return template.cosine(reference, live) >= threshold


def _rates(table: dict[str, Any], path: Path) -> dict[float, float]:
    rates: dict[float, float] = {}
    for name, cosine in table.items():
        rate = _RATE.fullmatch(name)
        if rate is not None and isinstance(cosine, float):
            rates[float(rate[1])] = cosine
    if not all(0.0 < rate < 1.0 and -1.0 < cosine < 1.0 for rate, cosine in rates.items()):
        raise ConfigError(f"{path} has a threshold out of range", "install vouchbox again")
    return rates


def _default_folder() -> Path:
    packaged = Path(__file__).parents[1] / "models"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "models"
