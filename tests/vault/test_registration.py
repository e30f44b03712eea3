"""The operator's commands: what is wrong never reaches the box's folder, and what is right can be read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vouchbox import cli
from vouchbox.vault import notice, registry


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ran]:
    (tmp_path / "parties").mkdir()
    config = tmp_path / "vouchbox.toml"
    config.write_text(f'[box]\nsite = "s"\ndevice = "d"\n[vault]\nparties = "{tmp_path}/parties"\n')

    def call(*words: object) -> Ran:
        given = [*map(str, words)] + ([] if words[0] == "lint" else ["--config", str(config)])
        monkeypatch.setattr(sys, "argv", ["vouchbox", "relying-party", *given])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture
def file(tmp_path: Path, party: Any) -> Path:
    path = tmp_path / "new.toml"
    path.write_text(party.toml())
    return path


def test_a_registration_is_added_once_and_shown_as_the_person_reads_it(
    run: Any, file: Path, party: Any, tmp_path: Path
) -> None:
    assert run("add", file).code == 0
    stored = tmp_path / "parties" / "pickup.toml"
    assert stored.read_bytes() == file.read_bytes()
    assert [path.name for path in (tmp_path / "parties").iterdir()] == ["pickup.toml"]
    again = run("add", file)
    assert again.code == 2
    assert "--replace" in again.err
    shown = run("show", "pickup")
    told = registry.load_party(stored).notices["pickup"]
    assert notice.digest(told) in shown.out
    for field in ("alternative", "storage-location", "regions", "processors", "other-uses", "withdrawal"):
        assert f"text of {field}" in shown.out
    assert run("show").out.startswith("pickup: Shop pickup; pickup, age-check; check, enroll, match")


def test_a_registration_that_is_not_complete_never_reaches_the_folder(
    run: Any, file: Path, party: Any, tmp_path: Path
) -> None:
    file.write_text(party.toml(alternative="", policy=""))
    done = run("add", file)
    assert done.code == 2
    assert "alternative, policy" in done.err
    assert list((tmp_path / "parties").iterdir()) == []


def test_a_change_must_be_wanted_and_brings_no_older_epoch(
    run: Any, file: Path, parties: Any, tmp_path: Path
) -> None:
    for epoch, code in ((3, 0), (2, 2), (3, 0), (4, 0)):
        file.write_text(parties(extra=f"epoch = {epoch}").toml())
        assert run("add", file, "--replace").code == code
    assert registry.load(tmp_path / "parties")["pickup"].epoch == 4


def test_lint_names_everything_that_is_left_untold(run: Any, file: Path, party: Any, tmp_path: Path) -> None:
    assert run("lint", file).code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text(party.toml(regions=[], withdrawal=" "))
    done = run("lint", file, bad)
    assert done.code == 1
    assert "withdrawal" in done.err
    assert "regions" in done.err
    assert "pickup is complete" in done.out
    assert run("lint", tmp_path / "missing.toml").code == 2


def test_a_fresh_registration_of_keygen_lacks_only_what_a_person_must_be_told(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["relying-party", "keygen", str(tmp_path / "keys"), "--id", "pickup"]
    monkeypatch.setattr(sys, "argv", ["vouchbox", *words])
    cli.main()
    fresh = tmp_path / "fresh.toml"
    fresh.write_text(capfd.readouterr().out)
    assert run("lint", fresh).code == 1
    text = fresh.read_text().replace('= ""', '= "https://told.example"').replace("= []", '= ["told"]')
    fresh.write_text(text.replace("[purposes]", '[purposes]\npickup = "to hand the parcel over"'))
    assert run("lint", fresh).code == 0


def test_the_json_form_has_every_notice_and_its_digest(run: Any, file: Path) -> None:
    run("add", file)
    (one,) = json.loads(run("show", "--json").out)
    assert one["id"] == "pickup"
    assert set(one["notices"]) == {"pickup", "age-check"}
    assert one["notices"]["pickup"]["alternative"] == "text of alternative"


def test_an_unknown_party_is_said(run: Any) -> None:
    done = run("show", "nobody")
    assert done.code == 2
    assert "not registered" in done.err
