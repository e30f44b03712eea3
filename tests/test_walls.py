"""The walls between rooms: who may import whom, held by reading every import of the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "device" / "vouchbox"
SHARED = {"messages", "reasons", "errors", "config", "ipc", "notify", "machine"}
ROOMS = {
    "camera",
    "vision",
    "vault",
    "uplink",
    "kiosk",
    "relying_party",
    "simulator",
    "evaluation",
    "doctor",
    "update",
    "cli",
}
DOORS = {
    "vision": {"camera"},
    "simulator": ROOMS,
    "evaluation": {"camera", "vision"},
    "doctor": {"camera", "vision", "vault", "uplink", "simulator"},
    "cli": ROOMS,
}
"""Doors beyond the room itself: camera and vision are one process; evaluation looks through both; simulator
and cli assemble rooms; doctor looks into every room of the box."""

FOREIGN_TO = {
    "camera": {"socket", "ssl", "paho", "cryptography", "joserfc", "http", "urllib", "sqlite3", "requests"},
    "vision": {"socket", "ssl", "paho", "cryptography", "joserfc", "http", "urllib", "sqlite3", "requests"},
    "vault": {"cv2", "picamera2", "paho", "socket", "ssl", "ai_edge_litert", "tflite_runtime", "http"},
    "uplink": {"cv2", "picamera2", "numpy", "sqlite3", "joserfc", "ai_edge_litert", "tflite_runtime"},
    "kiosk": {"cv2", "picamera2", "numpy", "paho", "ssl", "cryptography", "joserfc", "sqlite3"},
    "evaluation": {"socket", "ssl", "paho", "cryptography", "joserfc", "http", "urllib", "requests"},
    "relying_party": {"cv2", "picamera2", "ai_edge_litert", "tflite_runtime"},
    "update": {"socket", "ssl", "paho", "http", "urllib", "requests", "sqlite3", "cv2", "numpy"},
}
"""Libraries that a room has no business with, whatever its code says."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports_of(source: str) -> set[str]:
    """Every dotted module name that `source` imports, at any depth; relative imports are marked."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names |= {f"{base}.{alias.name}" if base == "vouchbox" else base for alias in node.names}
    return names


def breaches(room: str, source: str) -> list[str]:
    """The imports by which a module of `room` reaches through a wall."""
    found = []
    for name in imports_of(source):
        parts = name.split(".")
        if name.startswith("."):
            found.append(f"relative import {name}")
        elif parts[0] == "vouchbox" and len(parts) > 1:
            allowed = SHARED | {room} | DOORS.get(room, set()) | {"__version__"}
            if parts[1] not in allowed:
                found.append(name)
        elif parts[0] in FOREIGN_TO.get(room, set()):
            found.append(name)
    return sorted(found)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_its_wall_allows(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    room = place.parts[0] if len(place.parts) > 1 else "shared"
    if room == "shared":
        if place.name == "__main__.py":
            return
        reached = {n.split(".")[1] for n in imports_of(path.read_text()) if n.startswith("vouchbox.")}
        assert reached <= SHARED
        return
    assert room in ROOMS, f"{place} is in no known room"
    assert breaches(room, path.read_text()) == []


def test_the_wall_rule_sees_a_breach() -> None:
    assert breaches("uplink", "from vouchbox.vault import keys") == ["vouchbox.vault"]
    assert breaches("uplink", "from vouchbox import vault") == ["vouchbox.vault"]
    assert breaches("vision", "def f():\n    import socket") == ["socket"]
    assert breaches("vault", "import cv2") == ["cv2"]
    assert breaches("vision", "from vouchbox.camera import ring\nfrom vouchbox import errors") == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_opens_with_its_purpose_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path} has no opening paragraph"
    lines = text.count("\n")
    limit = 500 if path.name == "messages.py" else 300
    assert lines <= limit, f"{path} has {lines} lines: split it"
