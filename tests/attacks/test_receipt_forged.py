"""Mallory makes a receipt: with her own key, with changed claims, with another name. Nobody takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vouchbox.errors import ReceiptInvalid
from vouchbox.messages import CodePresented, CodeRejected, ConsentAsked, ConsentGiven, ReceiptIssued
from vouchbox.vault import box_keys, formats, receipt_check, withdrawal_code

NOW = 1_800_000_000


def test_a_forged_receipt_neither_verifies_nor_withdraws(world: Any, party: Any) -> None:
    code = bytes(range(16))
    said = {
        "iss": "vouchbox:shop/door",
        "aud": party.id,
        "iat": 1_800_000_000,
        "jti": withdrawal_code.receipt_id(code),
        "v": "v" * 22,
    }
    kid = world.public["keys"][0]["kid"]
    keys = box_keys.with_own(world.public, None, NOW)
    unsigned = [
        formats.to_base64url(json.dumps(part).encode())
        for part in ({"alg": "none", "typ": formats.SHORT_RECEIPT_TYPE, "kid": kid}, said)
    ]
    forgeries = (
        party.sign(said, formats.SHORT_RECEIPT_TYPE),
        party.sign(said, formats.SHORT_RECEIPT_TYPE, kid=kid),
        ".".join([*unsigned, ""]).encode(),
    )
    world.join("counter")
    for forged in forgeries:
        with pytest.raises(ReceiptInvalid):
            receipt_check.read_short(forged, keys)
        world.say("counter", CodePresented(withdrawal_code.text(forged, code)))
        answer = world.heard["counter"][-1]
        assert isinstance(answer, CodeRejected)
        assert answer.reason == "forged"
    assert world.vault._store.execute("SELECT count(*) FROM withdrawal") == [(0,)]
    assert world.vault._counters["withdrawal-forged"] == 3


def test_a_true_receipt_with_mallorys_code_withdraws_nothing(world: Any, party: Any) -> None:
    """She saw the short form of someone's receipt, but not the end of it."""
    world.ask(party.request())
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.leave("vision")
    short = world.of("kiosk", ReceiptIssued)[-1].short.split("~")[0]
    world.join("counter")
    world.say("counter", CodePresented(f"{short}~{formats.to_base64url(bytes(16))}"))
    answer = world.heard["counter"][-1]
    assert isinstance(answer, CodeRejected)
    assert answer.reason == "wrong"
    assert world.vault._store.execute("SELECT count(*) FROM withdrawal") == [(0,)]
