"""A person agreed once, in the party's app. The party, or a thief of the token, wants to use it again."""

from __future__ import annotations

from typing import Any

import pytest

from vouchbox.messages import ConsentAsked, ConsentToken


@pytest.fixture
def agreed(open_world: Any, app_party: Any, exam: Any, watch: Any) -> Any:
    """A finished session that a token opened: the world, the request's claims and the token."""
    world = open_world(app_party)
    claims = app_party.claims()
    token = app_party.consent(claims)
    world.ask(app_party.sign(claims | {"consent": token}))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("vision", exam(session, world.heard["vision"][-1].prompts))
    assert watch(world).last[0] == "live"
    return world, claims, token


def test_the_same_request_again_is_a_replay(agreed: Any, app_party: Any, watch: Any) -> None:
    world, claims, token = agreed
    world.ask(app_party.sign(claims | {"consent": token}))
    assert watch(world).last == ("refused", ["request-replayed"])
    assert watch(world).opened == 1


def test_the_same_nonce_under_a_new_request_number_is_a_replay(
    agreed: Any, app_party: Any, watch: Any
) -> None:
    world, claims, token = agreed
    world.ask(app_party.sign(app_party.claims() | {"nonce": claims["nonce"], "consent": token}))
    assert watch(world).last == ("refused", ["request-replayed"])
    assert watch(world).opened == 1


def test_the_token_does_not_answer_another_request(agreed: Any, app_party: Any, watch: Any) -> None:
    world, _, token = agreed
    world.ask(app_party.sign(app_party.claims() | {"consent": token}))
    assert watch(world).last == ("refused", ["consent-invalid"])
    assert watch(world).opened == 1


def test_the_token_handed_over_at_the_kiosk_opens_no_other_session(
    agreed: Any, app_party: Any, watch: Any
) -> None:
    world, _, token = agreed
    world.ask(app_party.request())
    session = world.of("kiosk", ConsentAsked)[-1].session
    for _ in range(3):
        world.say("kiosk", ConsentToken(session, token))
    assert watch(world).opened == 1


def test_a_restart_forgets_no_token(agreed: Any, app_party: Any, watch: Any) -> None:
    world, claims, token = agreed
    world.restart()
    world.connect()
    world.ask(app_party.sign(claims | {"consent": token}))
    world.ask(app_party.sign(app_party.claims() | {"consent": token}))
    assert [said["vouchbox"]["reasons"] for said in watch(world).verdicts[-2:]] == [
        ["request-replayed"],
        ["consent-invalid"],
    ]
    assert watch(world).opened == 0


def test_a_token_of_a_session_that_was_refused_as_busy_is_used_up(
    open_world: Any, app_party: Any, watch: Any
) -> None:
    world = open_world(app_party)
    world.ask(app_party.request())
    claims = app_party.claims()
    signed = app_party.sign(claims | {"consent": app_party.consent(claims)})
    world.ask(signed)
    assert watch(world).last == ("refused", ["box-busy"])
    world.ask(signed)
    assert watch(world).last == ("refused", ["request-replayed"])
    assert watch(world).opened == 0


def test_a_yes_for_a_check_is_no_yes_for_an_enrolment(open_world: Any, app_party: Any, watch: Any) -> None:
    world = open_world(app_party)
    claims = app_party.claims(action="check")
    token = app_party.consent(claims)
    world.ask(app_party.sign(claims | {"action": "enroll", "consent": token}))
    assert watch(world).last == ("refused", ["consent-invalid"])
    assert watch(world).opened == 0


def test_a_yes_to_an_old_notice_is_no_yes_to_a_new_one(open_world: Any, app_party: Any, watch: Any) -> None:
    claims = app_party.claims()
    token = app_party.consent(claims)
    text = app_party.toml(retention="for ever")
    app_party.toml = lambda: text
    world = open_world(app_party)
    world.ask(app_party.sign(claims | {"consent": token}))
    assert watch(world).last == ("refused", ["consent-invalid"])
    assert watch(world).opened == 0
