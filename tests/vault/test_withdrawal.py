"""A person takes a consent back at a box: one true code, one withdrawal, repeated until it is answered."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchbox.errors import RequestRefused
from vouchbox.messages import (
    AckArrived,
    CodePresented,
    CodeRejected,
    ConsentAsked,
    ConsentGiven,
    Examine,
    LinkState,
    Outgoing,
    ReceiptIssued,
    WithdrawalStanding,
)
from vouchbox.vault import audit, formats, receipt_book, subject_export, withdrawal, withdrawal_code


def claims_of(token: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(formats.from_base64url(token.split(b".")[1].decode()))
    return said


def enrolled(world: Any, party: Any, exam: Any, embedding: Any) -> ReceiptIssued:
    world.ask(party.request(action="enroll"))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts, embedding=embedding(1)))
    issued: ReceiptIssued = world.of("kiosk", ReceiptIssued)[-1]
    return issued


def present(world: Any, text: str) -> WithdrawalStanding | CodeRejected:
    if "counter" not in world.rooms:
        world.join("counter")
    world.say("counter", CodePresented(text))
    answer: WithdrawalStanding | CodeRejected = world.heard["counter"][-1]
    return answer


def withdrawals(world: Any) -> list[bytes]:
    rows = {row.row: row for row in world.of("uplink", Outgoing) if row.topic.endswith("/withdrawal")}
    return [row.payload for row in rows.values()]


def waiting(world: Any, content_type: str = formats.WITHDRAWAL_CONTENT_TYPE) -> int:
    query = "SELECT count(*) FROM outbox WHERE content_type = ?"
    [(count,)] = world.vault._store.execute(query, (content_type,))
    return int(count)


@pytest.fixture
def issued(world: Any, party: Any, exam: Any, embedding: Any) -> ReceiptIssued:
    return enrolled(world, party, exam, embedding)


@pytest.fixture
def window(make_world: Callable[..., Any], world: Any, party: Any, tmp_path: Path) -> Any:
    """Another box of the same fleet, which has the first one's public document."""
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    (fleet / "door.json").write_text(json.dumps(world.public))
    made = make_world(party, folder=tmp_path / "w", device="window", fleet=fleet)
    made.join("kiosk", "uplink", "counter")
    made.say("uplink", LinkState(connected=True))
    return made


@pytest.mark.parametrize("form", ["code", "short"])
def test_the_words_and_the_qr_code_both_withdraw_and_the_party_is_told_which_verdict(
    world: Any, party: Any, issued: ReceiptIssued, form: str
) -> None:
    standing = present(world, getattr(issued, form))
    assert isinstance(standing, WithdrawalStanding)
    assert (standing.receipt, standing.party, standing.erased) == (issued.receipt, "Shop pickup", 0)
    (token,) = withdrawals(world)
    said = claims_of(token)
    assert (said["aud"], said["box"], said["iss"]) == (party.id, "vouchbox:shop/door", "vouchbox:shop/door")
    assert said["verdict"] == issued.session
    assert said["receipt"] == issued.receipt
    assert "proof" not in said


def test_withdrawing_twice_is_withdrawing_once(world: Any, issued: ReceiptIssued) -> None:
    first, second = present(world, issued.code), present(world, issued.short)
    assert first == second
    assert len(withdrawals(world)) == waiting(world) == 1


