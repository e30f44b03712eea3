"""Whoever can't make a signature asks for a weaker one: none, a public "secret", the older name."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwk

from vouchbox.errors import VerdictInvalid
from vouchbox.messages import ConsentAsked, ConsentToken
from vouchbox.relying_party import evidence
from vouchbox.vault.formats import CONSENT_TYPE, REQUEST_TYPE, VERDICT_TYPE, from_base64url, to_base64url

NOW = 1_800_000_000
WEAKER = ["none", "None", "HS256", "HS512", "EdDSA", "Ed448", "ES384", "RS256", "PS256", "ES256K", ""]


def forged(kind: str, kid: str, payload: bytes, alg: str, key: jwk.OKPKey | jwk.ECKey) -> str:
    """A token that asks for `alg`; where a shared secret is wanted, the public key serves as one."""
    head = to_base64url(json.dumps({"alg": alg, "typ": kind, "kid": kid}).encode())
    body = f"{head}.{to_base64url(payload)}"
    raw = key.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tag = hmac.new(raw, body.encode(), sha256).digest() if alg.startswith("HS") else b""
    return f"{body}.{to_base64url(tag)}"


@pytest.mark.parametrize("alg", WEAKER)
def test_a_request_gets_no_camera_by_it(world: Any, party: Any, watch: Any, alg: str) -> None:
    payload = json.dumps(party.claims()).encode()
    world.ask(forged(REQUEST_TYPE, party.kid, payload, alg, party.key).encode())
    assert watch(world).verdicts == []
    assert (watch(world).asked, watch(world).opened) == (0, 0)


@pytest.mark.parametrize("alg", WEAKER)
def test_a_consent_counts_for_nothing_by_it(open_world: Any, app_party: Any, watch: Any, alg: str) -> None:
    world = open_world(app_party)
    claims = app_party.claims()
    genuine = from_base64url(app_party.consent(claims).split(".")[1])
    weak = forged(CONSENT_TYPE, "app", genuine, alg, app_party.consent_key)
    world.ask(app_party.sign(claims | {"consent": weak}))
    assert watch(world).last == ("refused", ["consent-invalid"])
    world.ask(app_party.request())
    world.say("kiosk", ConsentToken(world.of("kiosk", ConsentAsked)[-1].session, weak))
    assert watch(world).opened == 0


@pytest.mark.parametrize("alg", WEAKER)
def test_a_verdict_is_not_believed_by_it(counter: Any, alg: str) -> None:
    asked = counter.ask()
    genuine = counter.box.speak(counter.box.hear(asked.payload)).verdict.decode()
    payload = from_base64url(genuine.split(".")[1])
    (key,) = counter.boxes["vouchbox:lab/one"].keys.values()
    kid = next(iter(counter.boxes["vouchbox:lab/one"].keys))
    weak = forged(VERDICT_TYPE, kid, payload, alg, key.key)
    with pytest.raises(VerdictInvalid):
        evidence.verify(weak.encode(), counter.boxes, "pickup", NOW)
    assert evidence.verify(genuine.encode(), counter.boxes, "pickup", NOW)


def test_a_key_of_one_algorithm_signs_nothing_under_the_name_of_another(
    world: Any, party: Any, watch: Any
) -> None:
    other = "ES256" if party.alg == "Ed25519" else "Ed25519"
    token = party.request().decode()
    head = to_base64url(json.dumps({"alg": other, "typ": REQUEST_TYPE, "kid": party.kid}).encode())
    world.ask(".".join((head, *token.split(".")[1:])).encode())
    assert watch(world).verdicts == []
    assert watch(world).asked == 0
