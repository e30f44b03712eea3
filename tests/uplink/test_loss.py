"""Nothing is lost when the broker, the network or the vault goes away in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from vouchbox.messages import Outgoing, Published, RequestArrived

pytestmark = pytest.mark.mosquitto

ROOT = "vouchbox/v1/lab/one"


def outgoing(row: int) -> Outgoing:
    return Outgoing(
        row=row, topic=f"{ROOT}/verdict", payload=b"verdict %d" % row, content_type="application/eat+jwt"
    )


def test_rows_offered_while_the_broker_is_dead_are_sent_when_it_is_back(
    box: Any, broker: Any, client: Callable[..., Any], pki: Any
) -> None:
    broker.kill()
    box.vault.until_state(connected=False)
    for row in (1, 2, 3):
        box.vault.send(outgoing(row))
    broker.start()
    box.vault.until_state(connected=True)
    settled = [box.vault.next() for _ in range(3)]
    assert [(s.row, s.reason_code < 0x80) for s in settled] == [(1, True), (2, True), (3, True)]


def test_a_row_that_kill_nine_took_from_the_broker_is_offered_again_and_arrives(
    box: Any, broker: Any, client: Callable[..., Any], pki: Any
) -> None:
    # PUBACK precedes mosquitto's disk, so an acknowledged publish can die with the broker. The vault keeps
    # its row until the relying party acknowledges, and offers it again at the next LinkState.
    box.vault.send(outgoing(1))
    assert isinstance(box.vault.next(), Published)
    broker.kill()
    box.vault.until_state(connected=False)
    broker.start()
    box.vault.until_state(connected=True)
    party = client(pki.party)
    party.subscribe(f"{ROOT}/verdict")
    box.vault.send(outgoing(1))
    assert party.next().payload == b"verdict 1"


def test_what_was_in_flight_at_the_kill_is_sent_again_without_being_asked(
    box: Any, broker: Any, client: Callable[..., Any], pki: Any
) -> None:
    os.kill(broker.pid, signal.SIGSTOP)
    box.vault.send(outgoing(1))
    broker.kill()
    box.vault.until_state(connected=False)
    broker.start()
    box.vault.until_state(connected=True)
    answer = box.vault.next()
    assert isinstance(answer, Published)
    assert (answer.row, answer.reason_code < 0x80) == (1, True)


def test_a_dead_broker_is_said_in_one_sentence(box: Any, broker: Any) -> None:
    broker.kill()
    box.vault.until_state(connected=False, word="nothing answers at localhost")


def test_a_request_waits_at_the_broker_while_the_box_is_away(
    broker: Any,
    box: Any,
    client: Callable[..., Any],
    pki: Any,
    settings: Callable[..., Any],
    start: Callable[..., Any],
) -> None:
    box.close()
    client(pki.party).publish(f"{ROOT}/request", b"while away")
    again = start(settings(broker.port))
    assert again.vault.next() == RequestArrived(b"while away")


def test_a_request_that_the_vault_did_not_take_comes_again(
    box: Any, broker: Any, client: Callable[..., Any], pki: Any
) -> None:
    # The vault dies and comes back: the uplink leaves the broker meanwhile and returns to its session.
    box.vault.channel.close()
    party = client(pki.party)
    party.publish(f"{ROOT}/request", b"patient")
    box.vault.accept()
    assert box.vault.next() == RequestArrived(b"patient")


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_everyone_hears_offline_when_the_process_ends_in_whatever_way(
    last: signal.Signals,
    broker: Any,
    client: Callable[..., Any],
    pki: Any,
    settings: Callable[..., Any],
    process: Callable[..., Any],
) -> None:
    party = client(pki.party)
    party.subscribe(f"{ROOT}/status")
    box = process(settings(broker.port))
    assert party.next().payload == b'{"state":"online"}'
    box.send_signal(last)
    assert party.next().payload == b'{"state":"offline"}'
    assert box.wait(20) == (0 if last is signal.SIGTERM else -signal.SIGKILL)
