"""`vouchbox verify`, `open`, `match` and `relying-party keygen`, as typed: output, exit code, files."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox import cli
from vouchbox.messages import Action

Run = Callable[..., "Ran"]


class Ran:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["vouchbox", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture
def files(world: Any) -> Path:
    """verdict.jwt, template.bin of one enrolment, and box.json, in the world's folder."""
    now = int(time.time())
    asked = world.ask(Action.ENROLL, now=now)
    spoken = world.box.speak(world.box.hear(asked.payload, now), now=now)
    folder: Path = world.folder
    (folder / "verdict.jwt").write_bytes(spoken.verdict + b"\n")
    (folder / "template.bin").write_bytes(spoken.template)
    (folder / "box.json").write_bytes(world.box.document)
    (folder / "nonce").write_text(asked.nonce)
    return folder


def test_verify_says_what_holds_and_whether_it_is_fresh(run: Run, files: Path) -> None:
    known = ("--jwks", files / "box.json", "--audience", "pickup")
    plain = run("verify", files / "verdict.jwt", *known)
    assert (plain.code, plain.err) == (0, "")
    assert "The verdict holds: live" in plain.out
    assert "Freshness was not checked" in plain.out
    fresh = run("verify", files / "verdict.jwt", *known, "--nonce", (files / "nonce").read_text())
    assert "Freshness" not in fresh.out


def test_verify_reads_standard_input_and_prints_one_json_document(run: Run, files: Path) -> None:
    token = (files / "verdict.jwt").read_bytes()
    done = run("verify", "--jwks", files / "box.json", "--audience", "pickup", "--json", given=token)
    said = json.loads(done.out)
    assert (done.code, said["verified"], said["said"]["outcome"]) == (0, True, "live")


def test_verify_fails_with_one_sentence_and_code_1(run: Run, files: Path) -> None:
    known = ("--jwks", files / "box.json", "--audience", "other")
    done = run("verify", files / "verdict.jwt", *known)
    assert (done.code, done.out) == (1, "")
    assert done.err == "vouchbox: the verdict is for another relying party: check the audience.\n"
    as_json = run("verify", files / "verdict.jwt", *known, "--json")
    assert (as_json.code, json.loads(as_json.out)["verified"]) == (1, False)


@pytest.mark.parametrize("given", [b"", b"\xff\xfe", b"a.b.c", b"x" * 100_000])
def test_verify_survives_any_input(run: Run, files: Path, given: bytes) -> None:
    done = run("verify", "--jwks", files / "box.json", "--audience", "pickup", given=given)
    assert done.code == 1
    assert done.err.startswith("vouchbox: ")


def test_a_missing_file_or_option_is_a_matter_of_usage(run: Run, files: Path) -> None:
    assert run("verify", files / "nowhere", "--jwks", files / "box.json", "--audience", "p").code == 2
    assert run("verify", files / "verdict.jwt", "--jwks", files / "nowhere", "--audience", "p").code == 2
    assert run("verify", files / "verdict.jwt").code == 2


def test_open_shows_facts_and_never_the_values(run: Run, files: Path) -> None:
    key = files / "keys" / "seal.key"
    done = run("open", files / "template.bin", "--key", key, "--json")
    said = json.loads(done.out)
    assert (done.code, said["opened"], said["vouched"], said["party"]) == (0, True, False, "pickup")
    assert "values" not in said


def test_open_with_the_verdict_checks_that_it_vouches(run: Run, files: Path) -> None:
    key = files / "keys" / "seal.key"
    about = ("--verdict", files / "verdict.jwt", "--jwks", files / "box.json", "--audience", "pickup")
    assert json.loads(run("open", files / "template.bin", "--key", key, *about, "--json").out)["vouched"]
    assert run("open", files / "template.bin", "--key", key, "--verdict", files / "verdict.jwt").code == 2


def test_open_writes_a_private_file_and_never_over_another(run: Run, files: Path) -> None:
    words = (
        "open",
        files / "template.bin",
        "--key",
        files / "keys" / "seal.key",
        "--output",
        files / "clear",
    )
    assert run(*words).code == 0
    assert (files / "clear").stat().st_mode & 0o777 == 0o600
    assert run(*words).code == 2


def test_open_refuses_what_is_not_for_this_key(run: Run, files: Path) -> None:
    run("relying-party", "keygen", files / "stranger", "--id", "other")
    done = run("open", files / "template.bin", "--key", files / "stranger" / "seal.key")
    assert done.code == 1
    assert "does not open" in done.err


def test_match_tells_the_same_person_from_another(run: Run, world: Any, files: Path) -> None:
    names = []
    for person, noise in ((1, 0.0), (1, 0.2), (2, 0.0)):
        spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload), person=person, noise=noise)
        name = files / f"clear-{person}-{noise}"
        run("open", "--key", files / "keys" / "seal.key", "--output", name, given=spoken.template)
        names.append(name)
    same = run("match", names[0], names[1], "--threshold", "0.5", "--json")
    assert (same.code, json.loads(same.out)["match"]) == (0, True)
    other = run("match", names[0], "-", "--threshold", "0.5", given=names[2].read_bytes())
    assert (other.code, other.out.split(":")[0]) == (3, "No match")


def test_match_without_a_known_threshold_asks_for_one(run: Run, files: Path) -> None:
    run("open", files / "template.bin", "--key", files / "keys" / "seal.key", "--output", files / "clear")
    done = run("match", files / "clear", files / "clear")
    assert done.code == 2
    assert "give --threshold" in done.err
    assert run("match", files / "template.bin", files / "clear", "--threshold", "0.5").code == 1


def test_keygen_prints_a_registration_and_nothing_secret(run: Run, tmp_path: Path) -> None:
    done = run("relying-party", "keygen", tmp_path / "keys", "--id", "pickup", "--name", "Example Pickup")
    assert done.code == 0
    assert 'id = "pickup"' in done.out
    seed = (tmp_path / "keys" / "seal.key").read_text()
    private = json.loads((tmp_path / "keys" / "signing.jwk").read_text())["d"]
    assert seed not in done.out
    assert private not in done.out
    assert run("relying-party", "keygen", tmp_path / "keys", "--id", "pickup").code == 1


@pytest.mark.parametrize("words", [("--id", "Pick Up"), ("--id", "pickup", "--name", 'a"b'), ()])
def test_keygen_with_an_unusable_name_makes_no_key(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run("relying-party", "keygen", tmp_path / "keys", *words).code == 2
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("command", ["verify", "open", "match", "relying-party"])
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert f"Example: vouchbox {command}" in done.out
