"""A real mosquitto with real certificates on loopback, the real uplink, and a vault that the test plays."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from vouchbox import config as configuration
from vouchbox import ipc
from vouchbox.config import Config, Uplink
from vouchbox.messages import LinkState, Message, Published, UplinkToVault, decoder
from vouchbox.simulator.broker import Broker, Mosquitto
from vouchbox.simulator.certificates import Authority, Identity
from vouchbox.uplink.daemon import run

PATIENCE_S = 60.0
"""How long a test waits for what must come; no test asserts on time."""

ROOT = "vouchbox/v1/lab/one"


class Pki:
    """Certificates of one test run."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.server("server", hosts=("localhost", "127.0.0.1"))
        self.box = self.authority.client("box", "lab/one")
        self.other_box = self.authority.client("other-box", "lab/two")
        self.party = self.authority.client("party", "relying-party")
        self.enrolment = self.authority.client("enrolment", "enrolment")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def broker(mosquitto: Mosquitto, pki: Pki) -> Iterator[Broker]:
    with Broker(pki.authority.path, pki.server, mosquitto=mosquitto) as running:
        yield running


class Client:
    """A relying party, or an intruder: a plain MQTT 5 client with a certificate of its own."""

    def __init__(self, broker: Broker, pki: Pki, identity: Identity) -> None:
        self.inbox: Queue[mqtt.MQTTMessage] = Queue()
        self._codes: Queue[tuple[int, int]] = Queue()
        self._ready = threading.Event()
        context = ssl.create_default_context(cafile=str(pki.authority.path))
        context.load_cert_chain(identity.certificate, identity.key)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda *_: self._ready.set()
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, message: self.inbox.put(message)
        self._client.on_publish = self._published
        self._client.connect("localhost", broker.port)
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)

    def _published(
        self, client: mqtt.Client, userdata: object, mid: int, reason: ReasonCode, properties: object
    ) -> None:
        self._codes.put((mid, reason.value))

    def subscribe(self, topic: str) -> None:
        self._ready.clear()
        self._client.subscribe(topic, qos=1)
        assert self._ready.wait(PATIENCE_S)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        response: str = "",
        correlation: bytes = b"",
        retain: bool = False,
    ) -> int:
        """Publish and return the broker's reason code."""
        about = Properties(PacketTypes.PUBLISH)
        if response:
            about.ResponseTopic = response
        if correlation:
            about.CorrelationData = correlation
        mid = self._client.publish(topic, payload, qos=1, retain=retain, properties=about).mid
        while True:
            seen, code = self._codes.get(timeout=PATIENCE_S)
            if seen == mid:
                return code

    def shout(self, topic: str, payload: bytes) -> None:
        """Publish and be thrown out for it; this client is of no use afterwards."""
        thrown_out = threading.Event()
        self._client.on_disconnect = lambda *_: thrown_out.set()
        self._client.publish(topic, payload, qos=1)
        assert thrown_out.wait(PATIENCE_S)
        self._client.disconnect()

    def next(self) -> mqtt.MQTTMessage:
        return self.inbox.get(timeout=PATIENCE_S)

    def until(self, wanted: Callable[[mqtt.MQTTMessage], bool]) -> mqtt.MQTTMessage:
        while not wanted(message := self.next()):
            pass
        return message

    @property
    def silent(self) -> bool:
        """Nothing has arrived so far."""
        try:
            self.inbox.get_nowait()
        except Empty:
            return True
        return False

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def client(broker: Broker, pki: Pki) -> Iterator[Callable[[Identity], Client]]:
    opened: list[Client] = []

    def make(identity: Identity) -> Client:
        opened.append(Client(broker, pki, identity))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


