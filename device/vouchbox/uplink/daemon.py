"""`vouchbox uplink`: one loop between the vault's socket and the broker's. Nothing here touches a disk.

The MQTT connection lives no longer than the connection to the vault: without a vault the box says offline
and the broker queues what arrives. A message from the broker is confirmed only after the vault has taken
it, a row from the vault is forgotten only after the broker's PUBACK, and the vault forgets it only after
the relying party's acknowledgement.
"""

from __future__ import annotations

import contextlib
import logging
import random
import select
import signal
import threading
import time

from vouchbox import ipc
from vouchbox.config import Config
from vouchbox.errors import BrokerError, MessageError, RoomGone
from vouchbox.messages import (
    AckArrived,
    LinkState,
    Message,
    Outgoing,
    Published,
    RequestArrived,
    StatusDocument,
    VaultToUplink,
    decoder,
)
from vouchbox.notify import NOBODY, PING_S, Notifier
from vouchbox.uplink.backoff import Backoff
from vouchbox.uplink.client import BIRTH, CONNECT_TIMEOUT_S, OFFLINE, Arrived, Down, Event, Link, Settled, Up
from vouchbox.uplink.session import Deliveries
from vouchbox.uplink.topics import Topics

TICK_S = 0.25
"""Longest sleep of the loop."""
FAREWELL_S = 1.0
"""Longest wait for the broker to take the last status."""
STABLE_S = 10.0
"""A connection that held this long was a good one: the next wait starts from the beginning."""

log = logging.getLogger("vouchbox.uplink")


def run(config: Config, stop: threading.Event | None = None, notifier: Notifier = NOBODY) -> None:
    """Carry messages until `stop` is set or SIGTERM or SIGINT comes. Problems are logged and retried."""
    ended = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    waits = Backoff(random.uniform)
    unreported: list[Published] = []
    notifier.ready()
    while not ended.is_set():
        notifier.alive()
        try:
            channel = ipc.connect(config.socket("uplink"), decoder(VaultToUplink), peer="vault")
        except RoomGone as problem:
            log.warning("%s", problem)
            _rest(waits.next(), ended, notifier)
            continue
        waits.reset()
        with channel:
            carrier = Carrier(config, channel, unreported)
            try:
                carrier.begin()
                while not ended.is_set():
                    carrier.step()
                    notifier.alive()
            except (RoomGone, MessageError) as problem:
                log.warning("%s", problem)
            finally:
                carrier.close()
    notifier.stopping()


def _rest(seconds: float, ended: threading.Event, notifier: Notifier) -> None:
    """Wait, but neither asleep to the end nor silent to the manager."""
    until = time.monotonic() + seconds
    while not ended.is_set() and (left := until - time.monotonic()) > 0:
        notifier.alive()
        ended.wait(min(left, PING_S))


