"""Limits: nobody asks without end, and nobody tries a face until it passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.config import Vault as VaultConfig
from vouchbox.messages import ConsentAsked, ConsentGiven, Examine, LinkState, Outgoing
from vouchbox.reasons import Reason
from vouchbox.vault import formats, limits, template
from vouchbox.vault.limits import HOUR_S, Kind, Moment
from vouchbox.vault.store import Store

BOX = VaultConfig(requests_per_hour=5, failures_per_hour=4)
NOW = Moment(1, 10_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def verdict(world: Any) -> dict[str, Any]:
    row = [row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"][-1]
    claims = json.loads(formats.from_base64url(row.payload.split(b".")[1].decode()))
    said: dict[str, Any] = claims["vouchbox"]
    return said


def outcome(world: Any) -> tuple[str, list[str]]:
    said = verdict(world)
    return said["outcome"], said["reasons"]


def agree(world: Any, payload: bytes) -> Examine:
    world.ask(payload)
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, True))
    order: Examine = world.of("vision", Examine)[-1]
    return order


def enrolled(world: Any, party: Any, exam: Any, embedding: bytes) -> bytes:
    order = agree(world, party.request(action="enroll"))
    world.say("vision", exam(order.session, order.prompts, embedding=embedding))
    row = [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/template")][-1]
    clear: bytes = party.unseal(row.payload)
    return clear


def match(world: Any, party: Any, clear: bytes) -> bytes:
    claims = party.claims(action="match", iat=int(world.clock.now), exp=int(world.clock.now) + 300)
    claims["reference"] = party.reference(clear, world.public, claims)
    signed: bytes = party.sign(claims)
    return signed


# --- the counts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "who", "times", "reason"),
    [
        (Kind.REQUEST, "pickup", 2, Reason.REQUEST_RATE_LIMITED),
        (Kind.REQUEST, "other", 5, Reason.BOX_RATE_LIMITED),
        (Kind.FAILURE, "pickup", 3, Reason.PARTY_LOCKED_OUT),
        (Kind.FAILURE, "other", 4, Reason.BOX_LOCKED_OUT),
    ],
)
def test_each_limit_has_its_reason_and_ends_after_an_hour(
    store: Store, parties: Any, kind: Kind, who: str, times: int, reason: Reason
) -> None:
    party = parties(extra="requests-per-hour = 2\nfailures-per-hour = 3").parsed()
    for _ in range(times):
        assert limits.refusal(store, party, BOX, NOW) is None
        limits.count(store, kind, who, NOW)
    assert limits.refusal(store, party, BOX, NOW) is reason
    assert limits.refusal(store, party, BOX, Moment(1, NOW.uptime + HOUR_S - 1)) is reason
    assert limits.refusal(store, party, BOX, Moment(1, NOW.uptime + HOUR_S)) is None


def test_a_reboot_makes_a_lockout_longer_and_never_shorter(store: Store, parties: Any) -> None:
    party = parties(extra="failures-per-hour = 1").parsed()
    limits.count(store, Kind.FAILURE, party.id, NOW)
    for boot in (2, 3, 4):
        assert limits.refusal(store, party, BOX, Moment(boot, HOUR_S - 1)) is Reason.PARTY_LOCKED_OUT
    assert limits.refusal(store, party, BOX, Moment(5, HOUR_S)) is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, HOUR_S)), max_size=30))
def test_no_order_of_reboots_and_waits_lets_more_through_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, parties: Any, steps: list[tuple[bool, int]]
) -> None:
    """In every hour of running time at most the registered number of comparisons takes place."""
    store = Store(tmp_path_factory.mktemp("store"))
    party = parties(extra="match-attempts-per-hour = 2").parsed()
    boot, uptime, running, taken = 1, 0, 0, []
    for reboots, wait in steps:
        if reboots:
            boot, uptime = boot + 1, 0
        uptime, running = uptime + wait, running + wait
        if limits.refusal_of(store, party, b"r", Moment(boot, uptime)) is None:
            limits.count(store, Kind.MATCH, party.id, Moment(boot, uptime), b"r")
            taken.append(running)
    store.close()
    for first, third in zip(taken, taken[2:], strict=False):
        assert third - first >= HOUR_S


def test_the_counts_are_bounded(store: Store, parties: Any) -> None:
    party = parties(extra="requests-per-hour = 3600").parsed()
    for second in range(0, 5 * HOUR_S, 60):
        if limits.refusal(store, party, BOX, Moment(1, second)) is None:
            limits.count(store, Kind.REQUEST, party.id, Moment(1, second))
    [(rows,)] = store.execute("SELECT count(*) FROM attempt")
    assert rows == BOX.requests_per_hour


def test_a_reference_is_counted_under_a_digest_that_only_the_box_can_make(embedding: Any) -> None:
    one, other = (
        template.protect(embedding(seed), bytes(32), template.rotation(b"s" * 32, "p", 1)) for seed in (1, 2)
    )
    secret = b"k" * 32
    assert limits.digest(one, secret) == limits.digest(template.decode(template.encode(one)), secret)
    assert limits.digest(one, secret) != limits.digest(other, secret)
    assert limits.digest(one, secret) != limits.digest(one, b"l" * 32)


# --- the running vault ----------------------------------------------------------------------------------
def test_attempts_against_one_template_are_bounded_also_across_restarts_and_reboots(
    make_world: Any, parties: Any, exam: Any, embedding: Any, clock: Any
) -> None:
    party = parties(extra="match-attempts-per-hour = 3")
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    mine, other = (enrolled(world, party, exam, embedding(seed)) for seed in (1, 2))
    for attempt in range(3):
        order = agree(world, match(world, party, mine))
        world.say("vision", exam(order.session, order.prompts, embedding=embedding(50 + attempt)))
        assert outcome(world) == ("no-match", [])
    asked = len(world.of("kiosk", ConsentAsked))
    world.ask(match(world, party, mine))
    assert outcome(world) == ("refused", ["match-locked-out"])
    assert len(world.of("kiosk", ConsentAsked)) == asked
    assert agree(world, match(world, party, other))
    clock.boot_id = "boot-2"
    world.restart()
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    clock.steadily = -3000.0  # 711 s after the reboot
    world.ask(match(world, party, mine))
    assert outcome(world) == ("refused", ["match-locked-out"])
    clock.pass_by(HOUR_S + 1000)
    assert agree(world, match(world, party, mine))
    [(found,)] = world.vault._store.execute("SELECT count(*) FROM attempt WHERE instr(reference, ?)", (mine,))
    assert found == 0


def test_a_decline_costs_no_attempt_and_a_power_cut_gives_none_back(
    make_world: Any, parties: Any, exam: Any, embedding: Any
) -> None:
    party = parties(extra="match-attempts-per-hour = 1")
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    clear = enrolled(world, party, exam, embedding(1))
    world.ask(match(world, party, clear))
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, False))
    agree(world, match(world, party, clear))
    world.restart()
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(match(world, party, clear))
    assert outcome(world) == ("refused", ["match-locked-out"])


def test_a_party_whose_sessions_fail_is_locked_out_and_another_is_served(
    make_world: Any, parties: Any, exam: Any
) -> None:
    party, other = parties(extra="failures-per-hour = 2"), parties(id="other")
    world = make_world(party, other)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    for _ in range(2):
        order = agree(world, party.request())
        world.say("vision", exam(order.session, outcome="attack-suspected"))
    world.ask(party.request())
    assert outcome(world) == ("refused", ["party-locked-out"])
    assert agree(world, other.request())


def test_a_replay_uses_up_nobodys_rate(make_world: Any, parties: Any, clock: Any) -> None:
    party = parties(extra="requests-per-hour = 2")
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    payload = party.request()
    for _ in range(4):
        world.ask(payload)
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, False))
    assert agree(world, party.request())
    world.leave("vision")
    world.join("vision")
    world.ask(party.request())
    assert outcome(world) == ("refused", ["request-rate-limited"])
