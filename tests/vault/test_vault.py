"""The running vault, its rooms played by the test: whole sessions, and what must never come of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from vouchbox.errors import OutboxError
from vouchbox.messages import (
    AckArrived,
    ConsentAsked,
    ConsentGiven,
    Examine,
    LinkState,
    Outcome,
    Outgoing,
    Phase,
    Progress,
    Prompt,
    Published,
    RequestArrived,
    SessionCancelled,
    SessionEnded,
    SourceKind,
    StatusDocument,
    TestName,
    TestResult,
    TestStatus,
)
from vouchbox.vault import audit, egress, formats, template
from vouchbox.vault.store import Store


def read(token: bytes) -> dict[str, Any]:
    payload = token.split(b".")[1].decode()
    claims: dict[str, Any] = json.loads(formats.from_base64url(payload))
    return claims


def verdicts(world: Any) -> list[dict[str, Any]]:
    rows = {row.row: row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"}
    return [read(row.payload) for row in rows.values()]


def outcome(world: Any) -> tuple[str, list[str]]:
    said = verdicts(world)[-1]["vouchbox"]
    return said["outcome"], said["reasons"]


def consent(world: Any, accepted: bool = True) -> str:
    session: str = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, accepted))
    return session


def to_the_camera(world: Any, payload: bytes) -> Examine:
    world.ask(payload)
    consent(world)
    order: Examine = world.of("vision", Examine)[-1]
    return order


def test_a_live_person_is_vouched_for_and_shown_the_result(world: Any, party: Any, exam: Any) -> None:
    claims = party.claims()
    order = to_the_camera(world, party.sign(claims))
    assert len(order.prompts) == len(order.pauses) == 3
    assert not order.want_embedding
    world.say("vision", exam(order.session, order.prompts))
    said = verdicts(world)[-1]
    assert said["eat_nonce"] == claims["nonce"]
    assert said["vouchbox"]["request"] == claims["jti"]
    assert said["vouchbox"]["outcome"] == "live"
    assert world.of("kiosk", SessionEnded)[-1].outcome is Outcome.LIVE


def test_an_enrolment_sends_a_template_that_only_its_party_opens_and_the_verdict_binds(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    order = to_the_camera(world, party.request(action="enroll"))
    assert order.want_embedding
    world.say("vision", exam(order.session, order.prompts, embedding=embedding(1)))
    said = verdicts(world)[-1]
    (row,) = [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")]
    assert said["vouchbox"]["template"]["sha256"] == hashlib.sha256(row.payload).hexdigest()
    assert said["vouchbox"]["template"]["retention_days"] == 30
    protected = template.decode(party.unseal(row.payload))
    assert protected.party == party.id
    assert embedding(1)[:16] not in row.payload
    sent = sum(len(message.payload) for message in world.of("uplink", Outgoing))
    assert sent + len(party.ack("0" * 64)) < 8 * 1024


@pytest.mark.parametrize(("person", "expected"), [(1, "match"), (2, "no-match")])
def test_a_match_compares_one_to_one_and_publishes_nothing_but_the_verdict(
    world: Any, party: Any, exam: Any, embedding: Any, person: int, expected: str
) -> None:
    order = to_the_camera(world, party.request(action="enroll"))
    world.say("vision", exam(order.session, order.prompts, embedding=embedding(1)))
    (row,) = [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")]
    claims = party.claims(action="match")
    claims["reference"] = party.reference(party.unseal(row.payload), world.public, claims)
    order = to_the_camera(world, party.sign(claims))
    world.say("vision", exam(order.session, order.prompts, embedding=embedding(person, 0.3)))
    assert outcome(world) == (expected, [])
    assert verdicts(world)[-1]["vouchbox"]["match"] == {"fmr": 1e-4}
    assert len([row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")]) == 1


def test_a_reference_sealed_for_another_request_never_opens_the_camera(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    order = to_the_camera(world, party.request(action="enroll"))
    world.say("vision", exam(order.session, order.prompts, embedding=embedding(1)))
    (row,) = [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")]
    claims = party.claims(action="match")
    other = party.claims(action="match")
    claims["reference"] = party.reference(party.unseal(row.payload), world.public, other)
    world.ask(party.sign(claims))
    assert outcome(world) == ("refused", ["reference-unreadable"])
    assert len(world.of("kiosk", ConsentAsked)) == 1


def test_declining_never_opens_the_camera_and_names_the_alternative(world: Any, party: Any) -> None:
    world.ask(party.request())
    consent(world, accepted=False)
    said = verdicts(world)[-1]["vouchbox"]
    assert (said["outcome"], said["alternative"]) == ("declined", "text of alternative")
    assert "source" not in said
    assert not world.of("vision", Examine)
    assert world.of("kiosk", SessionEnded)[-1].alternative == "text of alternative"


def test_no_answer_counts_as_no(world: Any, party: Any, clock: Any) -> None:
    world.ask(party.request())
    clock.pass_by(61)
    world.settle()
    assert outcome(world) == ("declined", ["consent-timeout"])
    consent(world)
    assert not world.of("vision", Examine)


def test_a_kiosk_that_comes_late_is_asked_too(make_world: Any, party: Any) -> None:
    world = make_world(party)
    world.join("vision", "uplink")
    world.ask(party.request())
    world.join("kiosk")
    world.settle(lambda: bool(world.of("kiosk", ConsentAsked)))
    consent(world)
    assert world.of("vision", Examine)


def test_consent_to_another_session_is_no_consent(world: Any, party: Any) -> None:
    world.ask(party.request())
    world.say("kiosk", ConsentGiven("x" * 22, True))
    assert not world.of("vision", Examine)


def test_stopping_wipes_and_is_stated(world: Any, party: Any, exam: Any) -> None:
    order = to_the_camera(world, party.request())
    world.say("kiosk", SessionCancelled(order.session))
    assert type(world.heard["vision"][-1]).__name__ == "CancelExamination"
    world.say("vision", exam(order.session, outcome=Outcome.CANCELLED, tests=()))
    assert outcome(world) == ("cancelled", ["cancelled"])


def test_a_vision_room_that_dies_ends_the_session_as_inconclusive(world: Any, party: Any) -> None:
    to_the_camera(world, party.request())
    world.leave("vision")
    assert outcome(world) == ("inconclusive", ["room-gone"])


def test_a_vision_room_that_hangs_is_stopped_and_dropped(world: Any, party: Any, clock: Any) -> None:
    to_the_camera(world, party.request())
    clock.pass_by(30)
    world.settle()
    clock.pass_by(6)
    world.settle(lambda: world.taken["Left vision"] == 1)
    assert outcome(world) == ("inconclusive", ["timeout"])


def test_without_a_camera_room_nobody_is_asked(make_world: Any, party: Any) -> None:
    world = make_world(party)
    world.join("kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(party.request())
    assert outcome(world) == ("inconclusive", ["room-gone"])
    assert not world.of("kiosk", ConsentAsked)


def test_one_person_at_a_time(world: Any, party: Any) -> None:
    world.ask(party.request())
    world.ask(party.request())
    assert outcome(world) == ("refused", ["box-busy"])
    assert len(world.of("kiosk", ConsentAsked)) == 1


def test_a_replayed_request_is_refused_also_after_a_restart(world: Any, party: Any) -> None:
    payload = party.request()
    world.ask(payload)
    consent(world, accepted=False)
    world.ask(payload)
    assert outcome(world) == ("refused", ["request-replayed"])
    world.restart()
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(payload)
    assert outcome(world) == ("refused", ["request-replayed"])
    assert not world.of("kiosk", ConsentAsked)


def test_a_storm_of_replays_is_answered_with_silence(world: Any, party: Any) -> None:
    payload = party.request(purpose="unregistered")
    for _ in range(15):
        world.send("uplink", RequestArrived(payload))
    world.settle()
    assert len(verdicts(world)) == 10


def test_a_forged_request_changes_nothing(world: Any, party: Any, parties: Any) -> None:
    before = world.vault._store.execute("SELECT count(*) FROM audit")
    world.ask(parties(id=party.id).request())
    assert not verdicts(world)
    assert not world.of("kiosk", ConsentAsked)
    assert world.vault._store.execute("SELECT count(*) FROM audit") == before


def test_a_lying_vision_room_gets_no_live_verdict(world: Any, party: Any, exam: Any) -> None:
    order = to_the_camera(world, party.request())
    tests = tuple(TestResult(name, TestStatus.NOT_RUN) for name in TestName)
    world.say("vision", exam(order.session, order.prompts, tests=tests))
    assert outcome(world)[0] == "inconclusive"


def test_an_examination_that_nobody_ordered_is_ignored(world: Any, party: Any, exam: Any) -> None:
    world.say("vision", exam("x" * 22))
    order = to_the_camera(world, party.request())
    world.say("vision", exam("y" * 22, order.prompts))
    assert not verdicts(world)
    world.say("vision", exam(order.session, order.prompts))
    world.say("vision", exam(order.session, order.prompts))
    assert [said["vouchbox"]["outcome"] for said in verdicts(world)] == ["live"]


def test_an_enrolment_without_an_embedding_is_inconclusive(world: Any, party: Any, exam: Any) -> None:
    order = to_the_camera(world, party.request(action="enroll"))
    world.say("vision", exam(order.session, order.prompts))
    assert outcome(world) == ("inconclusive", ["model-unavailable"])


@pytest.mark.parametrize("when", ["consenting", "capturing"])
def test_a_power_cut_in_a_session_ends_in_exactly_one_inconclusive_verdict(
    world: Any, party: Any, when: str
) -> None:
    claims = party.claims()
    world.ask(party.sign(claims))
    if when == "capturing":
        consent(world)
    for _ in range(2):
        world.restart()
    world.join("uplink")
    world.say("uplink", LinkState(connected=True))
    (said,) = verdicts(world)
    assert said["eat_nonce"] == claims["nonce"]
    assert (said["vouchbox"]["outcome"], said["vouchbox"]["reasons"]) == ("inconclusive", ["interrupted"])


def test_a_row_leaves_only_on_its_own_partys_acknowledgement(
    make_world: Any, party: Any, parties: Any, exam: Any
) -> None:
    other = parties(id="other")
    world = make_world(party, other)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(party.request())
    consent(world, accepted=False)
    (row,) = world.of("uplink", Outgoing)
    digest = hashlib.sha256(row.payload).hexdigest()
    world.say("uplink", Published(row.row, 0, row.topic, len(row.payload), digest))
    world.say("uplink", AckArrived(other.ack(digest)))
    world.say("uplink", AckArrived(parties(id=party.id).ack(digest)))
    world.say("uplink", AckArrived(b"junk"))
    assert world.vault._outbox.waiting() == 1
    world.say("uplink", AckArrived(party.ack(digest)))
    assert world.vault._outbox.waiting() == 0
    world.say("uplink", AckArrived(party.ack(digest)))
    assert world.vault._state.step.value == "delivered"


def test_an_unacknowledged_row_is_offered_again_later_and_after_a_reconnection(
    world: Any, party: Any, clock: Any
) -> None:
    world.ask(party.request())
    consent(world, accepted=False)
    clock.pass_by(10)
    world.settle()
    assert len(world.of("uplink", Outgoing)) == 1
    clock.pass_by(25)
    world.settle()
    assert len(world.of("uplink", Outgoing)) == 2
    world.say("uplink", LinkState(connected=False))
    clock.pass_by(600)
    world.settle()
    assert len(world.of("uplink", Outgoing)) == 2
    world.say("uplink", LinkState(connected=True))
    assert len(world.of("uplink", Outgoing)) == 3


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("vouchbox/v1/shop/door/verdict/pickup-7", "vouchbox/v1/shop/door/verdict/pickup-7"),
        ("vouchbox/v1/shop/door/template", "vouchbox/v1/shop/door/verdict"),
        ("vouchbox/v1/shop/door/verdict/#", "vouchbox/v1/shop/door/verdict"),
        ("somewhere/else", "vouchbox/v1/shop/door/verdict"),
        ("", "vouchbox/v1/shop/door/verdict"),
    ],
)
def test_a_request_steers_its_verdict_only_below_the_boxs_own_verdict_topic(
    world: Any, party: Any, asked: str, used: str
) -> None:
    world.ask(party.request(), response_topic=asked, correlation=b"order 7")
    consent(world, accepted=False)
    (row,) = world.of("uplink", Outgoing)
    assert (row.topic, row.correlation) == (used, b"order 7")


def test_what_left_stands_in_the_ledger_and_what_happened_in_an_unbroken_log(world: Any, party: Any) -> None:
    world.ask(party.request())
    consent(world, accepted=False)
    (row,) = world.of("uplink", Outgoing)
    digest = hashlib.sha256(row.payload).hexdigest()
    world.say("uplink", Published(row.row, 0x87, row.topic, len(row.payload), digest))
    world.say("uplink", Published(row.row, 0, row.topic, len(row.payload), digest))
    store = Store(world.config.box.state, read_only=True)
    assert {d.topic for d in egress.read(store)} == {row.topic, f"{world.config.box.topic}/status"}
    left = [d for d in egress.read(store) if d.topic == row.topic]
    assert [(d.size, d.sha256) for d in left] == [(len(row.payload), digest)] * 2
    assert [d.answer for d in left] == ["refused", "taken"]
    events = [event for (event,) in store.execute("SELECT event FROM audit ORDER BY entry")]
    assert events == ["started", "key", "epoch", "request", "consent", "verdict"]
    assert audit.verify(store) is None
    store.close()


def test_the_status_tells_health_and_keys_and_is_not_repeated_for_nothing(world: Any, party: Any) -> None:
    before = world.of("uplink", StatusDocument)
    said = json.loads(before[-1].payload)
    assert said["healthy"] is True
    assert said["box"] == world.public
    assert said["audit"]["head"]
    assert len(before[-1].payload) < 4096
    world.ask(party.request())
    consent(world, accepted=False)
    assert world.of("uplink", StatusDocument) == before
    world.leave("vision")
    assert json.loads(world.of("uplink", StatusDocument)[-1].payload)["healthy"] is False


def test_the_kiosk_sees_the_progress_of_the_running_session_only(world: Any, party: Any) -> None:
    order = to_the_camera(world, party.request())
    world.say("vision", Progress("x" * 22, Phase.CAPTURING, 0.1))
    world.say("vision", Progress(order.session, Phase.CAPTURING, 0.5, Prompt.BLINK))
    (shown,) = world.of("kiosk", Progress)
    assert shown.fraction == 0.5


def test_a_clip_is_named_as_its_source_and_never_reaches_active(
    make_world: Any, party: Any, exam: Any
) -> None:
    world = make_world(party)
    world.join("vision", "kiosk", "uplink", kind=SourceKind.CLIP)
    world.say("uplink", LinkState(connected=True))
    order = to_the_camera(world, party.request())
    world.say("vision", exam(order.session, order.prompts, kind=SourceKind.CLIP))
    assert outcome(world) == ("inconclusive", ["challenge-not-run"])
    assert verdicts(world)[-1]["vouchbox"]["source"]["kind"] == "clip"


@pytest.mark.parametrize("announced", [kind for kind in SourceKind if kind is not SourceKind.SENSOR])
def test_a_source_that_calls_itself_a_sensor_only_now_is_neither_live_nor_signed_as_one(
    make_world: Any, party: Any, exam: Any, announced: SourceKind
) -> None:
    world = make_world(party)
    world.join("vision", "kiosk", "uplink", kind=announced)
    world.say("uplink", LinkState(connected=True))
    order = to_the_camera(world, party.request())
    world.say("vision", exam(order.session, order.prompts, kind=SourceKind.SENSOR))
    assert outcome(world) == ("inconclusive", ["interrupted"])
    assert verdicts(world)[-1]["vouchbox"]["source"]["kind"] == announced.value


@pytest.mark.parametrize("kind", SourceKind)
def test_every_verdict_names_its_source(make_world: Any, party: Any, exam: Any, kind: SourceKind) -> None:
    world = make_world(party)
    world.join("vision", "kiosk", "uplink", kind=kind)
    world.say("uplink", LinkState(connected=True))
    order = to_the_camera(world, party.request())
    world.say("vision", exam(order.session, order.prompts, kind=kind))
    assert verdicts(world)[-1]["vouchbox"]["source"]["kind"] == kind.value


def test_a_full_disk_accepts_nothing_and_loses_nothing(
    world: Any, party: Any, clock: Any, exam: Callable[..., Any]
) -> None:
    order = to_the_camera(world, party.request())
    [(pages,)] = world.vault._store.execute("PRAGMA page_count")
    world.vault._store.execute(f"PRAGMA max_page_count={pages}")
    filler(world.vault._store)
    world.say("vision", exam(order.session, order.prompts))
    assert not verdicts(world)
    assert json.loads(world.of("uplink", StatusDocument)[-1].payload)["storing"] is False
    world.vault._store.execute("PRAGMA max_page_count=100000")
    clock.pass_by(6)
    world.settle()
    assert [said["vouchbox"]["outcome"] for said in verdicts(world)] == ["inconclusive"]
    assert json.loads(world.of("uplink", StatusDocument)[-1].payload)["storing"] is True


def filler(store: Store) -> None:
    """Leave no free page, and no free space in the pages of the outbox."""
    statement = (
        "INSERT INTO outbox (session, party, topic, payload, content_type, correlation, sha256) "
        "VALUES ('', '', 't', ?, 'filler', x'', '')"
    )
    for size in (2000, 200, 20):
        for _ in range(200):
            try:
                store.execute(statement, (b"x" * size,))
            except OutboxError:
                break
