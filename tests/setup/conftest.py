"""An installed, unnamed box in a folder, and what an operator brings: a broker, certificates, a party."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vouchbox.errors import BrokerError
from vouchbox.relying_party import keys as party_keys
from vouchbox.relying_party.formats import to_base64url
from vouchbox.simulator.broker import Broker, find_mosquitto
from vouchbox.simulator.certificates import Authority, Identity
from vouchbox.simulator.registration import PARTY, registration

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0

SETTINGS = """\
# My own remark stays.
[box]
site = "unnamed"
device = "box-1"
run = "{folder}/run"
state = "{folder}/state"

[camera]
source = "picamera2"            # or webcam:N
frame-rate = 8                  # half of the work, for a machine that has more to do
pace = "fast"

[vault]
keys = "{folder}/etc/keys"      # secret
parties = "{folder}/etc/parties"

[uplink]
host = "localhost"
ca = "{folder}/etc/tls/ca.pem"
certificate = "{folder}/etc/tls/box.pem"
key = "{folder}/etc/tls/box.key"
"""


class Box:
    """Everything of it lies in `folder`; what the operator brings lies in `brought`, the setup file too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        self.path = self.etc / "vouchbox.toml"
        self.keys = self.etc / "keys"
        self.brought = folder / "brought"
        self.file = self.brought / "vouchbox-setup.toml"
        self.etc.mkdir()
        self.brought.mkdir()
        self.path.write_text(SETTINGS.format(folder=folder))
        party = party_keys.generate(folder / "party")
        text = registration(
            PARTY, verification_key=party.public_jwk, seal_key=to_base64url(party.public_seal)
        )
        (self.brought / "pickup.toml").write_text(text)
        authority = Authority(folder / "authority")
        authority.server("broker", hosts=("localhost",))
        identity = authority.client("box", "shop/door")
        for source in (authority.path, identity.certificate, identity.key):
            (self.brought / source.name).write_bytes(source.read_bytes())

    def answers(
        self, *, port: int = 1, source: str = "simulated:collins", setup: str = "", more: str = ""
    ) -> None:
        """Write the setup file."""
        self.file.write_text(
            f'[box]\nsite = "shop"\ndevice = "door"\n[camera]\nsource = "{source}"\npace = "fast"\n'
            f"[uplink]\nport = {port}\n{more}\n[setup]\n{setup}\n"
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """`vouchbox setup ...`; returns what it said."""
        command = [sys.executable, "-m", "vouchbox", "setup", *arguments, "--config", str(self.path)]
        done = subprocess.run(
            [*command, "--no-start"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env=os.environ | {"COLUMNS": "200"},
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the box, and what is in it."""
        return {
            str(path.relative_to(self.etc)): path.read_bytes()
            for path in sorted(self.etc.rglob("*"))
            if path.is_file()
        }


ALL = 'relying-parties = ["pickup.toml"]\nca = "ca.pem"\ncertificate = "box.pem"\nkey = "box.key"'
"""[setup] with everything that the operator brought."""


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A fresh box."""
    return Box(tmp_path)


@pytest.fixture
def new_box() -> Callable[[Path], Box]:
    """Makes fresh boxes."""
    return Box


@pytest.fixture
def broker(box: Box) -> Iterator[Broker]:
    """A broker that knows the box's authority."""
    try:
        mosquitto = find_mosquitto()
    except BrokerError as problem:
        pytest.skip(str(problem))
    folder = box.folder / "authority"
    server = Identity(folder / "broker.pem", folder / "broker.key")
    with Broker(folder / "ca.pem", server, mosquitto=mosquitto) as running:
        yield running


@pytest.fixture
def portraits() -> None:
    """Skips where the simulated subject's portraits are not installed."""
    pytest.importorskip("skimage")
    pytest.importorskip("matplotlib")


@pytest.fixture
def everything() -> str:
    """See ALL."""
    return ALL


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Makes a clip of synthetic cards, all alike on demand."""

    def make(name: str, *, seconds: float = 4.0, moving: bool = True, black: bool = False) -> Path:
        import cv2
        import numpy as np

        path = tmp_path / name
        code = int.from_bytes(b"MJPG", "little")
        writer = cv2.VideoWriter(str(path), code, 15.0, (320, 240))  # noqa: TID251 - synthetic test cards
        for index in range(int(seconds * 15)):
            card = np.zeros((240, 320, 3), np.uint8)
            if not black:
                card[:120, :, 0], card[120:, :, 1] = 220, 120
                left = 5 * index % 300 if moving else 40
                card[:, left : left + 20] = 255
            writer.write(card)
        writer.release()
        return path

    return make
