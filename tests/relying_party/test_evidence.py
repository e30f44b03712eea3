"""Attack stories: what someone may send in a box's name, and why none of it counts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.errors import ConfigError, SealError, VerdictInvalid
from vouchbox.messages import Action, Level, Outcome, SourceKind, TestName, TestStatus
from vouchbox.relying_party import boxes, evidence, keys, templates
from vouchbox.relying_party.formats import PROFILE

NOW = 1_800_000_000
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def b64(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parts(token: bytes) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, body, signature = token.decode().split(".")
    return (
        json.loads(base64.urlsafe_b64decode(head + "==")),
        json.loads(base64.urlsafe_b64decode(body + "==")),
        signature,
    )


def refused(world: Any, token: bytes, words: str, now: float = NOW, **more: Any) -> None:
    with pytest.raises(VerdictInvalid, match=words):
        evidence.verify(token, world.boxes, "pickup", now, **more)


@pytest.fixture
def token(world: Any) -> bytes:
    answer: bytes = world.box.speak(world.box.hear(world.ask().payload)).verdict
    return answer


def resigned(world: Any, token: bytes, **changes: Any) -> bytes:
    """The claims of `token`, changed, under the box's genuine signature."""
    _, claims, _ = parts(token)
    claims |= changes
    signed: bytes = world.box.ring.signer.sign("eat+jwt", {k: v for k, v in claims.items() if v is not None})
    return signed


def test_a_changed_outcome_is_refused(world: Any) -> None:
    judged = world.box.hear(world.ask().payload)
    head, claims, signature = parts(world.box.speak(judged, outcome=Outcome.INCONCLUSIVE).verdict)
    claims["vouchbox"]["outcome"] = "live"
    refused(world, f"{b64(head)}.{b64(claims)}.{signature}".encode(), "signature")


def test_no_algorithm_is_refused(world: Any, token: bytes) -> None:
    head, claims, _ = parts(token)
    for name in ("none", "None", ""):
        refused(world, f"{b64({**head, 'alg': name})}.{b64(claims)}.".encode(), "algorithm|malformed")


def test_hs256_with_the_public_key_as_secret_is_refused(world: Any, token: bytes) -> None:
    head, claims, _ = parts(token)
    body = f"{b64({**head, 'alg': 'HS256'})}.{b64(claims)}"
    key = next(iter(world.boxes["vouchbox:lab/one"].keys.values())).key
    for secret in (key.as_pem(private=False), world.box.document):
        mac = hmac.digest(secret, body.encode(), hashlib.sha256)
        refused(world, f"{body}.{b64(mac)}".encode(), "algorithm")


def test_a_key_that_travels_in_the_header_is_refused(world: Any, token: bytes) -> None:
    head, claims, signature = parts(token)
    for member in ({"jwk": {}}, {"crit": []}, {"x5u": "https://x"}, {"b64": False}):
        refused(
            world, f"{b64({**head, **member})}.{b64(claims)}.{signature}".encode(), "no verdict|malformed"
        )


def test_another_type_of_token_is_refused(world: Any, token: bytes) -> None:
    _, claims, _ = parts(token)
    refused(world, world.box.ring.signer.sign("JWT", claims), "no verdict")
    refused(world, world.ask().payload, "no verdict|malformed")


def test_a_verdict_of_an_unknown_box_is_refused(world: Any, token: bytes) -> None:
    refused(world, resigned(world, token, iss="vouchbox:lab/two"), "no known box")


def test_a_verdict_for_someone_else_is_refused(world: Any, token: bytes) -> None:
    refused(world, resigned(world, token, aud="other"), "another relying party")
    refused(world, resigned(world, token, aud=["pickup", "other"]), "claim is missing or wrong")


def test_an_expired_verdict_and_one_from_the_future_are_refused(world: Any, token: bytes) -> None:
    refused(world, token, "expired", now=NOW + 8 * 86_400)
    refused(world, token, "future", now=NOW - 86_400)


def test_the_answer_to_another_request_is_refused(world: Any, token: bytes) -> None:
    refused(world, token, "another request", nonce="0123456789abcdef")


def test_another_profile_device_or_shape_is_refused(world: Any, token: bytes) -> None:
    refused(world, resigned(world, token, eat_profile=PROFILE[:-1] + "2"), "another profile")
    refused(world, resigned(world, token, ueid="AQ" + "A" * 21), "another device")
    for missing in ("exp", "iat", "jti", "eat_nonce", "measres", "vouchbox"):
        refused(world, resigned(world, token, **{missing: None}), "claim is missing or wrong")


def test_a_box_that_contradicts_itself_is_not_believed(world: Any) -> None:
    judged = world.box.hear(world.ask().payload)
    for name in TestName:
        spoken = world.box.speak(judged, tests={name: TestStatus.FAIL})
        refused(world, spoken.verdict, "contradicts its own tests")


