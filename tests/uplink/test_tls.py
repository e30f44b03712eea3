"""With whom the box will not talk, and in which words it says so."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vouchbox.errors import BrokerError
from vouchbox.simulator.broker import Broker, Mosquitto
from vouchbox.simulator.certificates import Authority
from vouchbox.uplink import visit

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def serve(mosquitto: Mosquitto, pki: Any) -> Iterator[Callable[..., Broker]]:
    running: list[Broker] = []

    def make(server: Any, *, authority: Path | None = None, **settings: str) -> Broker:
        broker = Broker(authority or pki.authority.path, server, mosquitto=mosquitto, settings=settings)
        broker.start()
        running.append(broker)
        return broker

    yield make
    for broker in running:
        broker.close()


def test_a_broker_of_an_unknown_authority_is_refused(
    serve: Callable[..., Broker], settings: Callable[..., Any], start: Callable[..., Any], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other").server("server", hosts=("localhost",))
    box = start(settings(serve(stranger).port))
    box.vault.until_state(connected=False, word="comes from an unknown authority")


def test_a_broker_with_a_certificate_for_another_name_is_refused(
    serve: Callable[..., Broker], settings: Callable[..., Any], start: Callable[..., Any], pki: Any
) -> None:
    server = pki.authority.server("elsewhere", hosts=("broker.example",))
    box = start(settings(serve(server).port))
    box.vault.until_state(connected=False, word="is for another name")


def test_a_broker_with_an_expired_certificate_is_refused(
    serve: Callable[..., Broker], settings: Callable[..., Any], start: Callable[..., Any], pki: Any
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    server = pki.authority.server("expired", hosts=("localhost",), expires=yesterday)
    box = start(settings(serve(server).port))
    box.vault.until_state(connected=False, word="has expired")


def test_a_box_whose_clock_lags_says_to_set_it_and_connects_by_itself_once_the_certificate_is_valid(
    settings: Callable[..., Any],
    start: Callable[..., Any],
    pki: Any,
    mosquitto: Mosquitto,
    tmp_path: Path,
) -> None:
    # What a Pi without a battery clock sees before its first synchronisation: everything is of the future.
    ahead = Authority(tmp_path / "ahead", now=datetime.now(UTC) + timedelta(days=400))
    server = ahead.server("ahead", hosts=("localhost",))
    broker = Broker(ahead.path, server, mosquitto=mosquitto)
    broker.start()
    (tmp_path / "ca.pem").write_bytes(ahead.path.read_bytes())
    box = start(settings(broker.port, ca=tmp_path / "ca.pem"))
    box.vault.until_state(connected=False, word="set this box's clock")
    broker.close()
    (tmp_path / "ca.pem").write_bytes(pki.authority.path.read_bytes())
    valid = Broker(pki.authority.path, pki.server, mosquitto=mosquitto)
    valid.port = broker.port
    valid.start()
    try:
        box.vault.until_state(connected=True)
    finally:
        valid.close()


def test_a_broker_without_tls_1_3_is_refused(
    settings: Callable[..., Any], start: Callable[..., Any], pki: Any
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.certificate, pki.server.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as server:
        box = start(settings(server.getsockname()[1]))
        plain, _ = server.accept()
        with plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_side=True)
        box.vault.until_state(connected=False, word="does not speak TLS 1.3")


def test_the_shipped_broker_refuses_tls_1_2(broker: Broker, pki: Any) -> None:
    context = ssl.create_default_context(cafile=str(pki.authority.path))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pki.box.certificate, pki.box.key)
    with (
        socket.create_connection(("localhost", broker.port)) as plain,
        pytest.raises(ssl.SSLError),
        context.wrap_socket(plain, server_hostname="localhost"),
    ):
        pass


def test_the_shipped_broker_refuses_a_client_without_a_certificate(broker: Broker, pki: Any) -> None:
    # In TLS 1.3 the refusal arrives after the handshake, with the first read.
    context = ssl.create_default_context(cafile=str(pki.authority.path))
    with (
        socket.create_connection(("localhost", broker.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as anonymous,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        anonymous.recv(1)


def test_a_box_whose_authority_the_broker_does_not_know_hears_why(
    broker: Broker, settings: Callable[..., Any], start: Callable[..., Any], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other").client("box", "lab/one")
    box = start(settings(broker.port, certificate=stranger.certificate, key=stranger.key))
    box.vault.until_state(connected=False, word="does not know the authority of this box's certificate")


def test_a_box_with_an_expired_certificate_says_so_without_asking_the_broker(
    broker: Broker, settings: Callable[..., Any], start: Callable[..., Any], pki: Any
) -> None:
    expired = pki.authority.client("old-box", "lab/one", expires=datetime.now(UTC) - timedelta(days=1))
    box = start(settings(broker.port, certificate=expired.certificate, key=expired.key))
    box.vault.until_state(connected=False, word="of this box has expired")


def test_a_box_without_its_files_names_the_missing_one_and_waits(
    broker: Broker, settings: Callable[..., Any], start: Callable[..., Any], tmp_path: Path
) -> None:
    box = start(settings(broker.port, ca=tmp_path / "nowhere.pem"))
    box.vault.until_state(connected=False, word="nowhere.pem")


def test_a_port_that_speaks_no_tls_is_named(settings: Callable[..., Any], start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        box = start(settings(server.getsockname()[1]))
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"SSH-2.0-something\r\n")
            box.vault.until_state(connected=False, word="does not speak TLS")


def test_a_visit_says_why_a_broker_is_not_reached(
    broker: Broker, settings: Callable[..., Any], pki: Any, tmp_path: Path
) -> None:
    visit.pay(settings(broker.port))
    stranger = Authority(tmp_path / "other").client("box", "lab/one")
    with pytest.raises(BrokerError, match="does not know the authority of this box's certificate"):
        visit.pay(settings(broker.port, certificate=stranger.certificate, key=stranger.key))
    with pytest.raises(BrokerError, match="nothing answers"):
        visit.pay(settings(1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = settings(silent.getsockname()[1])
        with pytest.raises(BrokerError, match="does not answer"):
            visit.pay(config)


def test_a_visit_disturbs_neither_the_uplink_nor_what_the_broker_keeps_for_it(
    broker: Broker, settings: Callable[..., Any], start: Callable[..., Any]
) -> None:
    box = start(settings(broker.port))
    box.vault.until_state(connected=True)
    before = len(box.vault.until_status(1))
    visit.pay(settings(broker.port))
    log = broker.log()
    assert "vouchbox.lab.one.visit" in log
    assert "already connected" not in log
    assert len(box.vault.statuses) == before
    box.stop()
    assert [state.connected for state in box.vault.states] == [False, True]
