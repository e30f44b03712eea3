"""One MQTT 5 connection: from the TLS handshake to its end. A new connection is a new Link.

paho-mqtt does the protocol; this module adds no thread and no queue of its own. It turns what happens into
events and is driven by the daemon's one loop. It never looks into a payload, and it keeps no message: what
was in flight when the connection broke is the business of session.py.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from vouchbox.config import Config
from vouchbox.errors import BrokerError
from vouchbox.messages import Outgoing
from vouchbox.uplink.identity import tls_context
from vouchbox.uplink.refusals import lost, refused, unreachable
from vouchbox.uplink.topics import Topics

CONNECT_TIMEOUT_S = 5.0
"""TCP and TLS, together with the broker's CONNACK each: longer than this is no answer."""
SESSION_EXPIRY_S = 7 * 24 * 3600
"""How long the broker queues requests and acknowledgements for a box that is away."""
PACKET_LIMIT = 16 * 1024
"""Largest MQTT packet this box takes; the broker drops larger ones (MQTT 5, 3.1.2.11.4)."""
RECEIVE_MAXIMUM = 8
"""Unacknowledged messages the broker may have on the way to this box."""
PAYLOAD_LIMIT = 12 * 1024
PROPERTY_LIMIT = 256
"""Bytes of a payload, of a response topic and of correlation data, at most: what messages.py carries."""

BIRTH = b'{"state":"online"}'
OFFLINE = b'{"state":"offline"}'
"""Status before the vault has said more, and the last will."""

log = logging.getLogger("vouchbox.uplink")


@dataclass(frozen=True)
class Up:
    """Connected and subscribed."""


@dataclass(frozen=True)
class Down:
    """The connection ended; the Link is of no use any more."""

    problem: BrokerError


@dataclass(frozen=True)
class Settled:
    """PUBACK for `packet`; a reason code below 128 is success (MQTT 5, 3.4.2.1)."""

    packet: int
    reason_code: int


@dataclass(frozen=True)
class Arrived:
    """A message on one of the two topics this box reads; confirm it once it is handed on."""

    topic: str
    payload: bytes
    response_topic: str
    correlation: bytes
    packet: int
    qos: int


Event = Up | Down | Settled | Arrived


