"""A withdrawal erases, once and for good, and is answered by a signed receipt each time it comes."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.errors import RequestRefused, UsageError, VerdictInvalid
from vouchbox.messages import Action
from vouchbox.relying_party import boxes, export, withdrawals
from vouchbox.relying_party.ledger import Ledger
from vouchbox.vault import formats, withdrawal_code
from vouchbox.vault.withdrawal import Erasure

NOW = 1_800_000_000
ROOT = "vouchbox/v1/lab/one"
OTHER = "vouchbox:lab/two"
CODE = bytes(range(16))


def enrolled(world: Any, code: bytes = CODE, **more: Any) -> Any:
    """A verdict and its template, not yet handed to the party."""
    asked = world.ask(Action.ENROLL, **more)
    return world.box.speak(world.box.hear(asked.payload), receipt=withdrawal_code.receipt_id(code))


def kept(world: Any, **more: Any) -> Any:
    spoken = enrolled(world, **more)
    world.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    world.intake.template(f"{ROOT}/template", spoken.template, NOW)
    assert world.ledger.counts()["templates"] == 1
    return spoken


def withdraw(world: Any, payload: bytes, topic: str = f"{ROOT}/withdrawal") -> Erasure:
    answer = world.intake.withdrawal(topic, payload, NOW + 5)
    assert answer.topic == topic.replace("/withdrawal", "/ack")
    erasure: Erasure = world.box.erasure(answer.payload)
    return erasure


def test_a_withdrawal_erases_template_verdict_and_handle_and_the_receipt_says_so(world: Any) -> None:
    spoken = kept(world)
    erasure = withdraw(world, world.box.withdraw(spoken.jti, CODE))
    assert (erasure.verdict, erasure.receipt) == (spoken.jti, withdrawal_code.receipt_id(CODE))
    assert (erasure.erased.templates, erasure.erased.verdicts, erasure.at) == (1, 1, NOW + 5)
    held = export.held(world.ledger, verdict=spoken.jti)
    assert held["templates"] == held["waiting_templates"] == []
    assert [row["token"] for row in held["verdicts"]] == [""]
    assert [row["subject"] for row in held["requests"]] == [""]
    assert export.held(world.ledger, subject="customer-1")["templates"] == []
    for path in world.folder.glob("ledger.sqlite*"):
        content = path.read_bytes()
        assert spoken.template[200:400] not in content
        assert spoken.verdict[100:300] not in content


def test_late_copies_stay_erased_and_are_acknowledged(world: Any) -> None:
    spoken = kept(world)
    withdraw(world, world.box.withdraw(spoken.jti, CODE))
    for _ in range(2):
        assert world.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW + 9) is not None
        assert world.intake.template(f"{ROOT}/template", spoken.template, NOW + 9) is not None
    counts = world.ledger.counts()
    assert (counts["templates"], counts["pending"]) == (0, 0)
    assert world.ledger.verdict(spoken.jti) is None


def test_a_withdrawal_that_overtakes_its_verdict_erases_what_comes_later(world: Any) -> None:
    spoken = enrolled(world)
    world.intake.template(f"{ROOT}/template", spoken.template, NOW)
    erasure = withdraw(world, world.box.withdraw(spoken.jti, CODE))
    assert (erasure.erased.templates, erasure.erased.verdicts) == (1, 0)
    world.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW + 9)
    world.intake.template(f"{ROOT}/template", spoken.template, NOW + 9)
    counts = world.ledger.counts()
    assert (counts["templates"], counts["pending"], counts["verdicts"]) == (0, 0, 0)
    assert [row["subject"] for row in export.held(world.ledger, subject="customer-1")["requests"]] == []


def test_the_same_withdrawal_again_gets_the_same_answer_and_spares_a_newer_enrolment(world: Any) -> None:
    first = kept(world)
    payload = world.box.withdraw(first.jti, CODE)
    before = withdraw(world, payload)
    second = enrolled(world, secrets.token_bytes(16))
    world.intake.verdict(f"{ROOT}/verdict", second.verdict, NOW + 9)
    world.intake.template(f"{ROOT}/template", second.template, NOW + 9)
    assert withdraw(world, payload) == before
    assert world.ledger.counts()["templates"] == 1


def test_an_erasure_is_on_the_disk_before_it_is_confirmed(world: Any) -> None:
    spoken = kept(world)
    payload = world.box.withdraw(spoken.jti, CODE)
    world.intake.withdrawal(f"{ROOT}/withdrawal", payload, NOW)
    with Ledger(world.folder / "ledger.sqlite") as again:
        assert again.withdrawn(spoken.jti) is not None
        assert again.counts()["templates"] == 0


# --- from another box of the fleet ----------------------------------------------------------------------
@pytest.fixture
def second(world: Any, tmp_path: Path) -> Any:
    made = type(world.box)(tmp_path / "two", audience=OTHER)
    world.fleet = (made,)
    made.registry = world.box.registry
    return made


def test_another_box_withdraws_with_the_first_ones_signed_receipt_and_both_are_told(
    world: Any, second: Any
) -> None:
    spoken = kept(world)
    short = world.box.short(spoken.jti, CODE)
    payload = second.withdraw(spoken.jti, CODE, short=short)
    answer = world.intake.withdrawal("vouchbox/v1/lab/two/withdrawal", payload, NOW)
    assert (answer.topic, answer.also) == ("vouchbox/v1/lab/two/ack", (f"{ROOT}/ack",))
    assert world.box.erasure(answer.payload) == second.erasure(answer.payload)
    assert world.ledger.counts()["templates"] == 0


def test_another_box_without_that_receipt_withdraws_nothing(world: Any, second: Any) -> None:
    spoken = kept(world)
    topic = "vouchbox/v1/lab/two/withdrawal"
    other = secrets.token_bytes(16)
    for short in (b"", b"a.b.c", second.short(spoken.jti, CODE), world.box.short(spoken.jti, other)):
        with pytest.raises(VerdictInvalid):
            world.intake.withdrawal(topic, second.withdraw(spoken.jti, CODE, short=short), NOW)
    assert world.ledger.counts()["templates"] == 1


# --- what does not count --------------------------------------------------------------------------------
def test_a_box_cannot_withdraw_without_the_persons_code(world: Any) -> None:
    spoken = kept(world)
    receipt = withdrawal_code.receipt_id(CODE)
    guess = secrets.token_bytes(16)
    for payload in (
        world.box.withdraw(spoken.jti, guess),
        world.box.withdraw(spoken.jti, guess, receipt=receipt),
    ):
        with pytest.raises(VerdictInvalid):
            world.intake.withdrawal(f"{ROOT}/withdrawal", payload, NOW)
    assert world.ledger.counts()["templates"] == 1


def test_a_withdrawal_for_another_party_or_on_another_boxs_topic_does_nothing(
    world: Any, second: Any
) -> None:
    spoken = kept(world)
    with pytest.raises(VerdictInvalid, match="another relying party"):
        world.intake.withdrawal(
            f"{ROOT}/withdrawal", world.box.withdraw(spoken.jti, CODE, party="other"), NOW
        )
    payload = world.box.withdraw(spoken.jti, CODE)
    with pytest.raises(VerdictInvalid, match="another box's topic"):
        world.intake.withdrawal("vouchbox/v1/lab/two/withdrawal", payload, NOW)
    assert world.ledger.counts()["templates"] == 1


def test_a_second_receipt_for_a_withdrawn_verdict_is_not_confirmed(world: Any) -> None:
    spoken = kept(world)
    withdraw(world, world.box.withdraw(spoken.jti, CODE))
    with pytest.raises(VerdictInvalid):
        world.intake.withdrawal(
            f"{ROOT}/withdrawal", world.box.withdraw(spoken.jti, secrets.token_bytes(16)), NOW
        )


def test_a_withdrawal_by_a_key_whose_time_is_over_does_nothing(world: Any) -> None:
    spoken = kept(world)
    document = json.loads(world.box.document)
    document["keys"][0]["exp"] = NOW + 10
    known = boxes.parse(json.dumps(document).encode(), "document")
    payload = world.box.withdraw(spoken.jti, CODE)
    assert withdrawals.verify(payload, {known.audience: known}, "pickup", NOW + 9).verdict == spoken.jti
    with pytest.raises(VerdictInvalid, match="retired"):
        withdrawals.verify(payload, {known.audience: known}, "pickup", NOW + 10)


def test_an_erasure_receipt_is_only_for_the_boxes_it_names(world: Any, second: Any) -> None:
    spoken = kept(world)
    answer = world.intake.withdrawal(f"{ROOT}/withdrawal", world.box.withdraw(spoken.jti, CODE), NOW)
    assert answer.also == ()
    with pytest.raises(RequestRefused, match="another box"):
        second.erasure(answer.payload)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_and_no_signed_claims_break_the_reader(world: Any, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        payload = data.draw(st.binary(max_size=600))
    else:
        names = ["aud", "iat", "jti", "box", "verdict", "receipt", "code", "proof"]
        values = st.none() | st.integers() | st.text(max_size=40) | st.just("vouchbox:lab/one")
        said = data.draw(st.dictionaries(st.sampled_from(names), values))
        payload = world.box.ring.signer.sign(formats.WITHDRAWAL_TYPE, said | {"iss": "vouchbox:lab/one"})
    with pytest.raises(VerdictInvalid):
        withdrawals.verify(payload, world.boxes, "pickup", NOW)


# --- what is held ---------------------------------------------------------------------------------------
def test_the_export_shows_everything_of_one_person_and_nothing_of_another(world: Any) -> None:
    mine, other = kept(world), enrolled(world, secrets.token_bytes(16), subject="customer-2")
    world.intake.verdict(f"{ROOT}/verdict", other.verdict, NOW)
    world.intake.template(f"{ROOT}/template", other.template, NOW)
    held = export.held(world.ledger, subject="customer-1")
    assert [row["verdict"] for row in held["verdicts"]] == [mine.jti]
    assert [row["verdict"] for row in held["templates"]] == [mine.jti]
    assert other.jti not in json.dumps(held)
    assert export.held(world.ledger, verdict=mine.jti)["templates"] == held["templates"]
    with pytest.raises(UsageError):
        export.held(world.ledger)
