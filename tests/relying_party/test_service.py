"""The service with a real broker: two certificates, one ledger, a signed acknowledgement for each payload."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from vouchbox.errors import BrokerError, NoVerdict, UsageError
from vouchbox.messages import Action, Level, Outcome
from vouchbox.relying_party import desk, service
from vouchbox.relying_party.settings import Settings, load
from vouchbox.simulator.broker import Broker, find_mosquitto
from vouchbox.simulator.certificates import Authority, Identity

pytestmark = pytest.mark.mosquitto

PATIENCE_S = 20.0
ROOT = "vouchbox/v1/lab/one"
AUDIENCE = "vouchbox:lab/one"

FILE = """
[party]
id = "pickup"
[broker]
port = {port}
ca = "tls/ca.pem"
[verdicts]
certificate = "tls/party.pem"
key = "tls/party.key"
share = "shop"
replica = "{replica}"
[templates]
certificate = "tls/enrolment.pem"
key = "tls/enrolment.key"
share = "shop"
replica = "{replica}"
"""


@pytest.fixture
def shop(world: Any) -> Iterator[Broker]:
    """A broker, and beside the world's keys and ledger everything that `serve` needs."""
    try:
        mosquitto = find_mosquitto()
    except BrokerError as problem:
        pytest.skip(str(problem))
    authority = Authority(world.folder / "tls")
    authority.client("box", "lab/one")
    authority.client("party", "relying-party")
    authority.client("enrolment", "enrolment")
    (world.folder / "boxes").mkdir()
    (world.folder / "boxes" / "one.json").write_bytes(world.box.document)
    server = authority.server("server", hosts=("localhost",))
    with Broker(authority.path, server, mosquitto=mosquitto) as broker:
        yield broker


def configured(folder: Path, port: int, replica: str = "1") -> Settings:
    path = folder / f"shop-{replica}.toml"
    path.write_text(FILE.format(port=port, replica=replica))
    return load(path)


