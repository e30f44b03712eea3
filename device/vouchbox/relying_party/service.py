"""`vouchbox relying-party serve`: MQTT on one side, the intake and its ledger on the other.

Stateless but for the ledger, so replicas can share one subscription. A message is confirmed to the broker
only after it was judged, stored and acknowledged. What could not be believed or stored is confirmed as well,
with a line in the log and no signed acknowledgement: the box keeps every message until it has one.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from vouchbox.errors import BrokerError, OutboxError, SealError, VerdictInvalid
from vouchbox.relying_party import boxes, keys
from vouchbox.relying_party.formats import ACK_CONTENT_TYPE, REQUEST_CONTENT_TYPE, topic_root
from vouchbox.relying_party.intake import Answer, Intake
from vouchbox.relying_party.ledger import Ledger
from vouchbox.relying_party.line import Line
from vouchbox.relying_party.requests import Asked
from vouchbox.relying_party.settings import Reader, Settings

SWEEP_S = 3600.0
"""Retention is enforced this often."""
SEND_TIMEOUT_S = 10.0

VERDICT_TOPIC = "vouchbox/v1/+/+/verdict/#"
TEMPLATE_TOPIC = "vouchbox/v1/+/+/template"
WITHDRAWAL_TOPIC = "vouchbox/v1/+/+/withdrawal"

log = logging.getLogger("vouchbox.relying_party")

Judge = Callable[[str, bytes, float], Answer | None]


def serve(settings: Settings, stop: threading.Event | None = None) -> None:
    """Receive until `stop` is set or SIGTERM or SIGINT comes; broker problems are logged and retried."""
    ended = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    party = keys.load(settings.party.keys)
    known = boxes.load(settings.party.boxes)
    with Ledger(settings.party.ledger) as ledger:
        intake = Intake(settings.party.id, party, known, ledger)
        turn = threading.Lock()
        lines = [
            _receiver(settings, settings.verdicts, "verdict", VERDICT_TOPIC, intake.verdict, turn),
            _receiver(settings, settings.verdicts, "withdrawal", WITHDRAWAL_TOPIC, intake.withdrawal, turn),
        ]
        if settings.templates is not None:
            template = _receiver(
                settings, settings.templates, "template", TEMPLATE_TOPIC, intake.template, turn
            )
            lines.append(template)
        try:
            for line in lines:
                line.start()
            while not ended.wait(SWEEP_S):
                with turn:
                    ledger.sweep(time.time())
        finally:
            for line in lines:
                line.stop()


def send(settings: Settings, asked: Asked, *, response_topic: str = "") -> None:
    """Publish a request and wait for the broker to take it; raises BrokerError.

    The broker drops it when the request expires, for a box would refuse it anyway.
    """
    about = _properties(PacketTypes.PUBLISH)
    about.ContentType = REQUEST_CONTENT_TYPE
    about.CorrelationData = asked.jti.encode()
    about.MessageExpiryInterval = max(1, int(asked.expires - time.time()))
    if response_topic:
        about.ResponseTopic = response_topic
    topic = f"{topic_root(asked.box)}/request"
    line = Line(settings.broker, settings.verdicts, f"{settings.party.id}.ask.{asked.jti}", lasting=False)
    line.connect()
    try:
        code = line.publish_and_wait(topic, asked.payload, about, SEND_TIMEOUT_S)
    finally:
        line.stop()
    if code >= 0x80:
        raise BrokerError(f"the broker refused the request (0x{code:02x})", "check the broker's ACL")


def _receiver(
    settings: Settings, reader: Reader, role: str, topic: str, judge: Judge, turn: threading.Lock
) -> Line:
    def arrived(line: Line, message: mqtt.MQTTMessage) -> None:
        answer: Answer | None = None
        try:
            with turn:
                answer = judge(message.topic, bytes(message.payload), time.time())
        except (VerdictInvalid, SealError) as problem:
            log.warning("a %s is refused: %s", role, problem)
        except OutboxError as problem:
            log.error("a %s is not stored, so the box keeps it: %s", role, problem)
        except Exception:  # one message must never end the service
            log.exception("a %s could not be judged, so the box keeps it", role)
        if answer is not None:
            about = _properties(PacketTypes.PUBLISH)
            about.ContentType = ACK_CONTENT_TYPE
            for place in (answer.topic, *answer.also):
                line.publish(place, answer.payload, about)
        line.confirm(message)

    subscription = f"$share/{reader.share}/{topic}" if reader.share else topic
    name = f"{settings.party.id}.{role}.{reader.replica}"
    return Line(settings.broker, reader, name, subscription=subscription, arrived=arrived)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]
