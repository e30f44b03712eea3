"""What a box meets: a wire, a broker and a relying party, in a network namespace of their own.

The wire is a veth pair between two namespaces, with nothing else on it, so that what is heard there is all
that the box says. The relying party and the broker are the real ones.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from proving_ground.wire import Packet, read
from vouchbox.relying_party import keys as party_keys
from vouchbox.relying_party.formats import to_base64url
from vouchbox.simulator.broker import concrete, find_mosquitto
from vouchbox.simulator.certificates import Authority
from vouchbox.simulator.registration import PARTY, PURPOSE, registration

SITE, DEVICE = "proof", "box-1"
BOX = f"vouchbox:{SITE}/{DEVICE}"
TOPIC = f"vouchbox/v1/{SITE}/{DEVICE}"
WORLD_ADDRESS, BOX_ADDRESS, PORT = "10.213.7.1", "10.213.7.2", 8883
PATIENCE_S = 240.0
_numbers = itertools.count()


class World:
    """A context manager. `folder` holds its files; `box_namespace` is for the box."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        number = next(_numbers)
        self._names = (f"vb{os.getpid()}-{number}-box", f"vb{os.getpid()}-{number}-world")
        self.box_namespace = Path("/run/netns") / self._names[0]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> World:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lay_wire()
            self._issue()
            self._start_broker()
            self._start_capture()
            (self.folder / "boxes").mkdir()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def know(self, public: str) -> None:
        """Learn the box's public document and start the service that waits for its verdicts."""
        (self.folder / "boxes" / f"{DEVICE}.json").write_text(public)
        command = ["relying-party", "serve", "--config", str(self.folder / "party.toml")]
        self._spawn("service", [sys.executable, "-m", "vouchbox", *command])
        self._until(lambda: self.log("service").count("listening on") >= 3, "the relying party listens")

    @contextlib.contextmanager
    def ask(self, action: str, level: str, wait_s: int = 300) -> Iterator[subprocess.Popen[str]]:
        """A request on its way; `answer` waits for its verdict, `wait_s` seconds (at most 600)."""
        about = ["--purpose", PURPOSE, "--action", action, "--level", level, "--subject", "visitor"]
        command = ["relying-party", "request", BOX, "--config", str(self.folder / "party.toml")]
        asking = subprocess.Popen(
            self._here([sys.executable, "-m", "vouchbox", *command, *about, "--wait", str(wait_s), "--json"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield asking
        finally:
            asking.kill()
            asking.communicate()

    @staticmethod
    def answer(asking: subprocess.Popen[str]) -> dict[str, Any]:
        """The verified verdict."""
        said, complaint = asking.communicate(timeout=660)
        if asking.returncode:
            raise AssertionError(f"no verdict: {complaint}")
        document: dict[str, Any] = json.loads(said)
        return document

    def packets(self) -> list[Packet]:
        """Every packet on the wire so far."""
        return read(self.folder / "wire.jsonl")

    def published(self) -> list[tuple[str, int]]:
        """Topic and payload size of all that the box published so far, as the broker tells."""
        found = []
        for line in self.log("broker").splitlines():
            if f"Received PUBLISH from vouchbox.{SITE}.{DEVICE} " in line:
                topic = line.split("'")[1]
                size = int(line.rsplit("(", 1)[1].split()[0])
                found.append((topic, size))
        return found

    def log(self, name: str) -> str:
        """What a program of this world said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _lay_wire(self) -> None:
        for name in self._names:
            _ip("netns", "add", name)
            self._stack.callback(_ip, "netns", "delete", name)
        box, world = self._names
        _ip("link", "add", "host0", "netns", box, "type", "veth", "peer", "name", "wire", "netns", world)
        for name, device, address in ((box, "host0", BOX_ADDRESS), (world, "wire", WORLD_ADDRESS)):
            # IPv6 would greet the neighbourhood by itself; the wire shall carry only what the box says.
            switch = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
            _do("ip", "netns", "exec", name, "sh", "-c", f"[ ! -e {switch} ] || echo 1 > {switch}")
            _ip("-n", name, "address", "add", f"{address}/30", "dev", device)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", device, "up")

    def _issue(self) -> None:
        tls = Authority(self.folder / "tls")
        tls.server("broker", hosts=(WORLD_ADDRESS,))
        tls.client("box", f"{SITE}/{DEVICE}")
        tls.client("verdicts", "relying-party")
        tls.client("templates", "enrolment")
        party = party_keys.generate(self.folder / "party")
        text = registration(
            PARTY, verification_key=party.public_jwk, seal_key=to_base64url(party.public_seal)
        )
        (self.folder / f"{PARTY}.toml").write_text(text)
        lines = [
            "[party]",
            f'id = "{PARTY}"',
            f'keys = "{self.folder / "party"}"',
            f'boxes = "{self.folder / "boxes"}"',
            f'ledger = "{self.folder / "ledger.sqlite"}"',
            f'[broker]\nhost = "{WORLD_ADDRESS}"\nport = {PORT}\nca = "{tls.path}"',
        ]
        for name in ("verdicts", "templates"):
            place = self.folder / "tls" / name
            lines += [f"[{name}]", f'certificate = "{place}.pem"', f'key = "{place}.key"']
        (self.folder / "party.toml").write_text("\n".join(lines) + "\n")

    def _start_broker(self) -> None:
        mosquitto = find_mosquitto()
        folder, shipped = self.folder / "broker", files("vouchbox.uplink") / "broker"
        folder.mkdir()
        for source, name in (
            ("ca.pem", "ca.pem"),
            ("broker.pem", "server.pem"),
            ("broker.key", "server.key"),
        ):
            shutil.copyfile(self.folder / "tls" / source, folder / name)
        (folder / "acl").write_text((shipped / "acl").read_text())
        (folder / "acl").chmod(0o600)
        settings = {
            "listener": f"{PORT} {WORLD_ADDRESS}",
            "user": "root",
            "persistence": "false",
            "log_type": "all",
        }
        text = concrete((shipped / "mosquitto.conf").read_text(), folder, PORT, settings)
        (folder / "mosquitto.conf").write_text(text)
        library = {} if mosquitto.libraries is None else {"LD_LIBRARY_PATH": str(mosquitto.libraries)}
        self._spawn("broker", [str(mosquitto.program), "-c", str(folder / "mosquitto.conf")], library)
        self._until(lambda: f"listen socket on port {PORT}" in self.log("broker"), "the broker listens")

    def _start_capture(self) -> None:
        script = Path(__file__).with_name("wire.py")
        self._spawn("wire", [sys.executable, str(script), "wire", str(self.folder / "wire.jsonl")])
        self._until((self.folder / "wire.jsonl").exists, "the capture runs")

    def _spawn(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._here(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

        def end() -> None:
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        self._stack.callback(end)

    def _here(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self._names[1]}", *command]

    def _until(self, ready: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > deadline:
                logs = "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))
                raise AssertionError(f"in vain: {what}\n{logs}")
            time.sleep(0.02)


def _ip(*arguments: str) -> None:
    _do("ip", *arguments)


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stderr}")