class Serving:
    """`serve` in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=service.serve, args=(settings, self._stop))
        self._thread.start()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Door:
    """The box at the broker: hears requests, speaks, and hears acknowledgements."""

    def __init__(self, folder: Path, port: int) -> None:
        self.requests: Queue[mqtt.MQTTMessage] = Queue()
        self.acks: Queue[bytes] = Queue()
        self.heard: set[str] = set()
        self._said: dict[str, tuple[str, bytes]] = {}
        ready = threading.Event()
        identity = Identity(folder / "tls" / "box.pem", folder / "tls" / "box.key")
        context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.pem"))
        context.load_cert_chain(identity.certificate, identity.key)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.tls_set_context(context)
        self._client.on_connect = lambda c, *_: c.subscribe([(f"{ROOT}/request", 1), (f"{ROOT}/ack", 1)])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._heard
        self._client.connect("localhost", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def _heard(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/request"):
            self.requests.put(message)
        else:
            self.acks.put(bytes(message.payload))

    def say(self, word: str, payload: bytes) -> None:
        self._said[digest(payload)] = (word, payload)
        self._client.publish(f"{ROOT}/{word}", payload, qos=1)

    def acknowledged(self, world: Any, *payloads: bytes) -> None:
        """Wait until these were acknowledged, offering them again now and then as an outbox does."""
        missing = {digest(payload) for payload in payloads}
        deadline = time.monotonic() + PATIENCE_S
        while missing:
            assert time.monotonic() < deadline
            try:
                heard = set(world.box.acknowledged(self.acks.get(timeout=1.0)))
            except Empty:
                for one in missing:
                    self.say(*self._said[one])
                continue
            self.heard |= heard
            missing -= heard

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def digest(payload: bytes) -> str:
    return sha256(payload).hexdigest()


def test_enrol_then_match_then_erase(world: Any, shop: Broker) -> None:
    settings = configured(world.folder, shop.port)
    with Door(world.folder, shop.port) as door, Serving(settings):
        asked = desk.ask(
            settings, AUDIENCE, purpose="pickup", action=Action.ENROLL, level=Level.ACTIVE, subject="c-1"
        )
        heard = door.requests.get(timeout=PATIENCE_S)
        assert heard.properties.CorrelationData == asked.jti.encode()
        assert 0 < heard.properties.MessageExpiryInterval <= 120
        now = int(time.time())
        spoken = world.box.speak(world.box.hear(bytes(heard.payload), now), now=now)
        door.say("template", spoken.template)
        door.say("verdict", spoken.verdict)
        door.acknowledged(world, spoken.template, spoken.verdict)
        verdict = desk.wait(settings, asked, PATIENCE_S)
        assert (verdict.jti, verdict.outcome) == (spoken.jti, Outcome.LIVE)
        assert desk.wait_for_template(settings, "c-1", verdict, PATIENCE_S)

        desk.ask(settings, AUDIENCE, purpose="pickup", action=Action.MATCH, level=Level.ACTIVE, subject="c-1")
        matching = world.box.hear(bytes(door.requests.get(timeout=PATIENCE_S).payload), now)
        assert matching.refusal is None
        assert matching.reference

        assert desk.erase(settings, "c-1") == 1
        with pytest.raises(UsageError, match="enrol the person first"):
            desk.ask(
                settings, AUDIENCE, purpose="pickup", action=Action.MATCH, level=Level.ACTIVE, subject="c-1"
            )


def test_a_verdict_waits_for_a_service_that_is_away(world: Any, shop: Broker) -> None:
    settings = configured(world.folder, shop.port)
    with Door(world.folder, shop.port) as door:
        with Serving(settings):
            asked = desk.ask(settings, AUDIENCE, purpose="pickup", action=Action.CHECK, level=Level.ACTIVE)
            heard = door.requests.get(timeout=PATIENCE_S)
            # A first verdict proves that the service has subscribed; a service that never did has no queue.
            now = int(time.time())
            judged = world.box.hear(bytes(heard.payload), now)
            first = world.box.speak(judged, Outcome.INCONCLUSIVE, now=now)
            door.say("verdict", first.verdict)
            door.acknowledged(world, first.verdict)
        assert desk.wait(settings, asked, PATIENCE_S).outcome is Outcome.INCONCLUSIVE
        again = desk.ask(settings, AUDIENCE, purpose="pickup", action=Action.CHECK, level=Level.ACTIVE)
        judged = world.box.hear(bytes(door.requests.get(timeout=PATIENCE_S).payload), now)
        door.say("verdict", world.box.speak(judged, now=now).verdict)
        with pytest.raises(NoVerdict):
            desk.wait(settings, again, 0.0)
        with Serving(settings):
            assert desk.wait(settings, again, PATIENCE_S).outcome is Outcome.LIVE


def test_two_replicas_on_one_ledger_count_each_verdict_once(world: Any, shop: Broker) -> None:
    first, second = (configured(world.folder, shop.port, name) for name in ("1", "2"))
    with Door(world.folder, shop.port) as door, Serving(first), Serving(second):
        sent = set()
        for _ in range(6):
            asked = desk.ask(first, AUDIENCE, purpose="pickup", action=Action.CHECK, level=Level.ACTIVE)
            now = int(time.time())
            judged = world.box.hear(bytes(door.requests.get(timeout=PATIENCE_S).payload), now)
            spoken = world.box.speak(judged, now=now)
            for _ in range(2):
                door.say("verdict", spoken.verdict)
            door.acknowledged(world, spoken.verdict)
            sent.add(digest(spoken.verdict))
            assert desk.wait(first, asked, PATIENCE_S).jti == spoken.jti
        assert door.heard == sent
    assert world.ledger.counts()["verdicts"] == 6


def test_a_forged_verdict_gets_no_acknowledgement_and_the_service_lives_on(world: Any, shop: Broker) -> None:
    settings = configured(world.folder, shop.port)
    with Door(world.folder, shop.port) as door, Serving(settings):
        asked = desk.ask(settings, AUDIENCE, purpose="pickup", action=Action.CHECK, level=Level.ACTIVE)
        now = int(time.time())
        judged = world.box.hear(bytes(door.requests.get(timeout=PATIENCE_S).payload), now)
        spoken = world.box.speak(judged, now=now)
        for bad in (spoken.verdict[:-6] + b"AAAAAA", b"", b"\xff" * 100, b"a.b.c"):
            door.say("verdict", bad)
            door.say("template", bad)
        door.say("verdict", spoken.verdict)
        door.acknowledged(world, spoken.verdict)
        assert door.heard == {digest(spoken.verdict)}
        assert desk.wait(settings, asked, PATIENCE_S).outcome is Outcome.LIVE


def test_a_request_that_cannot_be_sent_says_why(world: Any, shop: Broker) -> None:
    settings = configured(world.folder, shop.port)
    shop.stop()
    with pytest.raises(BrokerError, match="can't be reached"):
        desk.ask(settings, AUDIENCE, purpose="pickup", action=Action.CHECK, level=Level.ACTIVE)
    with pytest.raises(UsageError, match="no known box"):
        desk.ask(settings, "vouchbox:lab/two", purpose="p", action=Action.CHECK, level=Level.ACTIVE)
