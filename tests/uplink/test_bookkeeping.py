"""The pure parts: which row is where, how long to wait, which words explain a failure."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import BrokerError
from vouchbox.messages import Outgoing
from vouchbox.uplink.backoff import CEILING_S, FIRST_S, Backoff
from vouchbox.uplink.refusals import lost, refused, unreachable
from vouchbox.uplink.session import WAITING_LIMIT, WINDOW, Deliveries
from vouchbox.uplink.topics import Topics

TOPICS = Topics("vouchbox/v1/lab/one")


def row(number: int, **more: Any) -> Outgoing:
    return Outgoing(row=number, topic=TOPICS.verdict, payload=b"v", content_type="text/plain", **more)


def take_all(deliveries: Deliveries, first_packet: int = 1) -> list[int]:
    taken = []
    while (one := deliveries.take()) is not None:
        deliveries.sent(one, first_packet + len(taken))
        taken.append(one.row)
    return taken


def test_rows_go_out_in_the_order_they_were_offered_and_no_more_than_the_window() -> None:
    deliveries = Deliveries(TOPICS)
    for number in range(1, WINDOW + 5):
        assert deliveries.offer(row(number)) is None
    assert take_all(deliveries) == list(range(1, WINDOW + 1))
    settled = deliveries.settle(1, 0)
    assert settled is not None
    assert settled.row == 1
    assert take_all(deliveries, 100) == [WINDOW + 1]


def test_a_lost_connection_puts_what_was_in_flight_first() -> None:
    deliveries = Deliveries(TOPICS)
    for number in (5, 3, 9):
        deliveries.offer(row(number))
    first = deliveries.take()
    assert first is not None
    deliveries.sent(first, 1)
    deliveries.interrupted()
    assert take_all(deliveries) == [5, 3, 9]


def test_a_row_on_its_way_is_not_taken_twice_and_a_settled_one_is() -> None:
    deliveries = Deliveries(TOPICS)
    deliveries.offer(row(1))
    deliveries.offer(row(1))
    assert take_all(deliveries) == [1]
    deliveries.offer(row(1))
    assert take_all(deliveries) == []
    deliveries.settle(1, 0x10)
    deliveries.offer(row(1))
    assert take_all(deliveries) == [1]


def test_more_rows_than_memory_allows_are_sent_back() -> None:
    deliveries = Deliveries(TOPICS)
    answers = [deliveries.offer(row(number)) for number in range(1, WAITING_LIMIT + 2)]
    assert answers[:-1] == [None] * WAITING_LIMIT
    assert answers[-1] is not None
    assert answers[-1].reason_code == 0x97
    assert not answers[-1].left


@given(st.lists(st.sampled_from(["offer", "take", "settle", "refuse", "lose"]), max_size=80))
def test_no_sequence_of_events_loses_a_row_or_settles_it_twice(events: list[str]) -> None:
    deliveries = Deliveries(TOPICS)
    offered, settled, flying, unanswered = 0, [], [], 0
    packet = 0
    for event in events:
        if event == "offer":
            offered += 1
            assert deliveries.offer(row(offered)) is None
        elif event == "take" and (one := deliveries.take()) is not None:
            packet += 1
            deliveries.sent(one, packet)
            flying.append(packet)
        elif event in ("settle", "refuse") and flying:
            answer = deliveries.settle(flying.pop(), 0 if event == "settle" else 0x87)
            assert answer is not None
            settled.append(answer.row)
        elif event == "lose":
            lost_ones = deliveries.interrupted()
            assert len(lost_ones) == len(flying)
            assert all(one.left and not one.answered for one in lost_ones)
            unanswered += len(lost_ones)
            flying.clear()
    assert packet == len(settled) + unanswered + len(flying), "each departure is told of once"
    assert len(settled) == len(set(settled))
    assert deliveries.held == offered - len(settled)


@given(st.text(max_size=300))
def test_no_text_makes_a_topic_outside_the_own_verdicts(text: str) -> None:
    for asked in (text, f"{TOPICS.verdict}{text}", f"{TOPICS.verdict}/{text}"):
        answer = TOPICS.response(asked)
        assert answer in ("", asked)
        if answer:
            assert answer == TOPICS.verdict or answer.startswith(f"{TOPICS.verdict}/")
            assert not set(answer) & {"+", "#", "\0"}


def test_waits_double_up_to_the_ceiling_and_carry_jitter() -> None:
    longest = Backoff(lambda low, high: high)
    waits = [longest.next() for _ in range(12)]
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == CEILING_S
    longest.reset()
    assert longest.next() == FIRST_S
    assert Backoff(lambda low, high: low).next() == FIRST_S / 2


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ConnectionRefusedError(), "nothing answers at h:1"),
        (TimeoutError(), "does not answer"),
        (socket.gaierror(-2, "x"), "can't be resolved"),
        (OSError(113, "no route"), "can't be reached"),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert"), "does not speak TLS 1.3"),
        (ssl.SSLError(1, "[SSL: WHATEVER]"), "TLS with the broker h:1 failed"),
    ],
)
def test_every_failure_has_a_sentence_that_says_what_to_do(problem: Exception, words: str) -> None:
    answer = unreachable(problem, "h:1")
    assert words in str(answer)
    assert answer.fix


@given(st.integers(0, 255), st.text(max_size=200))
def test_any_reason_code_and_any_trace_becomes_a_broker_error(code: int, trace: str) -> None:
    for answer in (refused(code, "h:1"), lost(trace, "h:1")):
        assert isinstance(answer, BrokerError)
        assert "h:1" in str(answer)
