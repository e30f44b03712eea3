"""The database of an earlier version goes on; of a later one it is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vouchbox.errors import OutboxError
from vouchbox.vault import audit, egress
from vouchbox.vault.egress import Departure
from vouchbox.vault.outbox import Outbox
from vouchbox.vault.schema import MIGRATIONS, SCHEMA_VERSION
from vouchbox.vault.store import FILE, Store


def first_version(folder: Path) -> None:
    """A database as version 1 left it: one line in every table."""
    connection = sqlite3.connect(folder / FILE)
    connection.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1;")
    connection.execute("INSERT INTO fact VALUES ('boots', '7')")
    connection.execute("INSERT INTO nonce VALUES ('pickup', 'n1', 'j1', 1800000300, 1800000000)")
    connection.execute(
        "INSERT INTO outbox (session, party, topic, payload, content_type, correlation, sha256)"
        " VALUES ('s', 'pickup', 't', x'01', 'c', x'', 'd')"
    )
    connection.execute("INSERT INTO egress (time, topic, size, sha256) VALUES (1, 't', 5, 'h')")
    connection.execute(
        "INSERT INTO audit VALUES (1, 1800000000, 'started', '{\"boot\":1}', ?)",
        (audit._chain(audit.GENESIS, 1, 1_800_000_000, "started", '{"boot":1}'),),
    )
    connection.commit()
    connection.close()


def shape(folder: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(folder / FILE)
    columns = connection.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    ).fetchall()
    connection.close()
    return sorted(columns)


def test_a_database_of_version_1_keeps_all_it_held(tmp_path: Path) -> None:
    first_version(tmp_path)
    store = Store(tmp_path)
    assert store.execute("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert store.fact("boots") == "7"
    assert Outbox(store).waiting() == 1
    assert list(egress.read(store)) == [Departure(1, "t", 5, "h")]
    assert store.execute("SELECT party, nonce, jti, expires FROM nonce") == [
        ("pickup", "n1", "j1", 1_800_000_300)
    ]
    assert audit.verify(store) is None
    audit.append(store, audit.Event.STARTED, 1_800_000_001, {"boot": 2})
    assert audit.verify(store) is None
    with pytest.raises(sqlite3.IntegrityError):
        store.execute("DELETE FROM audit")
    store.close()


def test_an_upgraded_database_has_the_shape_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    first_version(old)
    for folder in (old, new):
        Store(folder).close()
    assert shape(old) == shape(new)


def test_an_upgrade_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    first_version(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("CREATE TABLE epoch (in_the_way TEXT)")
    connection.commit()
    connection.close()
    before = shape(tmp_path)
    with pytest.raises(OutboxError):
        Store(tmp_path)
    assert shape(tmp_path) == before


def test_a_later_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(OutboxError, match="later version"):
        Store(tmp_path)
