"""Somebody has a good verdict about one visit and wants it to speak for another."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from vouchbox.errors import VerdictInvalid
from vouchbox.messages import Level, Outcome
from vouchbox.relying_party import evidence
from vouchbox.vault.formats import from_base64url, to_base64url

NOW = 1_800_000_000
ROOT = "vouchbox/v1/lab/one"


def with_claims(token: bytes, **changes: Any) -> bytes:
    """The same signature over other claims."""
    head, payload, signature = token.split(b".")
    claims = json.loads(from_base64url(payload.decode()))
    claims["vouchbox"] |= changes.pop("vouchbox", {})
    changed = to_base64url(json.dumps(claims | changes).encode()).encode()
    return b".".join((head, changed, signature))


def test_a_new_nonce_under_the_old_signature_is_a_forgery(counter: Any) -> None:
    first, second = counter.ask(), counter.ask()
    spoken = counter.box.speak(counter.box.hear(first.payload))
    rebound = with_claims(spoken.verdict, eat_nonce=second.nonce, vouchbox={"request": second.jti})
    with pytest.raises(VerdictInvalid, match="signature"):
        counter.intake.verdict(f"{ROOT}/verdict", rebound, NOW)
    assert counter.ledger.answer(second.jti) is None


def test_a_verdict_does_not_answer_the_request_beside_its_own(counter: Any) -> None:
    first, second = counter.ask(), counter.ask()
    spoken = counter.box.speak(counter.box.hear(first.payload))
    with pytest.raises(VerdictInvalid, match="another request"):
        evidence.verify(spoken.verdict, counter.boxes, "pickup", NOW, nonce=second.nonce)
    counter.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    assert counter.ledger.answer(second.jti) is None
    assert counter.ledger.answer(first.jti) == spoken.verdict


def test_even_a_genuine_signature_over_a_mixed_answer_counts_for_nothing(counter: Any) -> None:
    """A box that was led to sign one request's number with another's nonce is not believed either."""
    first, second = counter.ask(), counter.ask()
    judged, other = counter.box.hear(first.payload), counter.box.hear(second.payload)
    mixed = msgspec.structs.replace(judged.request, nonce=other.request.nonce)
    spoken = counter.box.speak(replace(judged, request=mixed))
    counter.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    assert counter.ledger.answer(first.jti) is None
    assert counter.ledger.answer(second.jti) is None


def test_a_verdict_about_a_lower_level_does_not_answer_a_request_for_a_higher_one(counter: Any) -> None:
    asked = counter.ask(level=Level.ACTIVE)
    judged = counter.box.hear(asked.payload)
    lower = replace(judged, request=msgspec.structs.replace(judged.request, level=Level.PASSIVE))
    spoken = counter.box.speak(lower, Outcome.LIVE)
    counter.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    assert counter.ledger.answer(asked.jti) is None
