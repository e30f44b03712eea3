"""Renewing templates: a new epoch revokes the old ones, says so, and can't be turned back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vouchbox.cli import vouchbox as command
from vouchbox.errors import ConfigError, OutboxError, UsageError
from vouchbox.messages import ConsentAsked, ConsentGiven, Examine, Outgoing
from vouchbox.vault import audit, epochs, formats, registry, store
from vouchbox.vault.store import Store

NOW = 1_800_000_000


def said(world: Any) -> dict[str, Any]:
    rows = [row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"]
    claims = json.loads(formats.from_base64url(rows[-1].payload.split(b".")[1].decode()))
    private: dict[str, Any] = claims["vouchbox"]
    return private


def enrolled(world: Any, party: Any, exam: Any, face: bytes) -> bytes:
    """The template message that an enrolment yields."""
    world.ask(party.request(action="enroll"))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    prompts = world.of("vision", Examine)[-1].prompts
    world.say("vision", exam(session, prompts, embedding=face))
    payload: bytes = [r for r in world.of("uplink", Outgoing) if r.topic.endswith("/template")][-1].payload
    return payload


def matched(world: Any, party: Any, exam: Any, face: bytes, payload: bytes) -> str:
    """The outcome of a match request that brings `payload`'s template, or the reason of its refusal."""
    claims = party.claims(action="match")
    if party.readers == "fleet":
        claims["reference"] = formats.to_base64url(payload)
    else:
        claims["reference"] = party.reference(party.unseal(payload), world.public, claims)
    asked = len(world.of("kiosk", ConsentAsked))
    world.ask(party.sign(claims))
    if len(world.of("kiosk", ConsentAsked)) == asked:
        (reason,) = said(world)["reasons"]
        return str(reason)
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    prompts = world.of("vision", Examine)[-1].prompts
    world.say("vision", exam(session, prompts, embedding=face))
    return str(said(world)["outcome"])


def open_world(make_world: Any, party: Any) -> Any:
    world = make_world(party)
    world.connect()
    return world


def rotate(world: Any, party: str = "pickup") -> Any:
    """`vouchbox provision rotate-templates`, with the vault stopped, and the vault started again."""
    world.close()
    box, vault = world.config.box, world.config.vault
    path = box.state.parent / "box.toml"
    path.write_text(
        f'[box]\nsite = "shop"\ndevice = "door"\nrun = "{box.run}"\nstate = "{box.state}"\n'
        f'[vault]\nkeys = "{vault.keys}"\nparties = "{vault.parties}"\n'
    )
    result = CliRunner().invoke(
        command, ["provision", "rotate-templates", party, "--config", str(path)], catch_exceptions=False
    )
    world.restart()
    world.connect()
    return result


@pytest.mark.parametrize("readers", ["party", "fleet"])
def test_after_a_renewal_an_old_template_is_refused_as_enrol_again_and_a_new_one_matches(
    make_world: Any, parties: Any, exam: Any, embedding: Any, readers: str
) -> None:
    party = parties(readers=readers)
    world = open_world(make_world, party)
    old = enrolled(world, party, exam, embedding(1))
    assert matched(world, party, exam, embedding(1, 0.1), old) == "match"
    assert matched(world, party, exam, embedding(2), old) == "no-match"
    assert rotate(world).exit_code == 0
    assert matched(world, party, exam, embedding(1), old) == "enroll-again"
    new = enrolled(world, party, exam, embedding(1))
    assert said(world)["template"]["epoch"] == 2
    assert matched(world, party, exam, embedding(1, 0.1), new) == "match"


def test_a_renewal_is_written_down_and_vouched_for(make_world: Any, party: Any) -> None:
    world = open_world(make_world, party)
    assert "epoch 2" in rotate(world).output
    log = [(entry.event, json.loads(entry.detail)) for entry in audit.read(world.vault._store)]
    assert [detail for event, detail in log if event == "epoch"] == [
        {"party": "pickup", "epoch": 1},
        {"party": "pickup", "epoch": 2},
    ]
    assert audit.verify(world.vault._store) is None
    registered = registry.load_party(world.config.vault.parties / "pickup.toml")
    assert registered.epoch == 2