def test_a_template_that_waits_is_never_sent_after_a_withdrawal(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    world.say("uplink", LinkState(connected=False))
    issued = enrolled(world, party, exam, embedding)
    assert waiting(world, formats.TEMPLATE_CONTENT_TYPE) == 1
    present(world, issued.code)
    assert waiting(world, formats.TEMPLATE_CONTENT_TYPE) == 0
    world.say("uplink", LinkState(connected=True))
    assert not [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")]
    assert len(withdrawals(world)) == 1


def test_a_withdrawal_is_repeated_until_the_erasure_receipt_and_a_plain_ack_does_not_stop_it(
    world: Any, party: Any, issued: ReceiptIssued, clock: Any
) -> None:
    import hashlib

    present(world, issued.code)
    (token,) = withdrawals(world)
    world.say("uplink", AckArrived(party.ack(hashlib.sha256(token).hexdigest())))
    assert waiting(world) == 1
    before = len([row for row in world.of("uplink", Outgoing) if row.payload == token])
    clock.pass_by(40)
    world.settle()
    assert len([row for row in world.of("uplink", Outgoing) if row.payload == token]) > before
    world.say("uplink", AckArrived(party.erasure(claims_of(token))))
    assert waiting(world) == 0
    standing = present(world, issued.code)
    assert isinstance(standing, WithdrawalStanding)
    assert (standing.templates, standing.verdicts, standing.erased > 0) == (1, 1, True)


def test_an_erasure_receipt_is_kept_and_can_be_shown(world: Any, party: Any, issued: ReceiptIssued) -> None:
    present(world, issued.code)
    answer = party.erasure(claims_of(withdrawals(world)[0]))
    world.say("uplink", AckArrived(answer))
    world.say("uplink", AckArrived(answer))
    known = receipt_book.withdrawal(world.vault._store, issued.receipt)
    assert known is not None
    assert known.erasure == answer
    assert len(world.vault._store.execute("SELECT 1 FROM audit WHERE event = 'erasure'")) == 1
    assert audit.verify(world.vault._store) is None


def test_the_code_is_gone_from_the_box_once_the_erasure_is_confirmed(
    world: Any, party: Any, issued: ReceiptIssued
) -> None:
    code = formats.to_base64url(withdrawal_code.read(issued.code).code)
    present(world, issued.code)
    token = withdrawals(world)[0]
    assert claims_of(token)["code"] == code
    world.say("uplink", AckArrived(party.erasure(claims_of(token))))
    for path in world.config.box.state.iterdir():
        content = path.read_bytes()
        assert token not in content
        assert code.encode() not in content


@pytest.mark.parametrize("at", range(1, 8))
def test_a_power_cut_at_any_write_leaves_no_withdrawal_or_a_whole_one(
    world: Any, issued: ReceiptIssued, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    from vouchbox.vault.store import Store

    class PowerCutError(BaseException):
        pass

    execute, count = Store.execute, 0

    def fragile(store: Store, statement: str, values: Any = ()) -> Any:
        nonlocal count
        count += statement.startswith(("INSERT", "DELETE", "COMMIT"))
        if count >= at:
            raise PowerCutError
        return execute(store, statement, values)

    world.join("counter")
    monkeypatch.setattr(Store, "execute", fragile)
    told = False
    with contextlib.suppress(PowerCutError):
        told = isinstance(present(world, issued.code), WithdrawalStanding)
    monkeypatch.setattr(Store, "execute", execute)
    world.restart()
    known = receipt_book.withdrawal(world.vault._store, issued.receipt)
    assert waiting(world) == (known is not None)
    assert known is not None or not told
    world.join("uplink")
    world.say("uplink", LinkState(connected=True))
    assert isinstance(present(world, issued.code), WithdrawalStanding)
    assert len(withdrawals(world)) == 1


# --- another box of the fleet ---------------------------------------------------------------------------
def test_the_qr_code_withdraws_at_another_box_of_the_fleet_which_shows_the_first_ones_signature(
    world: Any, window: Any, party: Any, issued: ReceiptIssued
) -> None:
    standing = present(window, issued.short)
    assert isinstance(standing, WithdrawalStanding)
    said = claims_of(withdrawals(window)[0])
    assert (said["iss"], said["box"]) == ("vouchbox:shop/window", "vouchbox:shop/door")
    assert said["proof"] == issued.short.split("~")[0]
    answer = party.erasure(said)
    for box in (window, world):
        box.say("uplink", AckArrived(answer))
        known = receipt_book.withdrawal(box.vault._store, issued.receipt)
        assert known is not None
        assert known.erased is not None
    assert waiting(window) == 0


def test_the_words_alone_say_nothing_to_a_box_that_did_not_give_the_receipt(
    window: Any, issued: ReceiptIssued
) -> None:
    refused = present(window, issued.code)
    assert isinstance(refused, CodeRejected)
    assert refused.reason == "unknown"
    assert "QR code" in refused.fix


# --- what is no true code -------------------------------------------------------------------------------
def test_wrong_codes_say_why_are_counted_and_change_nothing(world: Any, issued: ReceiptIssued) -> None:
    other = withdrawal_code.words(secrets.token_bytes(16))
    short = issued.short.split("~")[0]
    stranger = formats.to_base64url(secrets.token_bytes(16))
    cases = {
        "nonsense": "malformed",
        other: "unknown",
        f"{short[:-4]}AAAA~{stranger}": "forged",
        f"{short}~{formats.to_base64url(secrets.token_bytes(16))}": "wrong",
    }
    for text, reason in cases.items():
        refused = present(world, text)
        assert isinstance(refused, CodeRejected)
        assert refused.reason == reason
        assert world.vault._counters[f"withdrawal-{reason}"] == 1
    assert waiting(world) == 0
    assert receipt_book.withdrawal(world.vault._store, issued.receipt) is None


def test_guessing_is_answered_ten_times_a_minute(world: Any, issued: ReceiptIssued, clock: Any) -> None:
    for _ in range(10):
        refused = present(world, withdrawal_code.words(secrets.token_bytes(16)))
        assert isinstance(refused, CodeRejected)
        assert refused.reason == "unknown"
    locked = present(world, issued.code)
    assert isinstance(locked, CodeRejected)
    assert locked.reason == "too-many"
    clock.pass_by(61)
    assert isinstance(present(world, issued.code), WithdrawalStanding)


def test_there_is_nothing_to_withdraw_from_a_no(world: Any, party: Any) -> None:
    world.ask(party.request())
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, False))
    issued = world.of("kiosk", ReceiptIssued)[-1]
    refused = present(world, issued.short)
    assert isinstance(refused, CodeRejected)
    assert refused.reason == "malformed"


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=600))
def test_no_bytes_break_the_reader_of_erasure_receipts(payload: bytes) -> None:
    assert withdrawal.is_erasure(payload) is False
    with pytest.raises(RequestRefused):
        withdrawal.verify_erasure(payload, {}, "vouchbox:shop/door")
    with pytest.raises(RequestRefused):
        withdrawal.read_claims(payload)


# --- what is held ---------------------------------------------------------------------------------------
def test_the_export_has_every_row_of_the_session_and_no_biometric_value(
    world: Any, party: Any, issued: ReceiptIssued
) -> None:
    present(world, issued.code)
    held = subject_export.held(world.vault._store, issued.receipt)
    assert held["record"]["jti"] == issued.receipt
    assert {row["event"] for row in held["audit"]} == {
        *("request", "consent", "verdict", "receipt", "withdrawal")
    }
    kinds = {row["content_type"] for row in held["waiting"]}
    assert kinds == {"application/eat+jwt", formats.WITHDRAWAL_CONTENT_TYPE}
    assert held["withdrawal"]["erased"] is None
    stored = world.vault._store.execute(
        "SELECT count(*) FROM audit WHERE instr(detail, ?)", (issued.session,)
    )
    assert stored == [(len(held["audit"]),)]
    assert json.loads(json.dumps(held)) == held
