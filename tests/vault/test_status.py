"""The status tells heat, power, disk and clock as they are known, and says `unknown` where they are not."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vouchbox.machine import Heat, Pace, Sign
from vouchbox.messages import (
    AckArrived,
    ConsentAsked,
    ConsentGiven,
    Examine,
    MachineState,
    ModelIdentity,
    Outgoing,
    Published,
    SourceKind,
    StatusDocument,
    VisionReady,
)
from vouchbox.vault import wear
from vouchbox.vault.clerk import FORGET_S
from vouchbox.vault.courier import STATUS_PERIOD_S
from vouchbox.vault.store import FILE

WORDS = ("heat", "under_voltage", "frequency_capped", "throttled", "soft_limit", "pace")
COOL = MachineState(Heat.COOL, 52, *[Sign.NO] * 4, Pace.FULL)
HOT = MachineState(Heat.HOT, 84, Sign.NO, Sign.NO, Sign.YES, Sign.YES, Pace.LEAST)

SESSION_COMMITS = 9
"""Transactions that one enrolment costs, from the request to both acknowledgements."""


def told(world: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(world.of("uplink", StatusDocument)[-1].payload)
    return said


def ready(machine: MachineState | None) -> VisionReady:
    return VisionReady(
        "0.1.0", "litert", (ModelIdentity("embedding", "ab" * 32),), SourceKind.SENSOR, True, machine
    )


def test_without_a_vision_room_or_a_sensor_the_machine_is_unknown(world: Any) -> None:
    unknown = {"temperature_c": None, **dict.fromkeys(WORDS, "unknown")}
    assert told(world)["machine"] == unknown
    world.say("vision", ready(COOL))
    assert told(world)["machine"]["heat"] == "cool"
    world.leave("vision")
    assert told(world)["machine"] == unknown, "what the room said before it left is no news of the present"


def test_a_machine_that_throttles_is_told_at_once(world: Any) -> None:
    world.say("vision", ready(COOL))
    assert told(world)["machine"] == {
        "temperature_c": 52,
        "heat": "cool",
        "under_voltage": "no",
        "frequency_capped": "no",
        "throttled": "no",
        "soft_limit": "no",
        "pace": "full",
    }
    world.say("vision", HOT)
    machine = told(world)["machine"]
    assert (machine["heat"], machine["throttled"], machine["pace"]) == ("hot", "yes", "least")
    assert machine["temperature_c"] == 84


def test_a_degree_more_or_less_is_not_worth_a_status(world: Any) -> None:
    world.say("vision", ready(COOL))
    before = len(world.of("uplink", StatusDocument))
    for degrees in (53, 54, 57):
        world.say("vision", msgspec.structs.replace(COOL, temperature_c=degrees))
    assert len(world.of("uplink", StatusDocument)) == before
    world.clock.pass_by(STATUS_PERIOD_S)
    world.settle(lambda: len(world.of("uplink", StatusDocument)) > before)
    assert told(world)["machine"]["temperature_c"] == 57


def test_a_box_whose_clock_is_not_set_says_so_at_start_and_in_the_status_until_it_is(
    make_world: Any, party: Any, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set = False
    with caplog.at_level(logging.INFO, "vouchbox.vault"):
        world = make_world(party)
        world.connect()
        assert told(world)["clock"] == "unsynchronised"
        clock.set = True
        world.settle(lambda: told(world)["clock"] == "synchronised")
    clock_lines = [r.getMessage() for r in caplog.records if "clock" in r.getMessage()]
    assert len(clock_lines) == 2
    assert "not synchronised" in clock_lines[0]
    assert "synchronised now" in clock_lines[1]


def test_what_the_kernel_counts_is_what_is_told(tmp_path: Path) -> None:
    before = wear.written_bytes()
    assert before is not None
    counts = tmp_path / "io"
    counts.write_text("rchar: 1\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n")
    assert wear.written_bytes(counts) == 4096


@pytest.mark.parametrize("text", ["", "write_bytes: many\ncancelled_write_bytes: 0\n", "rchar: 1\n"])
def test_a_kernel_that_does_not_count_is_unknown_not_zero(tmp_path: Path, text: str) -> None:
    (tmp_path / "io").write_text(text)
    assert wear.written_bytes(tmp_path / "io") is None
    assert wear.written_bytes(tmp_path / "none") is None


def enrol(world: Any, party: Any, exam: Any, face: bytes) -> list[Outgoing]:
    """One enrolment up to both PUBACKs; the messages that went out."""
    seen = len(world.of("uplink", Outgoing))
    world.ask(party.request(action="enroll"))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts, embedding=face))
    world.settle(lambda: len(world.of("uplink", Outgoing)) == seen + 2)
    rows: list[Outgoing] = world.of("uplink", Outgoing)[seen:]
    for row in rows:
        digest = hashlib.sha256(row.payload).hexdigest()
        world.say("uplink", Published(row.row, 0, row.topic, len(row.payload), digest))
    return rows


def test_an_enrolment_costs_the_card_a_known_number_of_writes(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    store = world.vault._store
    before = store.commits
    for row in enrol(world, party, exam, embedding(1)):
        world.say("uplink", AckArrived(party.ack(hashlib.sha256(row.payload).hexdigest())))
    assert store.commits - before == SESSION_COMMITS
    world.leave("vision")
    assert told(world)["disk"]["commits"] == pytest.approx(store.commits, abs=2)


def test_what_was_acknowledged_is_soon_nowhere_on_the_disk(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    rows = enrol(world, party, exam, embedding(1))
    payloads = [row.payload for row in rows]
    assert all(on_disk(world, payload) for payload in payloads)
    world.say("uplink", AckArrived(party.ack(*(hashlib.sha256(p).hexdigest() for p in payloads))))
    world.clock.pass_by(FORGET_S)
    world.settle()
    assert not any(on_disk(world, payload) for payload in payloads)


def test_what_was_acknowledged_before_a_power_cut_is_gone_after_the_next_start(
    world: Any, party: Any, exam: Any, embedding: Any, tmp_path: Path
) -> None:
    rows = enrol(world, party, exam, embedding(1))
    payloads = [row.payload for row in rows]
    world.say("uplink", AckArrived(party.ack(*(hashlib.sha256(p).hexdigest() for p in payloads))))
    state = world.config.box.state
    cut = {path.name: path.read_bytes() for path in state.iterdir()}
    assert any(payload[:200] in data for payload in payloads for data in cut.values())
    world.close()
    for name, data in cut.items():
        (state / name).write_bytes(data)
    world.restart()
    assert not any(on_disk(world, payload) for payload in payloads)


def on_disk(world: Any, payload: bytes) -> bool:
    """Whether the beginning of a payload lies in a file of the vault; a row may be cut into pages."""
    files = [path.read_bytes() for path in world.config.box.state.glob(f"{FILE}*")]
    return any(payload[:200] in data for data in files)
