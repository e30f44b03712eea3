"""One MQTT 5 connection of the relying party, in a thread of its own: TLS 1.3, lasting session, reconnects.

It carries bytes and judges nothing. Every broker trouble becomes one sentence in the log.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from vouchbox.errors import BrokerError
from vouchbox.relying_party.settings import Broker, Reader

SESSION_EXPIRY_S = 7 * 24 * 3600
"""How long the broker queues for a service that is away."""
PACKET_LIMIT = 16 * 1024
RECEIVE_MAXIMUM = 16
CONNECT_TIMEOUT_S = 10.0
RETRY_FIRST_S = 1
RETRY_LAST_S = 60

log = logging.getLogger("vouchbox.relying_party")

Arrived = Callable[["Line", mqtt.MQTTMessage], None]


class Line:
    """A connection as `reader`. `lasting` keeps the session at the broker when this process is away."""

    def __init__(
        self,
        broker: Broker,
        reader: Reader,
        name: str,
        *,
        subscription: str = "",
        arrived: Arrived | None = None,
        lasting: bool = True,
    ) -> None:
        self._broker = broker
        self._reader = reader
        self._subscription = subscription
        self._arrived = arrived
        self._lasting = lasting
        self._ready = threading.Event()
        self._refusal = ""
        self._answers: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5, manual_ack=True)
        client.reconnect_delay_set(RETRY_FIRST_S, RETRY_LAST_S)
        client.on_connect = self._connected
        client.on_connect_fail = self._unreachable
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.on_publish = self._published
        self._client = client

    def start(self) -> None:
        """Connect and reconnect for ever, in the background; raises BrokerError for unusable files."""
        self._prepare()
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            self._broker.keepalive_s,
            clean_start=not self._lasting,
            properties=self._greeting(),
        )
        self._client.loop_start()

    def connect(self) -> None:
        """Connect once and wait for it; raises BrokerError."""
        self._prepare()
        where = f"{self._broker.host}:{self._broker.port}"
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                self._broker.keepalive_s,
                clean_start=not self._lasting,
                properties=self._greeting(),
            )
        except ssl.SSLCertVerificationError as problem:
            raise BrokerError(
                f"the certificate of the broker {where} does not verify ({problem.verify_message})",
                "check broker.host and broker.ca",
            ) from None
        except (OSError, ValueError) as problem:
            raise BrokerError(
                f"the broker {where} can't be reached ({type(problem).__name__})",
                "start it, or check [broker]",
            ) from None
        self._client.loop_start()
        if not self._ready.wait(CONNECT_TIMEOUT_S) or self._refusal:
            self.stop()
            raise BrokerError(
                f"the broker {where} does not let us in ({self._refusal or 'no answer'})",
                "check the certificate and the ACL",
            )

    def stop(self) -> None:
        """Leave in good order; what was handed out is sent first."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, about: Properties) -> int:
        """Send, QoS 1; returns the packet id."""
        return self._client.publish(topic, payload, qos=1, properties=about).mid

    def publish_and_wait(self, topic: str, payload: bytes, about: Properties, timeout_s: float) -> int:
        """Send and return the broker's reason code; raises BrokerError when it says nothing."""
        packet = self.publish(topic, payload, about)
        try:
            while True:
                seen, code = self._answers.get(timeout=timeout_s)
                if seen == packet:
                    return code
        except queue.Empty:
            raise BrokerError("the broker does not answer", "look into its log") from None

    def confirm(self, message: mqtt.MQTTMessage) -> None:
        """PUBACK a message that needs no second delivery."""
        self._client.ack(message.mid, message.qos)

    def _prepare(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        try:
            context.load_verify_locations(cafile=self._broker.ca)
            context.load_cert_chain(self._reader.certificate, self._reader.key, password=_no_password)
        except (OSError, ValueError):
            raise BrokerError(
                f"can't use {self._broker.ca}, {self._reader.certificate} or its key",
                "put the CA and a matching, readable pair there (PEM, no password)",
            ) from None
        self._client.tls_set_context(context)

    def _greeting(self) -> Properties:
        greeting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        greeting.SessionExpiryInterval = SESSION_EXPIRY_S if self._lasting else 0
        greeting.MaximumPacketSize = PACKET_LIMIT
        greeting.ReceiveMaximum = RECEIVE_MAXIMUM
        return greeting

    def _connected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.value >= 0x80:
            self._refusal = str(reason)
            log.warning("the broker refuses us: %s", reason)
        elif self._subscription:
            client.subscribe(self._subscription, qos=1)
            return
        self._ready.set()

    def _subscribed(
        self,
        client: mqtt.Client,
        userdata: object,
        packet: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.value >= 0x80]
        if refused:
            log.error("the broker refuses the subscription %s: %s", self._subscription, refused[0])
        else:
            log.info("listening on %s", self._subscription)
        self._ready.set()

    def _unreachable(self, client: mqtt.Client, userdata: object) -> None:
        log.warning("the broker %s:%d can't be reached; trying again", self._broker.host, self._broker.port)

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.value:
            log.warning("the connection to the broker ended (%s); trying again", reason)

    def _published(
        self,
        client: mqtt.Client,
        userdata: object,
        packet: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.value >= 0x80:
            log.error("the broker refused a message (%s): check its ACL", reason)
        if not self._lasting:
            self._answers.put((packet, reason.value))

    def _message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        if self._arrived is not None and len(message.payload) <= PACKET_LIMIT and not message.retain:
            self._arrived(self, message)
        else:
            self.confirm(message)


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a service would hang.
    raise ValueError("the key is encrypted")
