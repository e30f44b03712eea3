"""One short visit to the broker, to see whether it takes this box. Publishes nothing, leaves no session.

It comes under a name of its own, so that the uplink's own connection stays as it is. What arrives while it
lasts is thrown away unread.
"""

from __future__ import annotations

import select
import time

from vouchbox.config import Config
from vouchbox.errors import BrokerError
from vouchbox.uplink.client import Down, Link, Up
from vouchbox.uplink.refusals import lost
from vouchbox.uplink.topics import Topics

PATIENCE_S = 15.0
"""Longest wait for the broker's word, after the connection stands."""

_TICK_S = 0.25


ATTEMPTS = 4
"""Visits to a broker that breaks off without a word, before that is what is said: in TLS 1.3 a certificate is
refused after the handshake, and the word gets lost when the connection ends too quickly."""


def pay(config: Config) -> None:
    """Returns when the broker let this box in and to its own topics; raises BrokerError with the reason."""
    unexplained = str(lost("", f"{config.uplink.host}:{config.uplink.port}"))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _pay(config)
        except BrokerError as problem:
            if str(problem) != unexplained or attempt == ATTEMPTS:
                raise
        else:
            return


def _pay(config: Config) -> None:
    link = Link(config, Topics.of(config.box), visiting=True)
    link.open()
    deadline = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline:
            for event in link.poll():
                if isinstance(event, Up):
                    return
                if isinstance(event, Down):
                    raise event.problem
            connection = link.fileno()
            if connection is not None:
                writing = [connection] if link.wants_write else []
                select.select([connection], writing, [], _TICK_S)
    finally:
        link.close()
    raise BrokerError(
        f"the broker {config.uplink.host}:{config.uplink.port} let this box connect and then said nothing",
        "look into the broker's log",
    )
