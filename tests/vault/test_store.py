"""What the database promises: all or nothing, nothing in twice, an unbroken log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from vouchbox.errors import OutboxError
from vouchbox.messages import Action, Level
from vouchbox.reasons import Reason
from vouchbox.vault import audit
from vouchbox.vault.ack import Acknowledgement
from vouchbox.vault.clock import Span
from vouchbox.vault.delivery import BATCH, Schedule
from vouchbox.vault.outbox import Outbox, Parcel
from vouchbox.vault.replay import RefusalBudget, ReplayWindow
from vouchbox.vault.request import Request
from vouchbox.vault.store import FILE, Store

NOW = 1_800_000_000
PARCEL = Parcel("pickup", "t", b"payload", "application/eat+jwt", b"")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def ask(number: int, expires: int = NOW + 300, party: str = "pickup") -> Request:
    return Request(
        party, f"jti-number-{number:08}", f"nonce-{number:08}", "pickup", Action.CHECK, Level.ACTIVE, expires
    )


def test_a_full_disk_leaves_everything_as_it_was(store: Store) -> None:
    outbox = Outbox(store)
    store.execute("PRAGMA max_page_count=40")
    rows = 0

    def fill() -> None:
        with store.transaction():
            outbox.put("s", Parcel("pickup", "t", b"x" * 2000, "c", b""))
            audit.append(store, audit.Event.VERDICT, NOW, {})

    with suppress(OutboxError):
        for rows in range(1000):  # noqa: B007 - the count of what succeeded is the point
            fill()
    assert 0 < rows < 999
    assert rows == outbox.waiting() == audit.head(store)[0]
    assert audit.verify(store) is None


def test_a_transaction_that_fails_in_its_middle_leaves_no_trace(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            Outbox(store).put("s", PARCEL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Outbox(store).waiting() == 0


def test_the_file_is_the_vaults_own_and_a_deleted_payload_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    parcel = Parcel("pickup", "t", b"canary-in-the-outbox" * 40, "c", b"")
    with store.transaction():
        Outbox(store).put("s", parcel)
    with store.transaction():
        Outbox(store).acknowledge(Acknowledgement("pickup", (parcel.sha256,)))
    store.forget_deleted()
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0 or path.suffix
        assert b"canary" not in path.read_bytes()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    store.close()


def test_an_unreadable_database_is_said_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    with pytest.raises(OutboxError):
        Store(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"no database")


def test_a_second_vault_is_told_so_and_touches_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="another vault"):
        Store(tmp_path)
    store.remember("still", "writable")


def test_a_reader_sees_the_rows_and_writes_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.transaction():
        Outbox(store).put("s", PARCEL)
    for state in ("open", "closed"):
        reader = Store(tmp_path, read_only=True)
        assert Outbox(reader).waiting() == 1, state
        with pytest.raises(OutboxError):
            reader.remember("a", "b")
        reader.close()
        store.close()


def test_a_full_outbox_takes_no_new_session(store: Store) -> None:
    outbox = Outbox(store, limit=1)
    outbox.require_room()
    outbox.put("s", PARCEL)
    with pytest.raises(OutboxError):
        outbox.require_room()


def test_a_row_number_is_never_used_twice(store: Store) -> None:
    outbox = Outbox(store)
    first = outbox.put("s", PARCEL)
    outbox.acknowledge(Acknowledgement("pickup", (PARCEL.sha256,)))
    assert outbox.put("s", PARCEL) > first


# --- replay ---------------------------------------------------------------------------------------------
def test_a_nonce_or_a_jti_counts_once(store: Store) -> None:
    window = ReplayWindow(store)
    assert window.admit(ask(1), Span.at(NOW)) is None
    same_nonce = replace(ask(1), jti="another-jti-0001")
    same_jti = replace(ask(1), nonce="another-nonce")
    for again in (ask(1), same_nonce, same_jti):
        assert window.admit(again, Span.at(NOW)) is Reason.REQUEST_REPLAYED
    assert window.admit(ask(1, party="other"), Span.at(NOW)) is None


def test_a_clock_that_jumps_forwards_and_back_lets_nothing_in_twice(store: Store) -> None:
    window = ReplayWindow(store)
    assert window.admit(ask(1), Span.at(NOW)) is None
    year = 365 * 86_400
    assert window.admit(ask(2, NOW + year + 300), Span.at(NOW + year)) is None
    assert window.admit(ask(1), Span.at(NOW)) is Reason.REQUEST_REPLAYED


def test_the_window_is_bounded_and_what_falls_out_stays_out(store: Store) -> None:
    window = ReplayWindow(store, limit=10)
    for number in range(30):
        assert window.admit(ask(number, NOW + 100 + number), Span.at(NOW)) is None
    assert store.execute("SELECT count(*) <= 10 FROM nonce") == [(1,)]
    for number in range(30):
        again = ask(number, NOW + 100 + number)
        assert window.admit(again, Span.at(NOW)) is Reason.REQUEST_REPLAYED


def test_refusals_are_rationed() -> None:
    budget = RefusalBudget()
    assert [budget.spend("a", 0.0) for _ in range(11)] == [True] * 10 + [False]
    assert budget.spend("b", 0.0)
    assert budget.spend("a", 61.0)


# --- audit ----------------------------------------------------------------------------------------------
def test_the_log_can_only_grow(store: Store) -> None:
    audit.append(store, audit.Event.STARTED, NOW, {"boot": 1})
    for statement in ("DELETE FROM audit", "UPDATE audit SET time = 0"):
        with pytest.raises(sqlite3.IntegrityError):
            store.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "first"),
    [
        ("UPDATE audit SET detail = '{}' WHERE entry = 2", 2),
        ("UPDATE audit SET time = time + 1 WHERE entry = 3", 3),
        ("DELETE FROM audit WHERE entry = 2", 2),
        ("UPDATE audit SET event = 'consent' WHERE entry = 1", 1),
    ],
)
def test_an_edit_of_the_log_is_found(store: Store, tampering: str, first: int) -> None:
    for number in range(4):
        audit.append(store, audit.Event.REQUEST, NOW + number, {"session": str(number)})
    assert audit.verify(store) is None
    store.execute("DROP TRIGGER audit_is_not_edited")
    store.execute("DROP TRIGGER audit_is_not_shortened")
    store.execute(tampering)
    assert audit.verify(store) == first


# --- delivery and challenge -----------------------------------------------------------------------------
def test_a_silent_party_is_asked_ever_more_rarely_and_starves_nobody() -> None:
    schedule, offered = Schedule(), []
    for now in range(7200):
        offered += [now for row in schedule.due([1], now) if schedule.offered(row, now)]
    assert offered[:4] == [0, 30, 90, 210]
    assert len(offered) < 20
    crowd = list(range(1, 200))
    seen: set[int] = set()
    for now in range(10):
        batch = schedule.due(crowd, 8000 + now)
        assert len(batch) <= BATCH
        seen.update(batch)
        for row in batch:
            schedule.offered(row, 8000 + now)
    assert seen == set(crowd)
