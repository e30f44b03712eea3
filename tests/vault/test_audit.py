"""The audit log: what may stand in it, and that no edit, deletion, new order or missing end stays hidden."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from vouchbox import errors
from vouchbox.cli import vouchbox as command
from vouchbox.errors import AuditError, OutboxError
from vouchbox.messages import (
    ConsentAsked,
    ConsentGiven,
    ConsentWay,
    Examine,
    Outcome,
    Outgoing,
    StatusDocument,
)
from vouchbox.reasons import Reason
from vouchbox.vault import audit, formats, keys, provision, signed_head
from vouchbox.vault.store import FILE, Store

NOW = 1_800_000_000
BOX = "vouchbox:shop/door"
DAY_S = 86_400


@pytest.fixture
def busy(world: Any, party: Any, exam: Any, embedding: Any) -> Any:
    """A world in which somebody enrolled, somebody declined, and a request was refused."""
    request = party.request(action="enroll")
    world.ask(request)
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts, embedding=embedding(1)))
    world.ask(party.request())
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, False))
    world.ask(request)
    return world


def box_file(world: Any) -> Path:
    box, vault = world.config.box, world.config.vault
    path: Path = box.state.parent / "box.toml"
    path.write_text(
        f'[box]\nsite = "shop"\ndevice = "door"\nrun = "{box.run}"\nstate = "{box.state}"\n'
        f'[vault]\nkeys = "{vault.keys}"\nparties = "{vault.parties}"\n'
    )
    return path


def run(world: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["audit", *arguments, "--config", str(box_file(world))])


def tamper(world: Any, *statements: str) -> None:
    connection = sqlite3.connect(world.config.box.state / FILE)
    connection.execute("DROP TRIGGER audit_is_not_edited")
    connection.execute("DROP TRIGGER audit_is_not_shortened")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


# --- what stands in it ----------------------------------------------------------------------------------
def test_a_whole_session_leaves_no_biometric_value_no_name_and_no_free_text(
    busy: Any, embedding: Any, party: Any
) -> None:
    entries = list(audit.read(busy.vault._store))
    assert {entry.event for entry in entries} >= {"started", "request", "consent", "verdict", "refusal"}
    allowed = {"pickup", *(o.value for o in Outcome), *(r.value for r in Reason), "check", "enroll", "active"}
    allowed |= {way.value for way in ConsentWay} | {*formats.ALGORITHMS}
    random_or_digest = re.compile(r"[A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{43}")
    for entry in entries:
        assert embedding(1)[:16].hex() not in entry.detail
        for value in json.loads(entry.detail).values():
            for word in value if isinstance(value, list) else [value]:
                assert not isinstance(word, float)
                assert isinstance(word, int) or word in allowed or random_or_digest.fullmatch(word), word


@pytest.mark.parametrize(
    "detail",
    [
        {"name": "Anna Muster"},
        {"score": 0.93},
        {"values": [0.1, 0.2]},
        {"values": [1] * 128},
        {"face": b"\x01"},
        {"note": "a\nb"},
        {"x" * 40: 1},
        {"Name": "x"},
        {"text": "x" * 129},
        {"large": 2**60},
        {f"m{number}": 1 for number in range(17)},
    ],
)
def test_the_log_takes_identifiers_slugs_and_whole_numbers_only(tmp_path: Path, detail: Any) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="audit"):
        audit.append(store, audit.Event.VERDICT, NOW, detail)
    assert audit.head(store) == (0, audit.GENESIS.hex())
    store.close()


def test_show_lists_what_happened(busy: Any) -> None:
    assert "request-replayed" in run(busy, "show").output
    listed = json.loads(run(busy, "show", "--json", "--last", "3").output)
    assert [entry["entry"] for entry in listed] == [n + listed[0]["entry"] for n in range(3)]
    assert listed[-1]["head"] == audit.head(busy.vault._store)[1]


# --- attack stories: the log is changed afterwards ----------------------------------------------------------
SWAP = (
    "UPDATE audit SET entry = 1000 WHERE entry = 3",
    "UPDATE audit SET entry = 3 WHERE entry = 4",
    "UPDATE audit SET entry = 4 WHERE entry = 1000",
)


@pytest.mark.parametrize(
    "statements",
    [
        ("UPDATE audit SET detail = replace(detail, 'enroll', 'check') WHERE event = 'request'",),
        ("UPDATE audit SET time = time - 3600 WHERE entry = 3",),
        ("UPDATE audit SET event = 'refusal' WHERE event = 'consent'",),
        ("DELETE FROM audit WHERE event = 'consent'",),
        ("DELETE FROM audit WHERE entry = 1",),
        SWAP,
        ("UPDATE audit SET head = zeroblob(32) WHERE entry = 2",),
        ("UPDATE audit SET entry = entry + 1 WHERE entry = (SELECT max(entry) FROM audit)",),
        ("UPDATE audit SET time = 'noon' WHERE entry = 2",),
    ],
)
def test_an_edit_a_deletion_or_a_new_order_is_found(busy: Any, statements: tuple[str, ...]) -> None:
    busy.close()
    assert run(busy, "verify").exit_code == 0
    tamper(busy, *statements)
    result = run(busy, "verify")
    assert isinstance(result.exception, AuditError)


def test_an_audit_log_that_was_truncated_is_found_and_the_vault_does_not_start(busy: Any) -> None:
    busy.close()
    tamper(busy, "DELETE FROM audit WHERE entry >= (SELECT max(entry) FROM audit)")
    assert isinstance(run(busy, "verify").exception, AuditError)
    with pytest.raises(OutboxError, match="fewer"):
        busy._start()


def test_a_log_that_was_cut_and_written_on_is_found(busy: Any) -> None:
    busy.close()
    tamper(busy, "DELETE FROM audit WHERE entry > 2")
    store = Store(busy.config.box.state)
    for _ in range(50):
        audit.append(store, audit.Event.STARTED, NOW, {"boot": 1})
    assert audit.verify(store) is None
    store.close()
    assert isinstance(run(busy, "verify").exception, AuditError)


def test_a_truncation_is_found_by_a_head_that_was_kept_elsewhere_when_the_boxs_own_is_gone(busy: Any) -> None:
    entries, head = audit.head(busy.vault._store)
    busy.close()
    tamper(busy, "DELETE FROM audit WHERE entry >= (SELECT max(entry) FROM audit)")
    (busy.config.box.state / signed_head.FILE).unlink()
    assert "nothing vouches" in str(run(busy, "verify").exception)
    assert isinstance(run(busy, "verify", "--head", f"{entries}:{head}").exception, AuditError)
    assert run(busy, "verify", "--head", f"1:{audit_head(busy, 1)}").exit_code == 0


def audit_head(world: Any, entry: int) -> str:
    store = Store(world.config.box.state, read_only=True)
    head = audit.head_at(store, entry)
    store.close()
    assert head is not None
    return head


def test_the_status_publishes_a_signed_head_that_anyone_can_check_later(busy: Any) -> None:
    said = json.loads(busy.of("uplink", StatusDocument)[-1].payload)
    statement = said["audit"]["signed"]
    head = signed_head.verify(statement.encode(), said["box"]["keys"], BOX)
    assert head.head == audit.head_at(busy.vault._store, head.entries)
    busy.close()
    assert run(busy, "verify", "--head", statement).exit_code == 0


@pytest.mark.parametrize("head", ["", "x", "12", f"12:{'0' * 63}", f"12:{'G' * 64}", "a.b.c"])
def test_what_is_no_head_is_refused(busy: Any, head: str) -> None:
    result = run(busy, "verify", "--head", head)
    assert isinstance(result.exception, errors.VouchboxError)


# --- the signed head ------------------------------------------------------------------------------------
def test_the_head_is_signed_daily(busy: Any) -> None:
    first = signed_head.last(busy.config.box.state)
    busy.clock.pass_by(DAY_S - 60)
    busy.settle()
    assert signed_head.last(busy.config.box.state) == first
    busy.clock.pass_by(120)
    busy.settle()
    second = signed_head.last(busy.config.box.state)
    assert second is not None
    assert second != first
    head = signed_head.verify(second, busy.public["keys"], BOX)
    assert (head.entries, head.head) == audit.head(busy.vault._store)


def test_a_head_of_another_key_box_type_or_algorithm_is_no_head_of_this_box(tmp_path: Path) -> None:
    def ring(name: str, alg: Any = "Ed25519") -> keys.KeyRing:
        provision.create_identity(tmp_path / name, audience=BOX, alg=alg)
        return keys.load(tmp_path / name)

    mine, other = ring("mine"), ring("other", "ES256")
    public = provision.public_document(mine, BOX)["keys"]
    store = Store(tmp_path)
    good = signed_head.sign(store, mine.signer, BOX, NOW)
    assert signed_head.verify(good, public, BOX).entries == 0
    claims = {"iss": BOX, "iat": NOW, "entries": 0, "head": audit.GENESIS.hex()}
    wrong = [
        signed_head.sign(store, other.signer, BOX, NOW),
        signed_head.sign(store, mine.signer, "vouchbox:shop/other", NOW),
        mine.signer.sign("eat+jwt", claims),
        mine.signer.sign("vouchbox-audit-head+jwt", {**claims, "entries": -1}),
        mine.signer.sign("vouchbox-audit-head+jwt", {**claims, "head": "00"}),
        good[:-4] + b"AAAA",
        good + b"x" * 3000,
        b"",
    ]
    for statement in wrong:
        with pytest.raises(AuditError):
            signed_head.verify(statement, public, BOX)
    store.close()


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_signed_head(data: bytes) -> None:
    with pytest.raises(AuditError):
        signed_head.verify(data, [], BOX)


def test_a_head_that_cant_be_kept_ends_no_session(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutboxError("can't write", "free space")

    monkeypatch.setattr(signed_head, "keep", full)
    busy.clock.pass_by(DAY_S + 1)
    busy.settle()
    assert len({row.row for row in busy.of("uplink", Outgoing)}) >= 3
