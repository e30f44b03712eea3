"""A clock that is wrong, unset, or jumps breaks nothing and lets no request in twice, also across reboots."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.config import Vault as VaultConfig
from vouchbox.messages import (
    CodePresented,
    ConsentAsked,
    ConsentGiven,
    Examine,
    Outgoing,
    ReceiptIssued,
    RequestArrived,
    WithdrawalStanding,
)
from vouchbox.reasons import Reason
from vouchbox.vault import formats, receipt_book, replay
from vouchbox.vault.admission import Admission
from vouchbox.vault.clock import CLOCK_SKEW_S, Span
from vouchbox.vault.replay import ReplayWindow
from vouchbox.vault.request import LIFETIME_LIMIT_S, Request
from vouchbox.vault.store import Store

NOW = 1_800_000_000
AUDIENCE = "vouchbox:shop/door"
YEAR_S = 365 * 86_400
BOX = VaultConfig(requests_per_hour=3600)


@dataclass
class ScriptedClock:
    """True time, and what the machine believes: `wall` may be anything, `set` says whether it counts."""

    true: float = NOW
    offset: float = 0.0
    booted: float = NOW - 100
    boots: int = 1
    set: bool = True

    def wall(self) -> float:
        return self.true + self.offset

    def steady(self) -> float:
        return self.true

    def uptime(self) -> int:
        return int(self.true - self.booted)

    def boot(self) -> str:
        return f"boot-{self.boots}"

    def synchronised(self) -> bool:
        return self.set


@dataclass
class Machine:
    """A vault's admission over a real database that outlives restarts and reboots."""

    folder: Path
    party: Any
    clock: ScriptedClock = field(default_factory=ScriptedClock)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.store = Store(self.folder)
        self.store.remember("boots", str(self.clock.boots))
        registry = {self.party.id: self.party.parsed()}
        self.admission = Admission(self.store, registry, AUDIENCE, BOX, self.clock)

    def restart(self, *, reboot: bool = False) -> None:
        self.store.close()
        if reboot:
            self.clock.boots += 1
            self.clock.booted = self.clock.true
        self.start()

    def request(self, age: float = 0.0, lifetime: int = 120) -> bytes:
        """As the honest party signs it, `age` seconds ago."""
        issued = int(self.clock.true - age)
        payload: bytes = self.party.request(iat=issued, exp=issued + lifetime)
        return payload

    def bring(self, payload: bytes) -> Reason | None:
        return self.admission.judge(RequestArrived(payload)).refusal


@contextmanager
def machine(party: Any) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        made = Machine(Path(folder), party)
        yield made
        made.store.close()


@pytest.fixture
def box(parties: Any) -> Iterator[Machine]:
    with machine(parties(extra="requests-per-hour = 3600")) as made:
        yield made


# --- attack stories -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("synchronised", [True, False])
@pytest.mark.parametrize("offset", [0, -YEAR_S, YEAR_S, -NOW])
def test_a_request_that_is_replayed_after_a_reboot_is_refused_whatever_the_clock_says(
    box: Machine, synchronised: bool, offset: float
) -> None:
    payload = box.request()
    assert box.bring(payload) is None
    box.restart(reboot=True)
    box.clock.set, box.clock.offset = synchronised, offset
    assert box.bring(payload) is not None
    box.clock.true += 30
    assert box.bring(payload) is not None


def test_a_request_that_was_withheld_until_the_box_lost_its_clock_is_refused(box: Machine) -> None:
    withheld = box.request(lifetime=120)
    box.clock.true += 3600
    assert box.bring(box.request()) is None
    box.restart(reboot=True)
    box.clock.set, box.clock.offset = False, -3600
    assert box.bring(withheld) is Reason.REQUEST_EXPIRED


def test_without_a_clock_a_request_ages_by_the_seconds_since_boot(box: Machine) -> None:
    box.clock.set, box.clock.offset = False, -NOW
    assert box.bring(box.request(lifetime=60)) is None
    kept = box.request(lifetime=60)
    box.clock.true += 60 + 2 * CLOCK_SKEW_S
    box.restart()
    assert box.bring(kept) is Reason.REQUEST_EXPIRED
    box.restart(reboot=True)
    box.clock.true += 3600
    assert box.bring(box.request()) is None
    assert box.bring(kept) is Reason.REQUEST_EXPIRED


