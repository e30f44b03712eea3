"""The retained status document: health, counters, the audit head, and where relying parties find the keys.

Pure. No biometrics, no session, no person. Size below 4 KiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from vouchbox import __version__
from vouchbox.messages import MachineState, VisionReady

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Health:
    """What makes a new status worth sending at once. `vision` is None when that room is not there; `machine`
    is what that room last said of it, without the temperature, which changes all the time."""

    vision: VisionReady | None
    synchronised: bool
    storing: bool
    machine: MachineState | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What changes all the time: rows waiting, length and head of the audit log, the last signed head (see
    signed_head.py), counters since start, the machine's temperature (degrees Celsius, None: unknown), bytes
    written (None: unknown) and transactions committed since start."""

    waiting: int
    audit_entries: int
    audit_head: str
    audit_signed: str
    counters: dict[str, int]
    temperature_c: int | None = None
    written_bytes: int | None = None
    commits: int = 0


def document(public: dict[str, Any], health: Health, tally: Tally, now: int) -> bytes:
    """The status as JSON. `public` is provision.public_document; `now` Unix seconds."""
    vision = health.vision
    return msgspec.json.encode(
        {
            "state": "online",
            "time": now,
            "software": __version__,
            "healthy": vision is not None and health.storing,
            "clock": "synchronised" if health.synchronised else "unsynchronised",
            "storing": health.storing,
            "vision": None
            if vision is None
            else {
                "source": vision.source_kind.value,
                "runtime": vision.runtime,
                "memory_locked": vision.memory_locked,
                "models": {model.role: model.sha256 for model in vision.models},
            },
            "machine": _machine(health.machine, tally.temperature_c),
            "disk": {"written_bytes": tally.written_bytes, "commits": tally.commits},
            "outbox": {"waiting": tally.waiting},
            "audit": {"entries": tally.audit_entries, "head": tally.audit_head, "signed": tally.audit_signed},
            "counters": tally.counters,
            "box": public,
        }
    )


def _machine(said: MachineState | None, temperature_c: int | None) -> dict[str, str | int | None]:
    """Heat and power; `unknown`, or null for the number, where nobody could tell."""
    words = ("heat", "under_voltage", "frequency_capped", "throttled", "soft_limit", "pace")
    told = {word: _UNKNOWN if said is None else str(getattr(said, word)) for word in words}
    return {"temperature_c": temperature_c, **told}