@pytest.mark.parametrize(
    ("level", "name"), [(level, name) for level in Level for name in sorted(evidence.REQUIRED[level])]
)
def test_a_person_is_not_believed_live_when_a_required_test_did_not_run(
    world: Any, level: Level, name: TestName
) -> None:
    judged = world.box.hear(world.ask().payload)
    missing = world.box.speak(judged, tests={name: TestStatus.NOT_RUN}).verdict
    _, claims, _ = parts(missing)
    claims["vouchbox"]["level"] = level.value
    refused(world, resigned(world, missing, vouchbox=claims["vouchbox"]), f"{name} test that did not succeed")


def test_a_changed_source_is_refused(world: Any, token: bytes) -> None:
    _, claims, _ = parts(token)
    claims["vouchbox"]["source"]["kind"] = "simulated"
    simulated = resigned(world, token, vouchbox=claims["vouchbox"])
    head, claims, signature = parts(simulated)
    assert evidence.verify(simulated, world.boxes, "pickup", NOW).said.source.kind is SourceKind.SIMULATED
    claims["vouchbox"]["source"]["kind"] = "sensor"
    refused(world, f"{b64(head)}.{b64(claims)}.{signature}".encode(), "signature")


def test_no_clip_followed_prompts_whatever_its_box_says(world: Any, token: bytes) -> None:
    _, claims, _ = parts(token)
    claims["vouchbox"]["source"]["kind"] = "clip"
    refused(world, resigned(world, token, vouchbox=claims["vouchbox"]), "a clip followed prompts")
    for source in ("phone", "SENSOR", "", None, 1):
        claims["vouchbox"]["source"]["kind"] = source
        refused(world, resigned(world, token, vouchbox=claims["vouchbox"]), "claim is missing or wrong")


def test_a_swapped_template_is_not_vouched_for(world: Any) -> None:
    judged = world.box.hear(world.ask(Action.ENROLL).payload)
    first, second = world.box.speak(judged), world.box.speak(judged, person=2)
    verdict = evidence.verify(first.verdict, world.boxes, "pickup", NOW)
    with pytest.raises(VerdictInvalid, match="does not vouch"):
        templates.check(second.template, verdict)


def test_a_template_sealed_to_someone_else_does_not_open(world: Any, tmp_path: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    stranger = keys.generate(tmp_path / "stranger")
    with pytest.raises(SealError, match="does not open"):
        templates.unseal(templates.parse(spoken.template), stranger.seal)


@QUICK
@given(position=st.integers(0, 5000), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_refused(world: Any, position: int, bit: int) -> None:
    if not hasattr(world, "sample"):
        world.sample = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    token, payload = bytearray(world.sample.verdict), bytearray(world.sample.template)
    token[position % len(token)] ^= 1 << bit
    payload[position % len(payload)] ^= 1 << bit
    with pytest.raises(VerdictInvalid):
        evidence.verify(bytes(token), world.boxes, "pickup", NOW)
    with pytest.raises(SealError):
        templates.unseal(templates.parse(bytes(payload)), world.keys.seal)


@QUICK
@given(st.binary(max_size=9000))
def test_no_bytes_crash_a_decoder(world: Any, data: bytes) -> None:
    with pytest.raises(VerdictInvalid):
        evidence.verify(data, world.boxes, "pickup", NOW)
    with pytest.raises(SealError):
        templates.parse(data)
    with pytest.raises(SealError):
        templates.decode(data)
    with pytest.raises(ConfigError):
        boxes.parse(data, "file")


@QUICK
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["vouchbox", "measres", "exp", "iat", "jti", "eat_nonce", "aud", "ueid", "swversion"]),
)
def test_no_signed_claim_crashes_the_verifier(world: Any, value: object, name: str) -> None:
    if not hasattr(world, "token"):
        world.token = world.box.speak(world.box.hear(world.ask().payload)).verdict
    _, claims, _ = parts(world.token)
    if claims[name] == value:
        return
    signed = world.box.ring.signer.sign("eat+jwt", {**claims, name: value})
    try:
        evidence.verify(signed, world.boxes, "pickup", NOW)
    except VerdictInvalid:
        return
    assert name in ("iat", "exp", "swversion")


def test_without_a_set_clock_only_the_nonce_tells_that_a_verdict_is_fresh(world: Any) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload), now=1000, clock_is_set=False)
    with pytest.raises(VerdictInvalid, match="give the nonce"):
        evidence.verify(spoken.verdict, world.boxes, "pickup", NOW)
    with pytest.raises(VerdictInvalid, match="another request"):
        evidence.verify(spoken.verdict, world.boxes, "pickup", NOW, nonce="n" * 32)
    assert evidence.verify(spoken.verdict, world.boxes, "pickup", NOW, nonce=asked.nonce).issued == 1000
