"""Someone other than the person withdraws: a box without the code, a stranger's key, an old recording."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from vouchbox.errors import VerdictInvalid
from vouchbox.messages import Action
from vouchbox.vault import withdrawal_code

NOW = 1_800_000_000
ROOT = "vouchbox/v1/lab/one"


def enrolled(counter: Any, code: bytes) -> Any:
    asked = counter.ask(Action.ENROLL)
    receipt = withdrawal_code.receipt_id(code)
    spoken = counter.box.speak(counter.box.hear(asked.payload), receipt=receipt)
    counter.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    counter.intake.template(f"{ROOT}/template", spoken.template, NOW)
    return spoken


def test_not_even_the_box_withdraws_without_the_persons_code(counter: Any) -> None:
    spoken = enrolled(counter, secrets.token_bytes(16))
    for _ in range(20):
        forged = counter.box.withdraw(spoken.jti, secrets.token_bytes(16))
        with pytest.raises(VerdictInvalid):
            counter.intake.withdrawal(f"{ROOT}/withdrawal", forged, NOW)
    assert counter.ledger.counts()["templates"] == 1


def test_a_stranger_with_the_code_but_no_known_key_withdraws_nothing(counter: Any, tmp_path: Path) -> None:
    code = secrets.token_bytes(16)
    spoken = enrolled(counter, code)
    stranger = type(counter.box)(tmp_path / "stranger")
    with pytest.raises(VerdictInvalid):
        counter.intake.withdrawal(f"{ROOT}/withdrawal", stranger.withdraw(spoken.jti, code), NOW)
    assert counter.ledger.counts()["templates"] == 1


def test_the_code_of_one_visit_does_not_withdraw_another(counter: Any) -> None:
    mine, other = secrets.token_bytes(16), secrets.token_bytes(16)
    enrolled(counter, mine)
    spoken = enrolled(counter, other)
    with pytest.raises(VerdictInvalid, match="not that verdict's"):
        counter.intake.withdrawal(f"{ROOT}/withdrawal", counter.box.withdraw(spoken.jti, mine), NOW)
    assert counter.ledger.counts()["templates"] == 1


def test_a_recorded_withdrawal_does_nothing_to_a_later_enrolment(counter: Any) -> None:
    code = secrets.token_bytes(16)
    recorded = counter.box.withdraw(enrolled(counter, code).jti, code)
    first = counter.intake.withdrawal(f"{ROOT}/withdrawal", recorded, NOW)
    enrolled(counter, secrets.token_bytes(16))
    for _ in range(3):
        again = counter.intake.withdrawal(f"{ROOT}/withdrawal", recorded, NOW + 9)
        assert counter.box.erasure(again.payload) == counter.box.erasure(first.payload)
    assert counter.ledger.counts()["templates"] == 1
