"""Troubles in mid-session, and bad input: one true verdict or one plain sentence, never silence."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox.messages import Action, Level, Outcome
from vouchbox.reasons import Reason
from vouchbox.relying_party import desk
from vouchbox.relying_party.requests import Asked
from vouchbox.simulator.house import House
from vouchbox.simulator.registration import PURPOSE

OpenHouse = Callable[..., House]

PATIENCE_S = 90.0
"""How long a test waits for what must come; no test asserts on time."""


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`vouchbox simulate` as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "vouchbox", "simulate", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def ask(house: House) -> Asked:
    return desk.ask(
        house.settings, house.box, purpose=PURPOSE, action=Action.CHECK, level=Level.ACTIVE, subject="visitor"
    )


def session_under_way(house: House) -> Asked:
    """Ask, and return when the person is being filmed."""
    asked = ask(house)
    house.room("kiosk").wait_until(
        lambda: " %)" in house.room("kiosk").log.read_text(), "shown a prompt", PATIENCE_S
    )
    return asked


def verdicts_sent(house: House) -> int:
    return sum(sent.topic.endswith("/verdict") for sent in house.departures())


@pytest.mark.mosquitto
def test_a_verdict_survives_a_broker_that_dies_in_the_middle_of_its_session(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins", pace="real")
    asked = session_under_way(house)
    house.broker.kill()
    house.broker.start()
    verdict = desk.wait(house.settings, asked, PATIENCE_S)
    assert verdict.outcome is Outcome.LIVE


@pytest.mark.mosquitto
def test_a_second_request_is_told_busy_and_a_dead_vision_room_ends_the_first_with_one_verdict(
    open_house: OpenHouse, portraits: None
) -> None:
    house = open_house("simulated:collins", pace="real")
    first = session_under_way(house)
    refused = desk.wait(house.settings, ask(house), PATIENCE_S)
    assert refused.outcome is Outcome.REFUSED
    assert refused.said.reasons == (Reason.BOX_BUSY,)
    assert refused.said.source is None

    house.room("vision").kill()
    verdict = desk.wait(house.settings, first, PATIENCE_S)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.said.reasons == (Reason.ROOM_GONE,)
    assert verdict.said.template is None

    house.restart("vision")
    third = desk.wait(house.settings, session_under_way(house), PATIENCE_S)
    assert third.outcome is Outcome.LIVE
    deadline = time.monotonic() + PATIENCE_S
    while verdicts_sent(house) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert verdicts_sent(house) == 3, "one for each request, and not one more"


@pytest.mark.mosquitto
def test_a_broken_clip_is_inconclusive_with_its_reason_and_exit_code_3(
    mosquitto: None, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypisom" + bytes(range(256)) * 40)
    done = simulate("--clip", str(broken), "--json")
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert document["outcome"] == "inconclusive"
    assert document["reasons"] == ["clip-unreadable"]
    assert document["verified"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("--clip", "a.mp4", "--subject", "collins"),
        ("--webcam", "0", "--subject", "collins"),
        ("--webcam", "-1"),
    ],
)
def test_sources_that_exclude_one_another_are_a_usage_error(arguments: tuple[str, ...]) -> None:
    done = simulate(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_an_unknown_subject_is_one_sentence_that_says_what_would_be_right() -> None:
    done = simulate("--subject", "nobody")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nobody" in done.stderr
    assert "collins, hopper" in done.stderr


@pytest.mark.mosquitto
@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [
        "intel-iot-devkit+sample-videos/preview/head-pose-face-detection-male.gif",
        "rizkiarm+LipNet/GRID/bbaf2n.mpg",
        "Apfol+liveness-detection-opencv/videos/real2.webm",
    ],
)
def test_a_real_clip_gets_a_verified_verdict_and_is_never_live_at_level_active(
    mosquitto: None, real_data: Path, name: str
) -> None:
    done = simulate("--clip", str(real_data / name), "--level", "active", "--json")
    assert done.returncode in (0, 3), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["verified"] is True
    assert document["source"]["kind"] == "clip"
    assert document["frames"] > 0
    assert document["wiped"] is True
    assert document["outcome"] in ("inconclusive", "attack-suspected")
    assert (done.returncode == 3) == (document["outcome"] == "inconclusive")
