"""The whole house on one machine: a broker, the four rooms of the box and a relying party, each a process.

Everything is real: mosquitto with TLS 1.3 and client certificates, the keys, the sockets, the database.
Only the person is simulated, or recorded, or sits before a webcam, and the verdict says so. All files lie
in one private folder that is removed at the end.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.relying_party import keys as party_keys
from vouchbox.relying_party import settings as party_settings
from vouchbox.relying_party.formats import to_base64url
from vouchbox.relying_party.settings import Settings
from vouchbox.simulator.broker import Broker
from vouchbox.simulator.certificates import Authority
from vouchbox.simulator.house_files import DEVICE, SITE, Scene, box_file, party_file, token_section
from vouchbox.simulator.processes import JOINED, Room
from vouchbox.simulator.registration import PARTY, registration
from vouchbox.simulator.tokens import SimulatedToken
from vouchbox.vault import egress
from vouchbox.vault.egress import Departure
from vouchbox.vault.keys import PIN_FILE
from vouchbox.vault.provision import PUBLIC_FILE, create_identity
from vouchbox.vault.store import Store

__all__ = ["House", "Scene"]

Answer = Literal["accept", "decline"]


class House:
    """A running house; a context manager. `folder` holds every file that any room of it writes."""

    def __init__(
        self,
        scene: Scene,
        *,
        answer: Answer = "accept",
        runtime: str = "auto",
        vision_prefix: tuple[str, ...] = (),
        make_token: Callable[[Path], SimulatedToken] | None = None,
        token_key: bytes | None = None,
    ) -> None:
        self._scene = scene
        self._answer: Answer = answer
        self._runtime = runtime
        self._vision_prefix = vision_prefix
        self._make_token = make_token
        self._token_key = token_key
        self.token: SimulatedToken | None = None
        self._rooms: dict[str, Room] = {}
        self._started: Counter[str] = Counter()
        self._stack = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="vouchbox-"))
        self.config: Config
        self.settings: Settings
        self.broker: Broker

    def __enter__(self) -> House:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            self._furnish()
            self._start("vault").wait_for(self.config.socket("counter"))
            for name in ("kiosk", "uplink", "vision"):
                self._start(name)
            self._start("relying-party")
            self._await_rooms()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def box(self) -> str:
        """The box's name for requests."""
        return self.config.box.audience

    def room(self, name: str) -> Room:
        """A running room: vault, kiosk, uplink, vision or relying-party."""
        return self._rooms[name]

    def change(self, scene: Scene | None = None, *, answer: Answer | None = None) -> None:
        """Put someone else before the camera, or someone who answers otherwise."""
        if scene is not None and scene != self._scene:
            self._scene = scene
            self._configure()
            self.restart("vision")
        if answer is not None and answer != self._answer:
            self._answer = answer
            self.restart("kiosk")

    def restart(self, name: str) -> None:
        """Stop a room and start it again; returns when it takes part."""
        self._rooms.pop(name).stop()
        if name == "vault" and self.token:
            self.token.flush()
        self._start(name)
        self._await_rooms()

    def revive(self, *names: str) -> None:
        """After a power cut: kill -9 these rooms where they still run and start them again, in this order;
        returns when they take part."""
        for name in names:
            self._rooms.pop(name).kill()
        for name in names:
            if name == "vault":
                self.config.socket("counter").unlink(missing_ok=True)
                self._start(name).wait_for(self.config.socket("counter"))
            else:
                self._start(name)
        self._await_rooms()

    def departures(self) -> list[Departure]:
        """Everything that left the box so far."""
        store = Store(self.config.box.state, read_only=True)
        try:
            return list(egress.read(store))
        finally:
            store.close()

    def require(self) -> None:
        """Raises RoomGone when a room has ended."""
        for room in self._rooms.values():
            room.require()

    def _furnish(self) -> None:
        folder = self.folder
        tls = Authority(folder / "tls")
        server = tls.server("broker", hosts=("localhost", "127.0.0.1"))
        tls.client("box", f"{SITE}/{DEVICE}")
        tls.client("verdicts", "relying-party")
        tls.client("templates", "enrolment")
        self.broker = self._stack.enter_context(Broker(tls.path, server))
        for name in ("run", "state", "parties", "boxes"):
            (folder / name).mkdir(mode=0o700)
        if self._make_token:
            self.token = self._stack.enter_context(self._make_token(folder))
        self._configure()
        self._provision()
        shutil.copy(self.config.vault.keys / PUBLIC_FILE, folder / "boxes" / f"{DEVICE}.json")
        party = party_keys.generate(folder / "party")
        seal_key = to_base64url(party.public_seal)
        text = registration(PARTY, verification_key=party.public_jwk, seal_key=seal_key)
        (folder / "parties" / f"{PARTY}.toml").write_text(text)
        (folder / "relying-party.toml").write_text(party_file(folder, self.broker.port))
        self.settings = party_settings.load(folder / "relying-party.toml")

    def _provision(self) -> None:
        vault = self.config.vault
        if self.token:
            vault.keys.mkdir(mode=0o700)
            (vault.keys / PIN_FILE).touch(mode=0o600)
            (vault.keys / PIN_FILE).write_text(self.token.pin)
        create_identity(
            vault.keys, audience=self.config.box.audience, token=vault.token, token_key=self._token_key
        )
        if self.token:
            self.token.flush()

    def _configure(self) -> None:
        path = self.folder / "vouchbox.toml"
        text = box_file(self.folder, self._scene, self._runtime, self.broker.port)
        path.write_text(text + (token_section(self.token.config) if self.token else ""))
        self.config = configuration.load(path)

    def _start(self, name: str) -> Room:
        arguments = [name, "--config", str(self.folder / "vouchbox.toml")]
        if name == "relying-party":
            arguments = [name, "serve", "--config", str(self.folder / "relying-party.toml")]
        if name == "kiosk":
            arguments += ["--answer", self._answer]
        prefix = self._vision_prefix if name == "vision" else ()
        room = Room(name, arguments, self.folder, prefix=prefix)
        self._started[name] += 1
        self._rooms[name] = room
        return room

    def _await_rooms(self) -> None:
        """Until every room has joined as often as it was started: a request before that finds nobody."""
        for name, sign, room, times in _SIGNS:
            joined = partial(self._rooms[room].says, sign, times * self._started[name])
            self._rooms[name].wait_until(joined, "joined the house")

    def _close(self) -> None:
        for room in reversed(list(self._rooms.values())):
            room.stop()
        self._stack.close()


_SIGNS = (
    *((name, sign, "vault", 1) for name, sign in JOINED.items()),
    ("uplink", "connected to", "uplink", 1),
    ("relying-party", "listening on", "relying-party", 3),
)
"""Which room has joined when which line stands in whose log, and how often per start."""