class Link:
    """One connection to the broker of `config`. Call poll() whenever fileno() is ready, and once a second.

    One that is only `visiting` has another name, no last will, and a session that ends with it (visit.py).
    """

    def __init__(self, config: Config, topics: Topics, *, visiting: bool = False) -> None:
        self._topics = topics
        self._where = f"{config.uplink.host}:{config.uplink.port}"
        self._settings = config.uplink
        self._events: deque[Event] = deque()
        self._trace = ""
        self._over = False
        self.dropped = 0
        """Messages refused here because of their size or shape."""
        self._visiting = visiting
        name = f"vouchbox.{config.box.site}.{config.box.device}{'.visit' if visiting else ''}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5, manual_ack=True)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        client.on_publish = self._published
        client.on_log = self._logged
        if not visiting:
            client.will_set(topics.status, OFFLINE, qos=1, retain=True)
        self._client = client

    def open(self) -> None:
        """Connect and greet; the answer comes as an event. Raises BrokerError."""
        self._client.tls_set_context(tls_context(self._settings))
        greeting = _properties(PacketTypes.CONNECT)
        greeting.SessionExpiryInterval = 0 if self._visiting else SESSION_EXPIRY_S
        greeting.MaximumPacketSize = PACKET_LIMIT
        greeting.ReceiveMaximum = RECEIVE_MAXIMUM
        try:
            self._client.connect(
                self._settings.host,
                self._settings.port,
                keepalive=self._settings.keepalive_s,
                clean_start=self._visiting,
                properties=greeting,
            )
        except (OSError, ValueError) as problem:
            raise unreachable(problem, self._where) from problem

    def fileno(self) -> int | None:
        """The socket to wait for, or None when the connection is over."""
        connection = self._client.socket()
        return None if connection is None else connection.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait to be written."""
        return self._client.want_write()

    def poll(self) -> list[Event]:
        """Read, write and keep alive without waiting; returns what happened, in order."""
        try:
            self._pump()
        except Exception as problem:  # a broker's malformed packet must not end the daemon
            self._end(lost(str(problem), self._where))
        if self._client.socket() is None:
            self._end(lost(self._trace, self._where))
        events = list(self._events)
        self._events.clear()
        return events

    def publish(self, row: Outgoing) -> int:
        """Send one row, QoS 1; returns the packet id that Settled will name."""
        about = _properties(PacketTypes.PUBLISH)
        about.ContentType = row.content_type
        if row.correlation:
            about.CorrelationData = row.correlation
        if row.expiry_s:
            about.MessageExpiryInterval = row.expiry_s
        return self._client.publish(row.topic, row.payload, qos=1, retain=row.retain, properties=about).mid

    def status(self, document: bytes) -> int:
        """Replace the retained status; returns the packet id that Settled will name."""
        about = _properties(PacketTypes.PUBLISH)
        about.ContentType = "application/json"
        topic = self._topics.status
        return self._client.publish(topic, document, qos=1, retain=True, properties=about).mid

    def confirm(self, message: Arrived) -> None:
        """PUBACK a message that the vault now has."""
        self._client.ack(message.packet, message.qos)

    def close(self) -> None:
        """Leave; the broker keeps the session and forgets the will."""
        self._client.disconnect(properties=None if self._visiting else _goodbye())
        try:
            while self.wants_write and self._client.loop_write() == mqtt.MQTT_ERR_SUCCESS:
                pass
        except OSError:
            log.debug("the connection broke while leaving")
        connection = self._client.socket()
        if connection is not None:
            connection.close()

    def _pump(self) -> None:
        client = self._client
        client.loop_misc()
        while (connection := client.socket()) is not None:
            client.loop_read()
            # TLS may hold bytes that the kernel no longer shows as readable.
            pending = getattr(connection, "pending", None)
            if client.socket() is None or pending is None or not pending():
                break
        if client.socket() is not None and client.want_write():
            client.loop_write()

    def _end(self, problem: BrokerError) -> None:
        if not self._over:
            self._over = True
            self._events.append(Down(problem))

    def _connected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.value >= 0x80:
            self._end(refused(reason.value, self._where))
            client.disconnect()
            return
        # A retained request is nobody's present wish: never take one (3.8.3.1, Retain Handling 2).
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        client.subscribe([(self._topics.request, options), (self._topics.ack, options)])

    def _subscribed(
        self,
        client: mqtt.Client,
        userdata: object,
        packet: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        if any(reason.value >= 0x80 for reason in reasons):
            self._end(
                BrokerError(
                    f"the broker {self._where} does not let this box read its own topics",
                    "install the shipped ACL and check the certificate's common name",
                )
            )
            client.disconnect()
            return
        self._events.append(Up())

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        told = flags.is_disconnect_packet_from_server
        self._end(refused(reason.value, self._where) if told else lost(self._trace, self._where))

    def _published(
        self,
        client: mqtt.Client,
        userdata: object,
        packet: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._events.append(Settled(packet, reason.value))

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        about = message.properties
        response = str(getattr(about, "ResponseTopic", ""))
        correlation = bytes(getattr(about, "CorrelationData", b""))
        wanted = message.topic in (self._topics.request, self._topics.ack)
        fits = len(message.payload) <= PAYLOAD_LIMIT and len(correlation) <= PROPERTY_LIMIT
        if not (wanted and fits) or message.retain:
            self.dropped += 1
            log.warning("dropped a message of %d bytes that no request can be", len(message.payload))
            client.ack(message.mid, message.qos)
            return
        self._events.append(
            Arrived(
                topic=message.topic,
                payload=bytes(message.payload),
                response_topic=self._topics.response(response),
                correlation=correlation,
                packet=message.mid,
                qos=message.qos,
            )
        )

    def _logged(self, client: mqtt.Client, userdata: object, level: int, line: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            self._trace = line


def _goodbye() -> Properties:
    leaving = _properties(PacketTypes.DISCONNECT)
    leaving.SessionExpiryInterval = SESSION_EXPIRY_S
    return leaving


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]