class Vault:
    """The vault's end of the wall, played by the test."""

    def __init__(self, folder: Path) -> None:
        self._listener = ipc.Listener(folder / "uplink.sock")
        self.channel: ipc.Channel | None = None
        self.states: list[LinkState] = []
        self.statuses: list[Published] = []

    def accept(self) -> None:
        alarm = threading.Timer(PATIENCE_S, self._listener.close)
        alarm.start()
        self.channel = self._listener.accept(decoder(UplinkToVault), peer="uplink")
        alarm.cancel()
        alarm.join()

    def send(self, message: Message) -> None:
        assert self.channel is not None
        self.channel.send(message)

    def next(self) -> Message:
        """The next message about a request or a row; states and statuses are kept in their lists."""
        while True:
            message = self._receive()
            if isinstance(message, LinkState):
                self.states.append(message)
            elif isinstance(message, Published) and message.row == 0:
                self.statuses.append(message)
            else:
                return message

    def until_state(self, *, connected: bool, word: str = "") -> LinkState:
        """The next LinkState of that kind whose detail has `word`."""
        while True:
            message = self._receive()
            if isinstance(message, LinkState):
                self.states.append(message)
                if message.connected is connected and word in message.detail:
                    return message

    def until_status(self, count: int) -> list[Published]:
        """Wait until so many status documents were reported."""
        while len(self.statuses) < count:
            message = self._receive()
            assert isinstance(message, Published)
            self.statuses.append(message)
        return self.statuses

    def _receive(self) -> Message:
        assert self.channel is not None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = self.channel.receive(1.0)
            if message is not None:
                return message
        raise AssertionError(f"the uplink said nothing; so far: {self.states}")

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
        self._listener.close()


class Box:
    """The uplink daemon in a thread, and the vault it talks to."""

    def __init__(self, config: Config) -> None:
        self.vault = Vault(config.box.run)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=run, args=(config, self._stop), daemon=True)
        self._thread.start()
        self.vault.accept()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.vault.close()


@pytest.fixture
def settings(short_tmp: Path, pki: Pki) -> Callable[..., Config]:
    """A configuration for this port; keyword arguments change [uplink]."""

    def make(port: int, **changes: object) -> Config:
        uplink = Uplink(
            host="localhost",
            port=port,
            ca=pki.authority.path,
            certificate=pki.box.certificate,
            key=pki.box.key,
            keepalive_s=5,
        )
        return Config(
            box=configuration.Box(site="lab", device="one", run=short_tmp, state=short_tmp),
            uplink=msgspec.structs.replace(uplink, **changes),
        )

    return make


@pytest.fixture
def start() -> Iterator[Callable[[Config], Box]]:
    boxes: list[Box] = []

    def make(config: Config) -> Box:
        boxes.append(Box(config))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


@pytest.fixture
def box(broker: Broker, settings: Callable[..., Config], start: Callable[[Config], Box]) -> Box:
    """A running uplink, connected."""
    running = start(settings(broker.port))
    running.vault.until_state(connected=True)
    return running


PROGRAM = """
import pathlib, sys
from vouchbox.config import load
from vouchbox.uplink.daemon import run
run(load(pathlib.Path(sys.argv[1])))
"""
FILE = """
[box]
site = "{box.site}"
device = "{box.device}"
run = "{box.run}"
state = "{box.state}"
[uplink]
port = {uplink.port}
ca = "{uplink.ca}"
certificate = "{uplink.certificate}"
key = "{uplink.key}"
keepalive-s = {uplink.keepalive_s}
"""


@pytest.fixture
def process() -> Iterator[Callable[[Config], subprocess.Popen[bytes]]]:
    """The uplink as a process of its own, connected to a vault that only listens."""
    running: list[subprocess.Popen[bytes]] = []
    vaults: list[Vault] = []

    def make(config: Config) -> subprocess.Popen[bytes]:
        vaults.append(Vault(config.box.run))
        file = config.box.state / "box.toml"
        file.write_text(FILE.format(box=config.box, uplink=config.uplink))
        running.append(subprocess.Popen([sys.executable, "-c", PROGRAM, file]))
        vaults[-1].accept()
        return running[-1]

    yield make
    for one in running:
        one.kill()
        one.wait()
    for vault in vaults:
        vault.close()
