"""Every decoder of bytes from outside, with what it may do to any input: give a whole value or its own error.

A target's `check` raises AssertionError when a promise is broken; whatever else it raises is a crash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzzing import inputs
from vouchbox.errors import CodeRefused, ConfigError, ReceiptInvalid, RequestRefused, VerdictInvalid
from vouchbox.messages import Action, Level, RequestArrived
from vouchbox.relying_party import boxes, withdrawals
from vouchbox.simulator.registration import PURPOSE, registration
from vouchbox.vault import (
    ack,
    consent,
    formats,
    notice,
    receipt_check,
    registry,
    request,
    sealing,
    withdrawal,
    withdrawal_code,
)
from vouchbox.vault.clock import CLOCK_SKEW_S, Span
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.registry import Key, Party
from vouchbox.vault.request import Request

NOW = 1_800_000_000
BOX = "vouchbox:shop/door"
PARTY = "pickup"
ASKING, CONSENTING, BOXES = inputs.key(1), inputs.key(2), inputs.key(3)

_CLAIMS = {
    "iss": PARTY,
    "aud": BOX,
    "iat": NOW,
    "exp": NOW + 300,
    "jti": "j" * 22,
    "nonce": "n" * 22,
    "purpose": PURPOSE,
    "action": "check",
    "level": "active",
}


@dataclass(frozen=True)
class Target:
    """What to feed and what to hold it to; `check` tells whether the input came through as a value."""

    draw: inputs.Input
    check: Callable[[bytes], bool]


def _text() -> str:
    asking = _jwk(ASKING, "k1")
    text = registration(
        PARTY,
        verification_key=asking,
        seal_key=to_base64url(sealing.key_pair(bytes(32))[1]),
    ).replace('consent = ["prompt", "button"]', 'consent = ["prompt", "button", "token"]')
    members = "\n".join(f"{name} = {json.dumps(value)}" for name, value in _jwk(CONSENTING, "app").items())
    return text.replace("[purposes]", f"[[consent-keys]]\n{members}\n\n[purposes]")


def _jwk(key: Any, kid: str) -> dict[str, str]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": key.as_dict(private=False)["x"],
        "alg": "Ed25519",
        "kid": kid,
    }


TEXT = _text()
KNOWN: Party = registry.parse(TEXT.encode(), "registration")
REGISTRY = {PARTY: KNOWN}
ASKED = Request(PARTY, "j" * 22, "n" * 22, PURPOSE, Action.CHECK, Level.ACTIVE, NOW + 300)
TOLD = notice.digest(KNOWN.notices[PURPOSE])


def _request(data: bytes) -> bool:
    try:
        judged = request.judge(RequestArrived(data), REGISTRY, BOX, lambda _: Span.at(NOW))
    except RequestRefused:
        return False
    assert _payload(data)["aud"] == BOX
    assert judged.party is KNOWN
    if judged.refusal is None:
        assert judged.request.purpose in KNOWN.notices
        assert judged.request.expires > NOW - CLOCK_SKEW_S
    return True


def _consent(data: bytes) -> bool:
    try:
        answer = consent.verify(data, ASKED, KNOWN, BOX, Span.at(NOW))
    except RequestRefused:
        return False
    said = _payload(data)
    assert answer.accepted is said["accepted"]
    assert (said["nonce"], said["purpose"], said["action"], said["notice"]) == (
        ASKED.nonce,
        ASKED.purpose,
        "check",
        TOLD,
    )
    return True


def _acknowledgement(data: bytes) -> bool:
    try:
        said = ack.verify(data, REGISTRY, BOX)
    except RequestRefused:
        return False
    assert said.party == PARTY
    assert all(len(digest) == 64 for digest in said.delivered)
    return True


def _erasure(data: bytes) -> bool:
    withdrawal.is_erasure(data)
    try:
        said = withdrawal.verify_erasure(data, REGISTRY, BOX)
    except RequestRefused:
        return False
    assert said.party == PARTY
    return True


def _withdrawal(data: bytes) -> bool:
    try:
        said = withdrawals.verify(data, _FLEET, PARTY, NOW)
    except VerdictInvalid:
        return False
    assert said.receipt == withdrawal_code.receipt_id(formats.from_base64url(_payload(data)["code"]))
    return True


def _code(data: bytes) -> bool:
    try:
        said = withdrawal_code.read(data.decode("utf-8", "replace"))
    except CodeRefused:
        return False
    assert len(said.code) == withdrawal_code.CODE_BYTES
    return True


def _registration(data: bytes) -> bool:
    try:
        party = registry.parse(data, "registration")
    except ConfigError:
        return False
    assert party.notices
    assert party.keys
    for told in party.notices.values():
        for field in told.__struct_fields__:
            value = getattr(told, field)
            for line in value if isinstance(value, tuple) else (str(value),):
                assert line.strip(), field
                assert notice.is_showable(line), field
    return True


def _receipt(read: Callable[[bytes, receipt_check.Keys], Any]) -> Callable[[bytes], bool]:
    keys = {BOX: {"box": Key("Ed25519", inputs.key(3))}}

    def check(data: bytes) -> bool:
        try:
            form = read(data, keys)
        except ReceiptInvalid:
            return False
        assert form.iss == BOX == _payload(data)["iss"]
        return True

    return check


def _payload(token: bytes) -> Mapping[str, Any]:
    # A claim that nobody reads may hold bytes that are no UTF-8; only the claims that are read matter here.
    payload = formats.from_base64url(token.split(b".")[1].decode()).decode("utf-8", "replace")
    claims: dict[str, Any] = json.loads(payload)
    return claims


_CONSENT = {name: value for name, value in _CLAIMS.items() if name != "level"} | {
    "notice": TOLD,
    "accepted": True,
}
_ACK = {"iss": PARTY, "aud": BOX, "iat": NOW, "delivered": ["a" * 64]}
_SHORT = {"iss": BOX, "aud": PARTY, "iat": NOW, "jti": "r" * 22, "v": "v" * 22}
_FULL = {
    "iss": BOX,
    "iat": NOW,
    "exp": NOW + 300,
    "jti": "r" * 22,
    "header": {"schema_version": "s", "record_id": "r" * 22, "pii_principal_id": "p" * 22},
    "processing": {"purpose": "p"},
    "event": {
        "event_time": NOW,
        "event_type": "t",
        "event_state": "given",
        "way": "prompt",
        "validity_duration_s": 1,
    },
    "verdict": {"jti": "v" * 22, "outcome": "live"},
    "sent": [{"topic": "t", "content_type": "c", "size": 1, "sha256": "a" * 64}],
    "software": {"vouchbox": "0"},
}
_ERASURE = {
    "iss": PARTY,
    "aud": [BOX],
    "iat": NOW,
    "withdrawal": "w" * 22,
    "verdict": "v" * 22,
    "receipt": "r" * 22,
    "erased": {"templates": 1, "verdicts": 1},
}
_SEAL = sealing.public_key(sealing.key_pair(bytes(32))[1])
_FLEET = {BOX: boxes.Box(BOX, "u" * 23, {"box": boxes.VerificationKey("Ed25519", BOXES)}, _SEAL)}
_CODE = bytes(range(16))
_WITHDRAWAL = {
    "iss": BOX,
    "aud": PARTY,
    "iat": NOW,
    "jti": "w" * 22,
    "box": BOX,
    "verdict": "v" * 22,
    "receipt": withdrawal_code.receipt_id(_CODE),
    "code": to_base64url(_CODE),
}
_DEEP = {name: value for name, value in _FULL.items() if isinstance(value, dict)}

TARGETS: dict[str, Target] = {
    "request": Target(
        inputs.tokens(formats.REQUEST_TYPE, "k1", ASKING, {**_CLAIMS, "reference": "", "consent": ""}),
        _request,
    ),
    "consent": Target(inputs.tokens(formats.CONSENT_TYPE, "app", CONSENTING, _CONSENT), _consent),
    "registration": Target(inputs.texts(TEXT), _registration),
    "acknowledgement": Target(inputs.tokens(formats.ACK_TYPE, "k1", ASKING, _ACK), _acknowledgement),
    "short-receipt": Target(
        inputs.tokens(formats.SHORT_RECEIPT_TYPE, "box", BOXES, _SHORT), _receipt(receipt_check.read_short)
    ),
    "receipt": Target(
        inputs.tokens(formats.RECEIPT_TYPE, "box", BOXES, _FULL, _DEEP), _receipt(receipt_check.read_full)
    ),
    "withdrawal": Target(inputs.tokens(formats.WITHDRAWAL_TYPE, "box", BOXES, _WITHDRAWAL), _withdrawal),
    "code": Target(inputs.texts(withdrawal_code.words(_CODE).replace(" ", "\n")), _code),
    "erasure": Target(
        inputs.tokens(formats.ERASURE_TYPE, "k1", ASKING, _ERASURE, {"erased": {"templates", "verdicts"}}),
        _erasure,
    ),
}
"""Name to target."""


def feed(name: str, seed: int) -> bool:
    """Feed the target the input of `seed`; whether it came through as a value."""
    target = TARGETS[name]
    return target.check(target.draw(Random(seed)))