@pytest.mark.parametrize("offset", [-NOW, -YEAR_S, -3600, 3600, YEAR_S])
def test_a_wall_that_is_not_synchronised_is_not_asked(box: Machine, offset: float) -> None:
    box.clock.set, box.clock.offset = False, offset
    for _ in range(5):
        assert box.bring(box.request()) is None
        box.clock.true += 10


def test_a_synchronised_wall_is_taken_at_its_word(box: Machine) -> None:
    assert box.bring(box.request(age=120 + CLOCK_SKEW_S)) is Reason.REQUEST_EXPIRED
    assert box.bring(box.request(age=-CLOCK_SKEW_S - 2)) is Reason.REQUEST_NOT_YET_VALID
    assert box.bring(box.request(age=120 + CLOCK_SKEW_S - 2)) is None
    assert box.bring(box.request(lifetime=LIFETIME_LIMIT_S + 1)) is Reason.REQUEST_EXPIRED


def test_a_year_forwards_and_back_stops_a_party_for_minutes_only(box: Machine) -> None:
    assert box.bring(box.request()) is None
    box.clock.offset = YEAR_S
    assert box.bring(box.request()) is Reason.REQUEST_EXPIRED
    box.clock.offset = 0
    box.clock.true += LIFETIME_LIMIT_S
    assert box.bring(box.request()) is None


def test_the_wrong_clock_of_one_party_harms_no_other(parties: Any, tmp_path: Path) -> None:
    mine, other = parties(), parties(id="other")
    clock = ScriptedClock(set=False)
    store = Store(tmp_path)
    store.remember("boots", "1")
    registry = {party.id: party.parsed() for party in (mine, other)}
    admission = Admission(store, registry, AUDIENCE, BOX, clock)
    later = NOW + YEAR_S
    ahead = admission.judge(RequestArrived(other.request(iat=later, exp=later + 60)))
    assert ahead.refusal is None
    assert admission.judge(RequestArrived(mine.request())).refusal is None
    assert admission.judge(RequestArrived(other.request())).refusal is Reason.REQUEST_EXPIRED
    clock.set = True
    assert admission.judge(RequestArrived(other.request())).refusal is None
    clock.set = False
    assert admission.judge(RequestArrived(other.request())).refusal is None
    store.close()


# --- the window ---------------------------------------------------------------------------------------------
def numbered(number: int, expires: int, party: str = "pickup") -> Request:
    from vouchbox.messages import Action, Level

    name = f"{number:016d}"
    return Request(party, name, name, "pickup", Action.CHECK, Level.ACTIVE, expires)


@given(st.lists(st.integers(0, 40), max_size=60))
@settings(max_examples=50, deadline=None)
def test_a_full_window_is_bounded_and_refuses_rather_than_forgets(expiries: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        window = ReplayWindow(store, limit=5)
        unset = Span(0.0, float("inf"))
        admitted = []
        for number, expires in enumerate(expiries):
            one = numbered(number, NOW + expires)
            if window.admit(one, unset) is None:
                admitted.append(one)
            assert store.execute("SELECT count(*) <= 5 FROM nonce") == [(1,)]
        for one in admitted:
            assert window.admit(one, unset) is Reason.REQUEST_REPLAYED
        assert window.admit(numbered(999, NOW, party="other"), unset) is None
        store.close()


def test_the_window_holds_more_than_a_party_may_ask_while_nonces_are_kept() -> None:
    kept = replay.KEPT_S + LIFETIME_LIMIT_S + 2 * CLOCK_SKEW_S
    assert 3600 * (kept / 3600 + 1) < replay.WINDOW_LIMIT


# --- everything at once -------------------------------------------------------------------------------------
STEPS = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 4000)),
    st.tuples(st.just("jump"), st.integers(-2 * YEAR_S, 2 * YEAR_S)),
    st.tuples(st.just("set"), st.booleans()),
    st.tuples(st.just("restart"), st.booleans()),
    st.tuples(st.just("ask"), st.integers(1, 600)),
    st.tuples(st.just("withhold"), st.integers(1, 600)),
    st.tuples(st.just("replay"), st.integers(0, 100)),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_script_of_jumps_and_reboots_lets_a_request_in_twice_or_stops_an_unset_box(
    parties: Any, steps: list[tuple[str, int]]
) -> None:
    with machine(parties(extra="requests-per-hour = 3600")) as box:
        known: list[bytes] = []
        admitted: set[bytes] = set()
        trusted = True
        for step, value in steps:
            if step == "pass":
                box.clock.true += value
            elif step == "jump":
                box.clock.offset = value
            elif step == "set":
                box.clock.set = bool(value)
            elif step == "restart":
                box.restart(reboot=bool(value))
            elif step == "withhold":
                known.append(box.request(lifetime=value))
            elif step == "ask":
                known.append(box.request(lifetime=value))
                refusal = box.bring(known[-1])
                if refusal is None:
                    admitted.add(known[-1])
                # A wall that was believed while it was wrong may cost a few minutes; nothing else may refuse.
                elif trusted and (not box.clock.set or box.clock.offset == 0):
                    raise AssertionError(f"an honest request was refused: {refusal}")
            elif known:
                payload = known[value % len(known)]
                if box.bring(payload) is None:
                    assert payload not in admitted, "a request was let in twice"
                    admitted.add(payload)
            trusted = trusted and (not box.clock.set or box.clock.offset == 0)
        for payload in admitted:
            assert box.bring(payload) is not None


