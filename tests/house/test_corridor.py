"""The promises of the whole corridor, each room a real process: who gets which verdict, and what leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.errors import VerdictInvalid
from vouchbox.messages import Action, Level, Outcome, SourceKind, TestName, TestStatus
from vouchbox.reasons import Reason
from vouchbox.relying_party import boxes, desk, evidence, keys, requests, service
from vouchbox.relying_party.ledger import Ledger
from vouchbox.simulator.house import House, Scene
from vouchbox.simulator.registration import PARTY, PURPOSE
from vouchbox.simulator.visit import visit

OpenHouse = Callable[..., House]

BYTES_LIMIT = 8 * 1024
"""Bytes that one visit may send, verdict and template together."""


@pytest.mark.mosquitto
def test_a_live_person_enrols_and_is_matched_and_another_person_is_not(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins")

    enrolled = visit(house, Action.ENROLL, Level.ACTIVE)
    said = enrolled.verdict.said
    assert enrolled.verdict.outcome is Outcome.LIVE
    assert said.reasons == ()
    assert enrolled.opened is True
    assert said.source is not None
    assert said.source.kind is SourceKind.SIMULATED
    assert said.wiped
    topics = sorted(sent.topic.rsplit("/", 1)[1] for sent in enrolled.departures)
    # The health of the box may be told at any time; of the person exactly two messages leave.
    assert [topic for topic in topics if topic != "status"] == ["template", "verdict"]
    assert enrolled.bytes_sent <= BYTES_LIMIT
    assert enrolled.document()["verified"] is True

    same = visit(house, Action.MATCH, Level.ACTIVE)
    assert same.verdict.outcome is Outcome.MATCH
    assert same.opened is None
    assert same.bytes_sent <= BYTES_LIMIT

    house.change(Scene("simulated:hopper"))
    other = visit(house, Action.MATCH, Level.ACTIVE)
    assert other.verdict.outcome is Outcome.NO_MATCH
    assert other.verdict.said.template is None


@pytest.mark.mosquitto
@pytest.mark.parametrize("attack", ["print:collins", "replay-monitor:collins"])
def test_an_attack_is_suspected_and_the_verdict_names_the_test_that_caught_it(
    open_house: OpenHouse, portraits: None, attack: str
) -> None:
    house = open_house(f"simulated:{attack}")
    seen = visit(house, Action.ENROLL, Level.ACTIVE)
    if seen.verdict.outcome is Outcome.INCONCLUSIVE:
        # The prompts are random: a film that met two of three by luck is not suspected, and never live.
        seen = visit(house, Action.ENROLL, Level.ACTIVE)
    assert seen.verdict.outcome is Outcome.ATTACK_SUSPECTED
    caught = {name for name, status in seen.verdict.tests.items() if status is TestStatus.FAIL}
    assert caught
    assert {Reason(f"{name.value}-failed") for name in caught} <= set(seen.verdict.said.reasons)
    assert seen.verdict.said.template is None
    assert seen.opened is None
    assert not [sent for sent in seen.departures if sent.topic.endswith("/template")]


@pytest.mark.mosquitto
def test_who_declines_is_shown_the_alternative_and_no_camera_is_opened(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins", answer="decline")
    asked = visit(house, Action.ENROLL, Level.ACTIVE)
    said = asked.verdict.said
    assert said.outcome is Outcome.DECLINED
    assert said.reasons == (Reason.DECLINED,)
    assert "show an ID" in said.alternative
    assert said.source is None
    assert said.frames == 0
    assert said.template is None
    assert "frames" not in house.room("vision").log.read_text()
    assert set(asked.verdict.tests.values()) <= {TestStatus.NOT_RUN}


@pytest.mark.mosquitto
def test_a_recorded_clip_is_never_live_at_level_active(open_house: OpenHouse, clip: Path) -> None:
    seen = visit(open_house(f"clip:{clip}"), Action.CHECK, Level.ACTIVE)
    assert seen.verdict.said.source is not None
    assert seen.verdict.said.source.kind is SourceKind.CLIP
    assert seen.verdict.said.frames > 0
    assert seen.verdict.outcome in (Outcome.ATTACK_SUSPECTED, Outcome.INCONCLUSIVE)
    assert seen.verdict.tests[TestName.CHALLENGE] is not TestStatus.SUCCESS


@pytest.mark.mosquitto
def test_a_forged_request_changes_nothing_and_a_tampered_verdict_is_refused(
    open_house: OpenHouse, portraits: None, tmp_path: Path
) -> None:
    house = open_house("simulated:collins", answer="decline")
    known = boxes.load(house.settings.party.boxes)
    forged = requests.ask(
        keys.generate(tmp_path / "intruder"),
        PARTY,
        known[house.box],
        purpose=PURPOSE,
        action=Action.CHECK,
        level=Level.ACTIVE,
        now=time.time(),
    )
    service.send(house.settings, forged)
    # One request topic keeps its order: once the true one is answered, the forged one was judged.
    asked = desk.ask(
        house.settings, house.box, purpose=PURPOSE, action=Action.CHECK, level=Level.ACTIVE, subject=""
    )
    verdict = desk.wait(house.settings, asked, 30.0)
    assert verdict.outcome is Outcome.DECLINED
    told = [sent.topic for sent in house.departures() if not sent.topic.endswith("/status")]
    assert len(told) <= 1, "the verdict's own line may still be on its way, no other may exist"
    assert house.room("kiosk").log.read_text().count("Who asks") == 1

    with Ledger(house.settings.party.ledger) as ledger:
        assert ledger.answer(forged.jti) is None
        token = ledger.answer(asked.jti)
    assert token is not None
    assert evidence.verify(token, known, PARTY, time.time(), nonce=asked.nonce) == verdict
    for place in (5, len(token) // 2, len(token) - 20):
        tampered = bytearray(token)
        tampered[place] = ord("A") if tampered[place] != ord("A") else ord("B")
        with pytest.raises(VerdictInvalid):
            evidence.verify(bytes(tampered), known, PARTY, time.time(), nonce=asked.nonce)
    with pytest.raises(VerdictInvalid):
        evidence.verify(token, known, PARTY, time.time(), nonce=forged.nonce)
