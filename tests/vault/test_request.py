"""Attacks on the request: what nobody registered has signed for this box never gets anywhere."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk

from vouchbox.errors import RequestRefused
from vouchbox.messages import Action, Level, RequestArrived
from vouchbox.reasons import Reason
from vouchbox.vault import ack, registry, request
from vouchbox.vault.clock import Span
from vouchbox.vault.formats import ACK_TYPE, to_base64url

AUDIENCE = "vouchbox:shop/door"
NOW = 1_800_000_000
CLAIMS = ("iss", "aud", "iat", "exp", "jti", "nonce", "purpose", "action", "level", "reference")


@pytest.fixture
def judge(party: Any) -> Any:
    known = {party.id: party.parsed()}
    return lambda payload, now=NOW: request.judge(
        RequestArrived(payload), known, AUDIENCE, lambda _: Span.at(now)
    )


def junk(judge: Any, payload: bytes) -> str:
    with pytest.raises(RequestRefused) as caught:
        judge(payload)
    return caught.value.reason


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return ".".join(to_base64url(json.dumps(part).encode()) for part in (header, claims))


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_a_registered_party_is_heard(parties: Any, alg: str) -> None:
    key = jwk.OKPKey.generate_key() if alg == "Ed25519" else jwk.ECKey.generate_key("P-256")
    party = parties(alg=alg, key=key)
    arrived = RequestArrived(party.request(action="enroll"), "a/b", b"c")
    judged = request.judge(arrived, {party.id: party.parsed()}, AUDIENCE, lambda _: Span.at(NOW))
    assert judged.refusal is None
    assert (judged.request.action, judged.request.level) == (Action.ENROLL, Level.ACTIVE)
    assert (judged.request.response_topic, judged.request.correlation) == ("a/b", b"c")


def test_a_request_signed_by_a_stranger_under_a_registered_name_is_ignored(
    judge: Any, party: Any, parties: Any
) -> None:
    assert junk(judge, parties(id=party.id).request()) == "signature"


def test_a_request_of_a_party_that_nobody_registered_is_ignored(judge: Any, parties: Any) -> None:
    assert junk(judge, parties(id="stranger").request()) == "unknown-party"


def test_one_party_cannot_speak_for_another(party: Any, parties: Any) -> None:
    other = parties(id="other")
    known = {p.id: p.parsed() for p in (party, other)}
    with pytest.raises(RequestRefused, match="signature"):
        request.judge(RequestArrived(party.sign(other.claims())), known, AUDIENCE, lambda _: Span.at(NOW))


def test_a_key_that_was_never_registered_is_ignored(judge: Any, party: Any) -> None:
    assert junk(judge, party.sign(party.claims(), kid="k2")) == "unknown-key"


def test_alg_none_is_no_signature(judge: Any, party: Any) -> None:
    for name in ("none", "None", "NONE"):
        header = {"alg": name, "typ": "vouchbox-request+jwt", "kid": "k1"}
        assert junk(judge, (unsigned(header, party.claims()) + ".").encode()) in {"algorithm", "malformed"}


def test_the_public_key_is_no_shared_secret(judge: Any, party: Any) -> None:
    header = {"alg": "HS256", "typ": "vouchbox-request+jwt", "kid": "k1"}
    signing_input = unsigned(header, party.claims())
    public = party.key.as_dict(private=False)
    raw = party.key.public_key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    for secret in (raw, public["x"].encode(), json.dumps(public).encode()):
        tag = hmac.new(secret, signing_input.encode(), sha256).digest()
        assert junk(judge, f"{signing_input}.{to_base64url(tag)}".encode()) == "algorithm"


def test_the_older_name_of_the_algorithm_is_not_on_the_list(judge: Any, party: Any) -> None:
    header = {"alg": "EdDSA", "typ": "vouchbox-request+jwt", "kid": "k1"}
    assert junk(judge, (unsigned(header, party.claims()) + ".AAAA").encode()) == "algorithm"


def test_a_key_works_with_its_own_algorithm_only(judge: Any, party: Any, parties: Any) -> None:
    other = parties(id=party.id, alg="ES256", key=jwk.ECKey.generate_key("P-256"))
    assert junk(judge, other.request()) == "algorithm"


def test_a_token_of_another_type_is_no_request(judge: Any, party: Any) -> None:
    for kind in (ACK_TYPE, "JWT", "eat+jwt"):
        assert junk(judge, party.sign(party.claims(), kind)) == "wrong-type"


def test_a_key_or_an_option_in_the_header_is_refused(judge: Any, party: Any) -> None:
    smuggled = {"jwk": party.key.as_dict(private=False)}
    assert junk(judge, party.sign(party.claims(), **smuggled)) == "malformed"
    header = {"alg": "Ed25519", "typ": "vouchbox-request+jwt", "kid": "k1", "crit": ["exp"], "exp": 1}
    assert junk(judge, (unsigned(header, party.claims()) + ".AAAA").encode()) == "malformed"


def test_a_request_for_another_box_is_ignored(judge: Any, party: Any) -> None:
    for audience in ("vouchbox:shop/window", "", "vouchbox:shop/door "):
        assert junk(judge, party.request(aud=audience)) == "wrong-audience"
    assert junk(judge, party.request(aud=[AUDIENCE, "another"])) == "malformed"


def test_an_oversized_request_is_not_even_parsed(judge: Any, party: Any) -> None:
    assert junk(judge, party.request(padding="x" * 8192)) == "oversized"


@pytest.mark.parametrize("missing", [name for name in CLAIMS if name != "reference"])
def test_every_claim_is_mandatory(judge: Any, party: Any, missing: str) -> None:
    assert junk(judge, party.request(**{missing: None})) == "malformed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "short"},
        {"nonce": "x" * 89},
        {"nonce": "with a space"},
        {"jti": "../../etc/passwd-0"},
        {"jti": "x" * 65},
        {"action": "identify"},
        {"level": "ACTIVE"},
        {"iat": "now"},
        {"exp": 1e300},
        {"exp": -1},
        {"purpose": "Pickup\n"},
    ],
)
def test_a_claim_out_of_its_form_is_malformed(judge: Any, party: Any, wrong: dict[str, Any]) -> None:
    assert junk(judge, party.request(**wrong)) == "malformed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iat": NOW - 400, "exp": NOW - 100}, Reason.REQUEST_EXPIRED),
        ({"exp": NOW + 601}, Reason.REQUEST_EXPIRED),
        ({"iat": NOW, "exp": NOW}, Reason.REQUEST_EXPIRED),
        ({"iat": NOW + 31, "exp": NOW + 90}, Reason.REQUEST_NOT_YET_VALID),
        ({"purpose": "marketing"}, Reason.REQUEST_NOT_ALLOWED),
        ({"action": "match"}, Reason.REFERENCE_UNREADABLE),
        ({"action": "match", "reference": "not base64!"}, Reason.REFERENCE_UNREADABLE),
        ({"reference": "AAAA"}, Reason.REFERENCE_UNREADABLE),
    ],
)
def test_an_authentic_request_that_cannot_be_served_is_answered_with_its_reason(
    judge: Any, party: Any, changes: dict[str, Any], reason: Reason
) -> None:
    assert judge(party.request(**changes)).refusal is reason


def test_a_party_is_held_to_its_registered_actions_and_level(party: Any) -> None:
    text = party.toml().replace('"check", "enroll", "match"', '"check"').replace('"passive"', '"active"')
    text = text.replace('template-readers = "party"', 'template-readers = "nobody"')
    registered = {party.id: registry.parse(text.encode(), "test")}
    for changes in ({"action": "enroll"}, {"level": "passive"}):
        arrived = RequestArrived(party.request(**changes))
        assert (
            request.judge(arrived, registered, AUDIENCE, lambda _: Span.at(NOW)).refusal
            is Reason.REQUEST_NOT_ALLOWED
        )
    assert (
        request.judge(RequestArrived(party.request()), registered, AUDIENCE, lambda _: Span.at(NOW)).refusal
        is None
    )


def test_a_changed_byte_anywhere_is_noticed(judge: Any, party: Any) -> None:
    token = party.request()
    for place in range(0, len(token), 7):
        if token[place] != ord("."):
            changed = bytearray(token)
            changed[place] = ord("A") if token[place] != ord("A") else ord("B")
            assert junk(judge, bytes(changed))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=400) | st.text("eyJhbGci.-_=\n{}", max_size=200).map(str.encode))
def test_arbitrary_bytes_are_only_ever_ignored(judge: Any, party: Any, payload: bytes) -> None:
    assert junk(judge, payload)
    with pytest.raises(RequestRefused):
        ack.verify(payload, {party.id: party.parsed()}, AUDIENCE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
claim_names = st.sampled_from(CLAIMS)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(claim_names, json_values, min_size=1, max_size=3))
def test_signed_nonsense_is_refused_and_never_crashes(
    judge: Any, party: Any, changes: dict[str, Any]
) -> None:
    claims = party.claims() | changes
    try:
        judged = judge(party.sign(claims))
    except RequestRefused:
        return
    assert judged.refusal is not None or judged.request.party == party.id


def test_deeply_nested_json_is_malformed(judge: Any) -> None:
    header = to_base64url(b'{"alg":"Ed25519","typ":"vouchbox-request+jwt","kid":"k1"}')
    deep = to_base64url(b'{"iss":' + b"[" * 2500 + b"]" * 2500 + b"}")
    assert junk(judge, f"{header}.{deep}.AAAA".encode()) == "malformed"
    assert junk(judge, f"{deep}.{header}.AAAA".encode()) == "malformed"


def test_an_acknowledgement_is_for_this_box_and_names_whole_digests(party: Any) -> None:
    known = {party.id: party.parsed()}
    assert ack.verify(party.ack("a" * 64), known, AUDIENCE).delivered == ("a" * 64,)
    with pytest.raises(RequestRefused):
        ack.verify(party.ack("a" * 64), known, "vouchbox:shop/window")
    with pytest.raises(RequestRefused):
        ack.verify(party.ack("%"), known, AUDIENCE)
    with pytest.raises(RequestRefused):
        ack.verify(party.ack(), known, AUDIENCE)
    with pytest.raises(RequestRefused):
        ack.verify(party.request(), known, AUDIENCE)
