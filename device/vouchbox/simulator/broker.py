"""A real mosquitto on loopback, started as an unprivileged user from the configuration that ships.

The shipped files are used as they stand; only paths, the listener's port and the log are replaced. Never a
broker for production: it lives in a private folder under the system's temporary folder and dies with it.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

from vouchbox.errors import BrokerError
from vouchbox.simulator.certificates import Identity

START_TIMEOUT_S = 10.0
_PORTS = range(20_000, 32_000)  # below the ports that the kernel hands out for outgoing connections
_UNPRIVILEGED = ("mosquitto", "nobody")


@dataclass(frozen=True)
class Mosquitto:
    """The broker program, and where its libraries are when it was unpacked without being installed."""

    program: Path
    libraries: Path | None = None


def find_mosquitto() -> Mosquitto:
    """VOUCHBOX_MOSQUITTO, PATH, /usr/sbin, or `.cache/mosquitto` (a package unpacked with `dpkg -x`).

    Raises BrokerError when there is none.
    """
    named = os.environ.get("VOUCHBOX_MOSQUITTO")
    installed = (
        named or shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    )
    if installed and Path(installed).is_file():
        program = Path(installed).resolve()
        return Mosquitto(program, _libraries(program.parents[2]) if len(program.parents) > 2 else None)
    for base in (Path.cwd(), *Path(__file__).resolve().parents[:4]):
        program = base / ".cache" / "mosquitto" / "usr" / "sbin" / "mosquitto"
        if program.is_file():
            return Mosquitto(program, _libraries(program.parents[2]))
    raise BrokerError(
        "no mosquitto was found",
        "install it (apt-get install mosquitto) or name its program in VOUCHBOX_MOSQUITTO",
    )


def _libraries(root: Path) -> Path | None:
    if root == Path("/"):
        return None
    return next(iter(sorted((root / "usr" / "lib").glob("*-linux-gnu*"))), None)


class Broker:
    """A running broker; use it as a context manager. `certificates` are copied, not moved."""

    def __init__(
        self,
        authority: Path,
        server: Identity,
        *,
        mosquitto: Mosquitto | None = None,
        settings: dict[str, str] | None = None,
        acl: str | None = None,
    ) -> None:
        self._mosquitto = mosquitto or find_mosquitto()
        self._owner = _unprivileged() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="vouchbox-broker-"))
        self.port = 0
        self._settings = settings or {}
        self._acl = acl
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copyfile(authority, self.folder / "ca.pem")
        shutil.copyfile(server.certificate, self.folder / "server.pem")
        shutil.copyfile(server.key, self.folder / "server.key")
        (self.folder / "server.key").chmod(0o600)

    def start(self) -> None:
        """Start, or start again on the same port; returns when it listens. Raises BrokerError."""
        attempts = 1 if self.port else 10
        for attempt in range(attempts):
            self.port = self.port or _free_port()
            self._write()
            if self._launch():
                return
            if attempt + 1 == attempts or "Address already in use" not in self.log():
                break
            self.port = 0
        line = (self.log().strip().splitlines() or ["no word"])[-1]
        self.close()
        raise BrokerError(f"mosquitto did not start ({line})", "look into its configuration")

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in good order."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What it said so far."""
        path = self.folder / "broker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id, 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self) -> None:
        shipped = files("vouchbox.uplink") / "broker"
        acl = (shipped / "acl").read_text() if self._acl is None else self._acl
        (self.folder / "acl").write_text(acl)
        (self.folder / "acl").chmod(0o600)
        text = concrete((shipped / "mosquitto.conf").read_text(), self.folder, self.port, self._settings)
        (self.folder / "mosquitto.conf").write_text(text)
        if self._owner is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, *self._owner)

    def _launch(self) -> bool:
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        if self._mosquitto.libraries is not None:
            environment["LD_LIBRARY_PATH"] = str(self._mosquitto.libraries)
        try:
            self._process = self._spawn(environment)
        except OSError as problem:
            self.close()
            raise BrokerError(
                f"can't run {self._mosquitto.program} ({problem.strerror})",
                "install mosquitto where every user may run it",
            ) from None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if f"listen socket on port {self.port}" in self.log() and _answers(self.port):
                return True
            time.sleep(0.005)
        self._end(signal.SIGKILL)
        return False

    def _spawn(self, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        uid, gid = self._owner or (None, None)
        with (self.folder / "broker.log").open("wb") as log:
            return subprocess.Popen(
                [self._mosquitto.program, "-c", self.folder / "mosquitto.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                user=uid,
                group=gid,
                extra_groups=None if uid is None else [],
            )

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def concrete(text: str, folder: Path, port: int, settings: dict[str, str]) -> str:
    """The shipped configuration for `folder`, loopback `port`, a log on stderr, and `settings`."""
    replaced = {
        "acl_file": str(folder / "acl"),
        "listener": f"{port} 127.0.0.1",
        "cafile": str(folder / "ca.pem"),
        "certfile": str(folder / "server.pem"),
        "keyfile": str(folder / "server.key"),
        "persistence_location": f"{folder}/",
        "log_dest": "stderr",
        **settings,
    }
    lines = []
    for line in text.splitlines():
        key = line.split(" ", 1)[0]
        lines.append(f"{key} {replaced.pop(key)}" if key in replaced else line)
    lines += [f"{key} {value}" for key, value in replaced.items()]
    lines.append("log_type information")
    return "\n".join(lines) + "\n"


def _unprivileged() -> tuple[int, int] | None:
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return None


def _free_port() -> int:
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BrokerError("no free port was found on loopback", "close other programs")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
