"""The configuration files of a simulated house, as text: of the box and of the relying party.

Pure. Only paths and numbers stand in them, never a secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vouchbox.config import Token
from vouchbox.simulator.registration import PARTY

SITE, DEVICE = "demo", "box-1"
Sections = dict[str, dict[str, str | int | Path]]


@dataclass(frozen=True, slots=True)
class Scene:
    """Who stands before which camera, and how time passes: the [camera] section of the configuration."""

    source: str
    pace: Literal["real", "fast"] = "fast"
    width: int = 640
    height: int = 480
    frame_rate: int = 15


def box_file(folder: Path, scene: Scene, runtime: str, port: int) -> str:
    """`vouchbox.toml` of a house in `folder` whose broker listens on `port`."""
    tls = folder / "tls"
    sections: Sections = {
        "box": {"site": SITE, "device": DEVICE, "run": folder / "run", "state": folder / "state"},
        "camera": {
            "source": scene.source,
            "pace": scene.pace,
            "width": scene.width,
            "height": scene.height,
            "frame-rate": scene.frame_rate,
        },
        "vision": {"runtime": runtime},
        "vault": {
            "keys": folder / "keys",
            "parties": folder / "parties",
            "requests-per-hour": 36_000,
            "failures-per-hour": 36_000,
        },
        "uplink": {
            "host": "127.0.0.1",
            "port": port,
            "ca": tls / "ca.pem",
            "certificate": tls / "box.pem",
            "key": tls / "box.key",
        },
    }
    return "\n".join(_toml(sections))


def token_section(token: Token) -> str:
    """What `vouchbox.toml` says more when the signing key is in a token."""
    sections: Sections = {"vault.token": {"module": token.module, "label": token.label}}
    sections["vault.token.environment"] = {**token.environment}
    return "\n" + "\n".join(_toml(sections))


def party_file(folder: Path, port: int) -> str:
    """The relying party's configuration."""
    tls = folder / "tls"
    sections: Sections = {
        "party": {
            "id": PARTY,
            "keys": folder / "party",
            "boxes": folder / "boxes",
            "ledger": folder / "ledger.sqlite",
        },
        "broker": {"host": "127.0.0.1", "port": port, "ca": tls / "ca.pem"},
        "verdicts": {"certificate": tls / "verdicts.pem", "key": tls / "verdicts.key"},
        "templates": {"certificate": tls / "templates.pem", "key": tls / "templates.key"},
    }
    return "\n".join(_toml(sections))


def _toml(sections: Sections) -> Iterator[str]:
    for name, members in sections.items():
        yield f"[{name}]"
        for key, value in members.items():
            yield f"{key} = {value if isinstance(value, int) else json.dumps(os.fspath(value))}"
