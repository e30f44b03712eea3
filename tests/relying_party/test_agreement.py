"""The two sides of every format were written apart; here they meet."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from vouchbox.errors import RequestRefused, UsageError
from vouchbox.messages import Action, Level, Outcome, TestName
from vouchbox.reasons import Reason
from vouchbox.relying_party import evidence, formats, requests, templates
from vouchbox.vault import formats as vault_formats
from vouchbox.vault import policy
from vouchbox.vault import sealed as vault_sealed
from vouchbox.vault import template as vault_template

NOW = 1_800_000_000
AUDIENCE = "vouchbox:lab/one"


def test_both_sides_use_the_same_names() -> None:
    shared = {name for name in vars(formats) if name.isupper()} & {
        n for n in vars(vault_formats) if n.isupper()
    }
    assert len(shared) >= 8
    for name in shared:
        assert getattr(formats, name) == getattr(vault_formats, name), name


def test_both_sides_require_the_same_tests() -> None:
    assert dict(evidence.REQUIRED) == dict(policy.REQUIRED)


@pytest.mark.parametrize("action", [Action.CHECK, Action.ENROLL])
def test_the_vault_understands_a_request(world: Any, action: Action) -> None:
    asked = world.ask(action, level=Level.PASSIVE if action is Action.CHECK else Level.ACTIVE)
    judged = world.box.hear(asked.payload)
    heard = judged.request
    assert (heard.jti, heard.nonce, heard.action, heard.purpose) == (asked.jti, asked.nonce, action, "pickup")
    refused = Reason.REQUEST_NOT_ALLOWED if asked.level is Level.PASSIVE else None
    assert judged.refusal is refused


def test_a_request_lives_only_as_long_as_it_says(world: Any) -> None:
    asked = world.ask()
    assert world.box.hear(asked.payload, NOW + 300).refusal is Reason.REQUEST_EXPIRED
    with pytest.raises(UsageError):
        requests.ask(
            world.keys,
            "pickup",
            world.boxes[AUDIENCE],
            purpose="pickup",
            action=Action.CHECK,
            level=Level.ACTIVE,
            now=NOW,
            lifetime_s=601,
        )


def test_a_verdict_of_the_vault_verifies(world: Any) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload))
    verdict = evidence.verify(spoken.verdict, world.boxes, "pickup", NOW, nonce=asked.nonce)
    assert verdict.outcome is Outcome.LIVE
    assert set(verdict.tests) == set(TestName)
    assert (verdict.jti, verdict.box, verdict.said.request) == (spoken.jti, AUDIENCE, asked.jti)
    assert verdict.said.wiped


def test_a_declined_verdict_names_no_camera(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload), Outcome.DECLINED)
    verdict = evidence.verify(spoken.verdict, world.boxes, "pickup", NOW)
    assert (verdict.outcome, verdict.said.source) == (Outcome.DECLINED, None)
    assert verdict.said.reasons == (Reason.DECLINED,)


def test_a_sealed_template_opens_and_the_verdict_vouches_for_it(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    verdict = evidence.verify(spoken.verdict, world.boxes, "pickup", NOW)
    clear = templates.unseal(templates.check(spoken.template, verdict), world.keys.seal)
    assert vault_template.decode(clear).party == templates.decode(clear).party == "pickup"


def test_the_vault_opens_the_reference_of_a_match_request(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    clear = templates.unseal(templates.parse(spoken.template), world.keys.seal)
    asked = world.ask(Action.MATCH, template=clear)
    assert len(asked.payload) < 8192
    judged = world.box.hear(asked.payload)
    assert judged.refusal is None
    opened = vault_sealed.open_reference(
        judged.reference, world.box.ring.seal_key, box=world.box.ring.identity.ueid, request=judged.request
    )
    assert vault_template.encode(opened) == clear


def test_both_sides_measure_the_same_similarity(world: Any) -> None:
    clear = []
    for person, noise in ((1, 0.0), (1, 0.3), (2, 0.0)):
        judged = world.box.hear(world.ask(Action.ENROLL).payload)
        spoken = world.box.speak(judged, person=person, noise=noise)
        clear.append(templates.unseal(templates.parse(spoken.template), world.keys.seal))
    first, again, other = (templates.decode(one) for one in clear)
    assert templates.similarity(first, again) > 0.8 > 0.4 > templates.similarity(first, other)
    ours = templates.similarity(first, other)
    assert ours == vault_template.cosine(*(vault_template.decode(one) for one in (clear[0], clear[2])))


def test_the_vault_takes_our_acknowledgement_and_nobody_elses(world: Any) -> None:
    digest = sha256(b"payload").hexdigest()
    signed = requests.acknowledge(world.keys, "pickup", AUDIENCE, [digest], NOW)
    assert world.box.acknowledged(signed) == (digest,)
    elsewhere = requests.acknowledge(world.keys, "pickup", "vouchbox:lab/two", [digest], NOW)
    with pytest.raises(RequestRefused):
        world.box.acknowledged(elsewhere)
    with pytest.raises(UsageError):
        requests.acknowledge(world.keys, "pickup", AUDIENCE, [], NOW)
