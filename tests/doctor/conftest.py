"""A healthy box in a folder: real keys, a real broker and certificates, a registration, a moving clip."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, Result
from vouchbox.doctor.machine import Machine
from vouchbox.doctor.rounds import examine
from vouchbox.relying_party import keys as party_keys
from vouchbox.simulator.broker import Broker, Mosquitto
from vouchbox.simulator.certificates import Authority
from vouchbox.simulator.house_files import DEVICE, SITE, Scene, box_file
from vouchbox.simulator.registration import PARTY, registration
from vouchbox.vault import provision
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.store import Store

SWAPLESS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def write_clip(path: Path, draw: Callable[[int], Any], count: int = 60, rate: float = 15.0) -> Path:
    """A clip of drawings, `draw(index)` being 48x64 grey values."""
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, rate, (64, 48))  # noqa: TID251 - drawings
    for index in range(count):
        grey = np.asarray(draw(index), np.uint8)
        writer.write(np.repeat(grey[:, :, None], 3, axis=2))
    writer.release()
    return path


def moving(index: int) -> Any:
    """A checked pattern that wanders."""
    rows, columns = np.mgrid[0:48, 0:64]
    return 40 + 160 * (((columns + 3 * index) // 16 + rows // 16) % 2)


class Box:
    """The box in `folder`. Spoil something, then ask for findings."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.path = folder / "vouchbox.toml"
        self.port = port
        self.clip = write_clip(folder / "moving.avi", moving)
        (folder / "proc" / "sys" / "kernel").mkdir(parents=True)
        (folder / "proc" / "swaps").write_text(SWAPLESS)
        (folder / "proc" / "sys" / "kernel" / "core_pattern").write_text("core\n")
        self.machine = Machine(
            proc=folder / "proc", dev=folder / "dev", systemd=folder / "no-systemd", clock_marks=()
        )
        self.configure()
        for name, mode in (("run", 0o750), ("state", 0o700), ("parties", 0o755), ("dev", 0o755)):
            (folder / name).mkdir(mode=mode)
        provision.create_identity(self.config.vault.keys, audience=self.config.box.audience)
        party = party_keys.generate(folder / "party")
        self.registration = folder / "parties" / f"{PARTY}.toml"
        self.registration.write_text(
            registration(PARTY, verification_key=party.public_jwk, seal_key=to_base64url(party.public_seal))
        )
        self.authority = Authority(folder / "tls")
        self.authority.client("box", f"{SITE}/{DEVICE}")
        Store(folder / "state").close()

    @property
    def config(self) -> Config:
        """The configuration as it stands in the file."""
        return configuration.load(self.path)

    def configure(self, source: str = "", **changed: str) -> None:
        """Write the file anew with this camera; `changed` replaces lines by their key."""
        text = box_file(self.folder, Scene(source or f"clip:{self.clip}"), "auto", self.port)
        lines = []
        for line in text.splitlines():
            key = line.split(" = ")[0]
            lines.append(f"{key} = {changed.pop(key)}" if key in changed else line)
        for section, added in changed.items():
            lines.insert(lines.index(f"[{section}]") + 1, added)
        self.path.write_text("\n".join(lines) + "\n")

    def on(self, **places: Any) -> None:
        """Have another machine."""
        self.machine = replace(self.machine, **places)

    def examine(self, *only: str) -> list[Finding]:
        """All findings of these families."""
        return list(examine(self.path, self.machine, only))

    def faults(self, *only: str) -> list[Finding]:
        """The faults among them."""
        return [each for each in self.examine(*only) if each.result is Result.FAULT]

    def spoil_models(self) -> Path:
        """A copy of the models for this box, to be spoilt; returns its folder."""
        copy = self.folder / "models"
        shutil.copytree(Path(__file__).resolve().parents[2] / "models", copy)
        self.configure(vision=f'models = "{copy}"')
        return copy


@pytest.fixture
def box(short_tmp: Path) -> Box:
    """A box whose broker is away."""
    return Box(short_tmp, 1)


@pytest.fixture
def serve(box: Box, mosquitto: Mosquitto) -> Iterator[Callable[..., None]]:
    """Starts the box's broker, with a certificate for these hosts, issued by this authority."""
    running: list[Broker] = []

    def start(*hosts: str, authority: Authority | None = None) -> None:
        issuer = authority or box.authority
        server = issuer.server("server", hosts=hosts or ("127.0.0.1",))
        broker = Broker(box.authority.path, server, mosquitto=mosquitto)
        broker.start()
        running.append(broker)
        box.port = broker.port
        box.configure()

    yield start
    for broker in running:
        broker.close()


@pytest.fixture
def film(box: Box) -> Callable[..., Path]:
    """Makes a clip of drawings."""
    return lambda name, draw: write_clip(box.folder / name, draw)
