"""Remembers sessions that were held: one file of JSON lines for each state of code, models and seed.

A run that was interrupted goes on where it stopped; any change of what could change an answer begins anew.
The lines hold numbers and names of answers only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from session_measure.holding import Record, as_line, from_line
from vouchbox.evaluation import identity
from vouchbox.vision.models import Models

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "device/vouchbox/vision/*.py",
    "device/vouchbox/camera/*.py",
    "device/vouchbox/simulator/subject/*",
    "device/vouchbox/vault/challenge.py",
    "scripts/session_measure/plan.py",
    "scripts/session_measure/holding.py",
)
"""Whatever an answer depends on, beside the models."""


def state(models: Models, plan: str) -> str:
    """A digest of code, models with their calibration, runtime and plan."""
    digest = hashlib.sha256(f"{plan} {identity.of_networks(models.runtime, models.networks)}".encode())
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Cache:
    """The records of one state, by group and number."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.jsonl"
        self.records: dict[tuple[str, int], Record] = {}
        if self.path.is_file():
            lines = self.path.read_bytes()
            if lines and not lines.endswith(b"\n"):
                # The last line was cut off: end it, so that the next one stands for itself.
                with self.path.open("ab") as file:
                    file.write(b"\n")
            for line in lines.splitlines():
                record = from_line(line)
                if record is not None:
                    self.records[record.group, record.number] = record

    def add(self, record: Record) -> None:
        """Remember a session at once."""
        self.records[record.group, record.number] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(as_line(record))
