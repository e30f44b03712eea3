"""What the uplink carries between a real broker and the vault, and what it refuses to."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from vouchbox.messages import AckArrived, LinkState, Outgoing, Published, RequestArrived, StatusDocument

pytestmark = pytest.mark.mosquitto

ROOT = "vouchbox/v1/lab/one"


def outgoing(
    row: int, payload: bytes = b"a verdict", topic: str = f"{ROOT}/verdict", **more: Any
) -> Outgoing:
    return Outgoing(row=row, topic=topic, payload=payload, content_type="application/eat+jwt", **more)


def test_the_first_word_is_the_link_state_and_then_connected(box: Any) -> None:
    assert box.vault.states[0] == LinkState(connected=False, detail="connecting")
    assert box.vault.states[-1].connected


def test_a_request_reaches_the_vault_untouched_with_response_topic_and_correlation(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    party = client(pki.party)
    response = f"{ROOT}/verdict/replica-7"
    assert party.publish(f"{ROOT}/request", b"\x00\xffbytes", response=response, correlation=b"c\x00r") < 0x80
    assert box.vault.next() == RequestArrived(b"\x00\xffbytes", response, b"c\x00r")


@pytest.mark.parametrize("elsewhere", ["vouchbox/v1/lab/two/verdict", f"{ROOT}/template", f"{ROOT}/verdicts"])
def test_a_response_topic_outside_the_verdict_topic_is_not_passed_on(
    box: Any, client: Callable[..., Any], pki: Any, elsewhere: str
) -> None:
    client(pki.party).publish(f"{ROOT}/request", b"r", response=elsewhere)
    assert box.vault.next() == RequestArrived(b"r", "", b"")


def test_an_acknowledgement_reaches_the_vault(box: Any, client: Callable[..., Any], pki: Any) -> None:
    client(pki.party).publish(f"{ROOT}/ack", b"signed")
    assert box.vault.next() == AckArrived(b"signed")


def test_a_row_reaches_the_relying_party_with_its_properties(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    party = client(pki.party)
    party.subscribe("vouchbox/v1/+/+/verdict/#")
    row = outgoing(7, topic=f"{ROOT}/verdict/replica-7", correlation=b"c", expiry_s=600)
    box.vault.send(row)
    message = party.next()
    assert (message.topic, message.payload) == (row.topic, row.payload)
    assert message.properties.ContentType == "application/eat+jwt"
    assert message.properties.CorrelationData == b"c"
    assert 0 < message.properties.MessageExpiryInterval <= 600
    digest = sha256(row.payload).hexdigest()
    assert box.vault.next() == Published(7, 0x00, row.topic, len(row.payload), digest)


def test_a_shared_subscription_gets_each_verdict_once(box: Any, client: Callable[..., Any], pki: Any) -> None:
    replicas = [client(pki.party), client(pki.party)]
    for replica in replicas:
        replica.subscribe("$share/shop/vouchbox/v1/+/+/verdict/#")
    for row in range(1, 5):
        box.vault.send(outgoing(row, b"%d" % row))
    assert {box.vault.next().row for _ in range(4)} == {1, 2, 3, 4}
    watcher = client(pki.party)
    watcher.subscribe(f"{ROOT}/verdict")
    box.vault.send(outgoing(5, b"5"))
    watcher.next()
    received = []
    for replica in replicas:
        while not replica.inbox.empty():
            received.append(replica.inbox.get().payload)
    assert sorted(received)[:4] == [b"1", b"2", b"3", b"4"]
    assert len(received) == len(set(received))


def test_birth_and_status_are_retained(box: Any, client: Callable[..., Any], pki: Any) -> None:
    party = client(pki.party)
    party.subscribe(f"{ROOT}/status")
    birth = party.next()
    assert birth.retain
    assert birth.payload == b'{"state":"online"}'
    box.vault.send(StatusDocument(b'{"state":"online","audit":"ab"}'))
    assert party.next().payload == b'{"state":"online","audit":"ab"}'
    late = client(pki.party)
    late.subscribe(f"{ROOT}/status")
    assert late.next().retain


def test_every_status_is_reported_to_the_vault_that_keeps_the_ledger(box: Any) -> None:
    document = b'{"state":"online","audit":"ab"}'
    box.vault.send(StatusDocument(document))
    box.vault.until_status(2)
    box.stop()
    birth, status, offline = box.vault.until_status(3)
    assert (birth.size, offline.size) == (len(b'{"state":"online"}'), len(b'{"state":"offline"}'))
    assert (status.row, status.topic) == (0, f"{ROOT}/status")
    assert status.sha256 == sha256(document).hexdigest()


def test_a_stopped_box_is_offline_for_everyone_who_asks_later(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    party = client(pki.party)
    party.subscribe(f"{ROOT}/status")
    box.stop()
    party.until(lambda message: message.payload == b'{"state":"offline"}')
    late = client(pki.party)
    late.subscribe(f"{ROOT}/status")
    assert late.next().payload == b'{"state":"offline"}'


def test_an_oversized_message_never_reaches_the_vault_and_the_next_one_does(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    party = client(pki.party)
    party.publish(f"{ROOT}/request", b"x" * 12_289)
    party.publish(f"{ROOT}/request", b"y", correlation=b"z" * 300)
    party.publish(f"{ROOT}/request", b"x" * 12_288)
    assert box.vault.next() == RequestArrived(b"x" * 12_288)


def test_a_huge_message_costs_its_sender_the_connection_and_the_box_nothing(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    client(pki.party).shout(f"{ROOT}/request", b"x" * 20_000)
    client(pki.party).publish(f"{ROOT}/request", b"small")
    assert box.vault.next() == RequestArrived(b"small")


def test_a_retained_request_is_nobodys_present_wish(
    broker: Any, client: Callable[..., Any], pki: Any, settings: Callable[..., Any], start: Callable[..., Any]
) -> None:
    party = client(pki.party)
    party.publish(f"{ROOT}/request", b"old", retain=True)
    box = start(settings(broker.port))
    box.vault.until_state(connected=True)
    party.publish(f"{ROOT}/request", b"new")
    assert box.vault.next() == RequestArrived(b"new")


def test_a_row_for_a_foreign_topic_is_refused_before_the_broker(
    box: Any, client: Callable[..., Any], pki: Any
) -> None:
    box.vault.send(outgoing(3, topic="vouchbox/v1/lab/two/verdict"))
    refusal = box.vault.next()
    assert isinstance(refusal, Published)
    assert (refusal.row, refusal.reason_code) == (3, 0x90)
