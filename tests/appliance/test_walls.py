"""Each wall of each unit, felt from inside: it holds, and it is this line that holds it.

A probe takes the room's place behind the unit's own lines and tries what a hostile room would. Then it tries
again in copies of the unit that lack one wall each, and must come through there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground import walls as ground
from proving_ground.box import ROOMS
from proving_ground.container import Container
from proving_ground.walls import Answers, Wall

pytestmark = pytest.mark.appliance

WALLS = ground.walls()
DEVICES = {f"/dev/{name}" for name in ("full", "null", "pts/ptmx", "random", "tty", "urandom", "zero")}
"""Devices that keep nothing."""
WRITABLE = {
    "vision": {"/run/systemd/notify"},
    "vault": {"/run/systemd/notify", "/run/vouchbox", "/var/lib/vouchbox"},
    "uplink": {
        "/run/systemd/notify",
        "/run/systemd/io.system.ManagedOOM",
        "/run/systemd/journal/dev-log",
        "/run/systemd/journal/socket",
        "/run/systemd/journal/stdout",
        "/run/systemd/userdb/io.systemd.DynamicUser",
    },
}
"""All that a room may write in the whole system. Most are sockets of systemd, which are no files."""


def test_every_wall_holds_and_falls_with_its_line(boot: Callable[[], Container]) -> None:
    yard = boot()
    ground.place_bait(yard)
    answers: dict[str, Answers] = {}
    # The vault's unit closes its state folder, so its turn comes last.
    for rooms in (("vision", "uplink"), ("vault",)):
        units = {f"whole-{room}": ground.mutant(room, walk=True) for room in rooms}
        for number, wall in enumerate(WALLS):
            if wall.room in rooms:
                units[f"mutant-{number}"] = ground.mutant(wall.room, wall.lines)
        answers |= ground.probe(yard, units)

    weak, idle = [], []
    for number, wall in enumerate(WALLS):
        whole, without = answers[f"whole-{wall.room}"][wall.probe], answers[f"mutant-{number}"][wall.probe]
        if not wall.holds(whole):
            weak.append(f"{wall.id}: {whole}")
        if wall.holds(without):
            idle.append(f"{wall.id}: still {without} without {', '.join(wall.lines)}")
    assert weak == []
    assert idle == [], "a line that holds nothing, or a probe that feels nothing"

    for room in ROOMS:
        whole = answers[f"whole-{room}"]
        assert set(whole["writable"]) - DEVICES <= WRITABLE[room]
        assert whole["seccomp"] == "2"
        assert whole["unix"] == "done"
        assert whole["device video0"] != "done"
    assert answers["whole-vault"]["write /var/lib/vouchbox"] == "done", "the probe must be able to write"
    assert answers["whole-uplink"]["inet"] == "done", "the probe must be able to speak"
    assert len({answers[f"whole-{room}"]["user"] for room in ROOMS}) == len(ROOMS)


def test_a_wall_that_names_no_line_of_its_unit_is_an_error() -> None:
    with pytest.raises(AssertionError, match="has no"):
        ground.mutant("vision", ("NoSuchLine",))
    assert all(isinstance(wall, Wall) for wall in WALLS)
    assert {wall.room for wall in WALLS} == set(ROOMS)