def test_a_registration_that_was_put_back_is_refused(make_world: Any, party: Any) -> None:
    world = open_world(make_world, party)
    path = world.config.vault.parties / "pickup.toml"
    before = path.read_bytes()
    rotate(world)
    path.write_bytes(before)
    with pytest.raises(ConfigError, match="epoch = 2"):
        world.restart()


@pytest.mark.parametrize("with_registration", [False, True])
def test_a_database_that_was_put_back_is_refused_with_or_without_the_registration(
    make_world: Any, party: Any, tmp_path: Path, with_registration: bool
) -> None:
    world = open_world(make_world, party)
    world.close()
    state, file = world.config.box.state, world.config.vault.parties / "pickup.toml"
    shutil.copy(state / store.FILE, tmp_path / "copy")
    shutil.copy(file, tmp_path / "copy.toml")
    world.restart()
    rotate(world)
    world.close()
    shutil.copy(tmp_path / "copy", state / store.FILE)
    if with_registration:
        shutil.copy(tmp_path / "copy.toml", file)
    with pytest.raises(OutboxError, match="vouched for"):
        world._start()


def test_not_even_a_statement_of_the_database_turns_an_epoch_back(tmp_path: Path, parties: Any) -> None:
    database = Store(tmp_path)
    epochs.settle(database, {"pickup": parties(extra="epoch = 5").parsed()}, NOW)
    for statement in ("UPDATE epoch SET epoch = 4", "DELETE FROM epoch"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(statement)
    with pytest.raises(ConfigError):
        epochs.settle(database, {"pickup": parties(extra="epoch = 4").parsed()}, NOW)
    assert epochs.in_use(database, "pickup") == 5
    database.close()


class PowerCut(BaseException):
    """Nothing after this is executed."""


@pytest.mark.parametrize("at", ["BEGIN", "INSERT INTO epoch", "INSERT INTO audit", "COMMIT"])
def test_a_power_cut_in_a_renewal_leaves_the_old_epoch_or_the_new_one(
    tmp_path: Path, party: Any, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    folder = tmp_path / "parties"
    folder.mkdir()
    (folder / "pickup.toml").write_text(party.toml())
    database = Store(tmp_path)
    epochs.settle(database, registry.load(folder), NOW)
    execute = Store.execute

    def cut(self: Store, statement: str, values: Any = ()) -> Any:
        if statement.startswith(at):
            raise PowerCut
        return execute(self, statement, values)

    monkeypatch.setattr(Store, "execute", cut)
    with pytest.raises(PowerCut):
        epochs.renew(database, folder, "pickup", NOW)
    monkeypatch.setattr(Store, "execute", execute)
    database.close()
    database = Store(tmp_path)
    parties = registry.load(folder)
    with database.transaction():
        epochs.settle(database, parties, NOW)
    assert epochs.in_use(database, "pickup") == parties["pickup"].epoch == (2 if at == "COMMIT" else 1)
    assert audit.verify(database) is None
    database.close()


def test_a_renewal_changes_one_line_of_the_registration_and_nothing_else(party: Any) -> None:
    plain = party.toml()
    assert epochs.with_epoch(plain, 2) == "epoch = 2\n" + plain
    text = "# of pickup\nid = 'pickup'\n epoch = 7 # the seventh\n[notice]\nepoch = 'x'\n"
    assert epochs.with_epoch(text, 8) == text.replace(" epoch = 7 # the seventh", "epoch = 8")
    with pytest.raises(ConfigError):
        epochs.with_epoch('id = """\nepoch = 1\n"""\n', 2)


@pytest.mark.parametrize("name", ["../pickup", "", "Pickup", "nobody"])
def test_only_a_registered_party_is_renewed(tmp_path: Path, name: str) -> None:
    database = Store(tmp_path)
    with pytest.raises((UsageError, ConfigError)):
        epochs.renew(database, tmp_path, name, NOW)
    assert database.execute("SELECT count(*) FROM epoch") == [(0,)]
    database.close()
