"""The development broker and its certificates: private keys stay private, and a missing program is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography import x509

from vouchbox.errors import BrokerError
from vouchbox.simulator.broker import Broker, Mosquitto, concrete, find_mosquitto
from vouchbox.simulator.certificates import Authority

SHIPPED = Path(__file__).parents[2] / "device" / "vouchbox" / "uplink" / "broker" / "mosquitto.conf"


def test_key_files_are_for_their_owner_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for identity in (
        authority.server("server", hosts=("localhost", "127.0.0.1")),
        authority.client("b", "s/d"),
    ):
        assert identity.key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600


def test_an_authority_that_exists_is_used_again(tmp_path: Path) -> None:
    first = Authority(tmp_path).path.read_bytes()
    again = Authority(tmp_path)
    assert again.path.read_bytes() == first
    issued = x509.load_pem_x509_certificate(again.client("b", "s/d").certificate.read_bytes())
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate(first))


def test_only_paths_port_and_log_of_the_shipped_configuration_are_replaced() -> None:
    shipped = SHIPPED.read_text()
    made = concrete(shipped, Path("/x"), 20_001, {})
    changed = [
        line.split(" ")[0]
        for line, after in zip(shipped.splitlines(), made.splitlines(), strict=False)
        if line != after
    ]
    assert sorted(changed) == [
        "acl_file",
        "cafile",
        "certfile",
        "keyfile",
        "listener",
        "log_dest",
        "persistence_location",
    ]
    assert "listener 20001 127.0.0.1" in made
    for line in ("tls_version tlsv1.3", "require_certificate true", "allow_anonymous false"):
        assert line in made.splitlines()


def test_a_named_program_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "usr" / "sbin" / "mosquitto"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"")
    libraries = tmp_path / "usr" / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    monkeypatch.setenv("VOUCHBOX_MOSQUITTO", str(program))
    assert find_mosquitto() == Mosquitto(program, libraries)


def test_a_program_that_can_not_run_is_a_sentence(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.server("server", hosts=("localhost",))
    program = tmp_path / "mosquitto"
    program.write_bytes(b"")
    broker = Broker(authority.path, server, mosquitto=Mosquitto(program))
    with pytest.raises(BrokerError, match="can't run"):
        broker.start()
    assert not broker.folder.exists()


@pytest.mark.mosquitto
def test_the_broker_runs_as_nobody_in_particular_and_leaves_nothing_behind(tmp_path: Path) -> None:
    try:
        mosquitto = find_mosquitto()
    except BrokerError as problem:
        pytest.skip(str(problem))
    authority = Authority(tmp_path)
    with Broker(authority.path, authority.server("s", hosts=("localhost",)), mosquitto=mosquitto) as broker:
        status = Path(f"/proc/{broker.pid}/status").read_text()
        uid = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:"))
        assert uid != 0 or os.geteuid() != 0
        folder = broker.folder
        assert (folder / "server.key").stat().st_mode & 0o077 == 0
    assert not folder.exists()