# --- what the box says ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("synchronised", "said"), [(True, "synchronised"), (False, "unsynchronised")])
def test_the_verdict_states_whether_the_clock_was_set(
    world: Any, party: Any, synchronised: bool, said: str
) -> None:
    world.clock.set = synchronised
    world.ask(party.request(iat=NOW - 9000, exp=NOW - 8900) if not synchronised else party.request())
    assert world.of("kiosk", ConsentAsked), "an unset clock alone refuses nothing"
    world.leave("kiosk")
    world.clock.pass_by(1000)
    world.settle()
    row = [row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"][-1]
    claims = json.loads(formats.from_base64url(row.payload.split(b".")[1].decode()))
    assert claims["vouchbox"]["clock"] == said


# --- a Pi before its first synchronisation ---------------------------------------------------------------
def receipt_of(world: Any, party: Any, exam: Any, at: float) -> ReceiptIssued:
    """Somebody agrees to a check whose request the party dated `at`, which is the true time."""
    world.ask(party.request(iat=int(at), exp=int(at) + 300))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts))
    issued: ReceiptIssued = world.of("kiosk", ReceiptIssued)[-1]
    return issued


@pytest.mark.parametrize("wall", [0, NOW - 5 * YEAR_S, NOW + 5 * YEAR_S], ids=["1970", "past", "future"])
def test_a_receipt_from_before_the_first_synchronisation_still_withdraws_afterwards(
    world: Any, party: Any, exam: Any, wall: int
) -> None:
    world.clock.set, world.clock.now = False, wall
    first = receipt_of(world, party, exam, NOW)
    kept = receipt_book.find(world.vault._store, first.receipt)
    assert kept is not None
    assert NOW <= kept.issued <= NOW + 60
    world.clock.set, world.clock.now = True, NOW + 600
    receipt_of(world, party, exam, NOW + 600)
    world.join("counter")
    world.say("counter", CodePresented(first.code))
    assert world.of("counter", WithdrawalStanding)


def test_a_clock_that_was_never_set_takes_nobody_s_withdrawal_away(world: Any, party: Any, exam: Any) -> None:
    first = receipt_of(world, party, exam, NOW)
    world.clock.set, world.clock.now = False, NOW + 20 * YEAR_S
    receipt_of(world, party, exam, NOW + 30)
    assert receipt_book.find(world.vault._store, first.receipt) is not None
    world.clock.set = True
    receipt_of(world, party, exam, NOW + 20 * YEAR_S)
    assert receipt_book.find(world.vault._store, first.receipt) is None, "what is surely over is swept"


def test_the_first_synchronisation_in_mid_session_neither_ends_it_nor_shortens_its_deadlines(
    world: Any, party: Any, exam: Any
) -> None:
    world.clock.set, world.clock.now = False, 0
    world.ask(party.request(iat=NOW, exp=NOW + 300))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.clock.set, world.clock.now = True, NOW
    world.settle()
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts))
    row = [row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"][-1]
    claims = json.loads(formats.from_base64url(row.payload.split(b".")[1].decode()))
    assert claims["vouchbox"]["outcome"] == "live"
    assert claims["vouchbox"]["clock"] == "synchronised"
    assert claims["iat"] == NOW
