"""From a receipt to an erasure, every room a real process: real commands, kill -9, lost messages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox.messages import Action, Level, Outcome
from vouchbox.relying_party import export
from vouchbox.relying_party.ledger import Ledger
from vouchbox.relying_party.withdrawals import Withdrawal
from vouchbox.simulator.house import House
from vouchbox.simulator.visit import Visit, visit
from vouchbox.vault import withdrawal_code

OpenHouse = Callable[..., House]

PATIENCE_S = 120.0


def command(house: House, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vouchbox", *words, "--config", str(house.folder / "vouchbox.toml")],
        input=given,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def code_of(house: House, enrolled: Visit) -> str:
    """The words that the kiosk showed with this receipt; it shows them after the verdict is on its way."""
    kiosk, receipt = house.room("kiosk"), enrolled.verdict.said.receipt
    mark = f"Receipt: {receipt}"
    kiosk.wait_until(
        lambda: "To withdraw:" in kiosk.log.read_text().partition(mark)[2], "shown it", PATIENCE_S
    )
    return kiosk.log.read_text().partition(mark)[2].partition("To withdraw:")[2].splitlines()[0].strip()


def standing(house: House, code: str) -> dict[str, Any]:
    done = command(house, "receipt", "show", "-", "--json", given=code)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def wait_for_erasure(house: House, code: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        said: dict[str, Any] = standing(house, code)["withdrawal"] or {}
        if said.get("erased"):
            return said
        assert time.monotonic() < deadline, "the erasure was never confirmed"
        time.sleep(0.5)


def templates(house: House, verdict: str) -> list[dict[str, Any]]:
    with Ledger(house.settings.party.ledger) as ledger:
        return export.held(ledger, verdict=verdict)["templates"]


def enrol(house: House) -> Visit:
    """An enrolment that came to a template; a busy machine may need a second showing."""
    for _ in range(3):
        seen = visit(house, Action.ENROLL, Level.ACTIVE)
        if seen.verdict.outcome is Outcome.LIVE:
            return seen
    raise AssertionError(f"three enrolments ended {seen.verdict.said.reasons}")


@pytest.mark.mosquitto
def test_the_code_on_the_screen_erases_the_template_and_the_signed_erasure_can_be_shown(
    open_house: OpenHouse, portraits: None, tmp_path: Path
) -> None:
    house = open_house("simulated:collins")
    enrolled = enrol(house)
    assert len(templates(house, enrolled.verdict.jti)) == 1
    code = code_of(house, enrolled)
    assert withdrawal_code.read(code).receipt == enrolled.verdict.said.receipt

    record = standing(house, code)["receipt"]
    left = {sent.sha256 for sent in enrolled.departures}
    assert {sent["sha256"] for sent in record["sent"]} <= left
    full = command(house, "receipt", "show", "-", "--token", given=code).stdout
    box = house.config.vault.keys / "box.jwks.json"
    done = subprocess.run(
        [sys.executable, "-m", "vouchbox", "receipt", "verify", "-", "--jwks", str(box)],
        input=full,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The receipt holds: consent given" in done.stdout

    done = command(house, "withdraw", "-", "--wait", "60", "--json", given=code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["templates"] == 1
    assert templates(house, enrolled.verdict.jti) == []
    assert standing(house, code)["withdrawal"]["erased_templates"] == 1

    held = json.loads(command(house, "subject", "export", "-", given=code).stdout)
    assert {row["event"] for row in held["audit"]} >= {"consent", "verdict", "withdrawal", "erasure"}
    assert held["waiting"] == []
    assert enrolled.verdict.jti in held["at_the_relying_party"]["command"]

    wrong = command(house, "withdraw", "-", given=withdrawal_code.words(b"x" * 16))
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("vouchbox: no receipt of this box has that code")


def held_verdicts(house: House, verdict: str) -> int:
    """How many verdicts the relying party still has in full."""
    with Ledger(house.settings.party.ledger) as ledger:
        return sum(row["token"] != "" for row in export.held(ledger, verdict=verdict)["verdicts"])


@pytest.mark.mosquitto
def test_a_withdrawal_survives_kill_nine_of_the_vault_the_broker_and_the_relying_party(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins")
    seen = visit(house, Action.CHECK, Level.ACTIVE)
    code = code_of(house, seen)
    house.room("relying-party").kill()
    done = command(house, "withdraw", "-", "--wait", "0", given=code)
    assert done.returncode == 0, done.stderr
    assert "has not confirmed the erasure yet" in done.stdout
    for name in ("vault", "uplink"):
        house.room(name).kill()
    house.broker.kill()
    assert held_verdicts(house, seen.verdict.jti) == 1

    house.broker.start()
    house.revive("vault", "kiosk", "vision", "uplink", "relying-party")
    assert wait_for_erasure(house, code)["erased_verdicts"] == 1
    assert held_verdicts(house, seen.verdict.jti) == 0
    done = command(house, "withdraw", "-", "--wait", "0", "--json", given=code)
    assert json.loads(done.stdout)["verdicts"] == 1, "the answer is the first one's"


@pytest.mark.mosquitto
def test_a_relying_party_killed_after_its_erasure_answers_the_same_when_it_is_back(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins")
    seen = visit(house, Action.CHECK, Level.ACTIVE)
    code = code_of(house, seen)
    house.room("uplink").kill()
    assert command(house, "withdraw", "-", "--wait", "0", given=code).returncode == 0
    # The erasure is on the disk, and the service dies before its answer reaches anyone.
    house.room("relying-party").kill()
    with Ledger(house.settings.party.ledger) as ledger:
        told = Withdrawal("w" * 22, house.box, house.box, seen.verdict.jti, seen.verdict.said.receipt)
        before = ledger.withdraw(told, time.time() - 1000)
    assert before.verdicts == 1
    house.revive("relying-party", "uplink")
    said = wait_for_erasure(house, code)
    assert (said["erased_verdicts"], said["erased"]) == (1, before.at)