class Carrier:
    """The loop's state for one connection to the vault. `unreported` is what left while no vault listened; it
    outlives this connection."""

    def __init__(self, config: Config, channel: ipc.Channel, unreported: list[Published]) -> None:
        self._config = config
        self._channel = channel
        self._unreported = unreported
        self._topics = Topics.of(config.box)
        self._deliveries = Deliveries(self._topics)
        self._backoff = Backoff(random.uniform)
        self._link: Link | None = None
        self._status = BIRTH
        self._up = False
        self._since = 0.0
        self._next_attempt = 0.0
        self._told: LinkState | None = None

    def begin(self) -> None:
        """The first word to the vault, and what left the box since it was last there."""
        self._tell(LinkState(connected=False, detail="connecting"))
        while self._unreported:
            self._channel.send(self._unreported[0])
            self._unreported.pop(0)

    def step(self) -> None:
        """One turn: wait a little for either side, then do all there is to do."""
        if self._link is None and time.monotonic() >= self._next_attempt:
            self._open()
        self._wait()
        while (message := self._channel.receive(0)) is not None:
            self._from_vault(message)
        if self._link is not None:
            for event in self._link.poll():
                self._from_broker(event)
        if self._link is not None and not self._up and time.monotonic() - self._since > CONNECT_TIMEOUT_S:
            silence = BrokerError("the broker took the connection but does not answer", "look into its log")
            self._from_broker(Down(silence))
        while self._link is not None and self._up and (row := self._deliveries.take()) is not None:
            self._deliveries.sent(row, self._link.publish(row))

    def close(self) -> None:
        """Say offline, report it where the vault still listens, and leave the broker in good order."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            if self._up:
                self._deliveries.status_sent(OFFLINE, link.status(OFFLINE))
                self._linger(link)
        except MessageError as problem:
            log.debug("%s", problem)
        finally:
            self._report_unanswered()
            link.close()

    def _linger(self, link: Link) -> None:
        deadline = time.monotonic() + FAREWELL_S
        while self._deliveries.status_pending and (left := deadline - time.monotonic()) > 0:
            descriptor = link.fileno()
            if descriptor is None:
                return
            select.select([descriptor], [descriptor] if link.wants_write else [], [], left)
            for event in link.poll():
                if isinstance(event, Settled):
                    with contextlib.suppress(RoomGone):
                        self._settled(event)

    def _open(self) -> None:
        link = Link(self._config, self._topics)
        try:
            link.open()
        except BrokerError as problem:
            self._failed(problem)
            return
        self._link, self._up, self._since = link, False, time.monotonic()

    def _wait(self) -> None:
        reading: list[int] = [self._channel.fileno()]
        writing: list[int] = []
        descriptor = None if self._link is None else self._link.fileno()
        if self._link is not None and descriptor is not None:
            reading.append(descriptor)
            if self._link.wants_write:
                writing.append(descriptor)
        select.select(reading, writing, [], TICK_S)

    def _from_vault(self, message: Message) -> None:
        if isinstance(message, Outgoing):
            refusal = self._deliveries.offer(message)
            if refusal is not None:
                log.warning("row %d refused here: 0x%02x", refusal.row, refusal.reason_code)
                self._channel.send(refusal)
        elif isinstance(message, StatusDocument):
            self._status = message.payload
            self._say_status()

    def _from_broker(self, event: Event) -> None:
        if isinstance(event, Up):
            self._up = True
            log.info("connected to %s:%d", self._config.uplink.host, self._config.uplink.port)
            self._say_status()
            self._tell(LinkState(connected=True, detail="connected"))
        elif isinstance(event, Settled):
            self._settled(event)
        elif isinstance(event, Arrived):
            self._hand_over(event)
        else:
            self._link = None
            self._report_unanswered()
            if self._up and time.monotonic() - self._since > STABLE_S:
                self._backoff.reset()
            self._up = False
            self._failed(event.problem)

    def _say_status(self) -> None:
        if self._link is not None and self._up:
            self._deliveries.status_sent(self._status, self._link.status(self._status))

    def _settled(self, event: Settled) -> None:
        statement = self._deliveries.settle(event.packet, event.reason_code)
        if event.reason_code >= 0x80:
            log.warning("the broker refused a message with reason 0x%02x", event.reason_code)
        if statement is not None:
            self._report(statement)

    def _report(self, statement: Published) -> None:
        try:
            self._channel.send(statement)
        except RoomGone:
            self._unreported.append(statement)
            raise

    def _report_unanswered(self) -> None:
        for statement in self._deliveries.interrupted():
            with contextlib.suppress(
                RoomGone
            ):  # kept in _unreported; the loop finds the vault gone by itself
                self._report(statement)

    def _hand_over(self, message: Arrived) -> None:
        if message.topic == self._topics.request:
            self._channel.send(RequestArrived(message.payload, message.response_topic, message.correlation))
        else:
            self._channel.send(AckArrived(message.payload))
        if self._link is not None:
            self._link.confirm(message)

    def _failed(self, problem: BrokerError) -> None:
        self._next_attempt = time.monotonic() + self._backoff.next()
        self._tell(LinkState(connected=False, detail=str(problem)[:512]))

    def _tell(self, state: LinkState) -> None:
        if state == self._told:
            return
        self._told = state
        if not state.connected and state.detail != "connecting":
            log.warning("%s", state.detail)
        self._channel.send(state)
