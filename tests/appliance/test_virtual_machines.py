"""The virtual Pi and the system with real camera libraries: long runs by flag, and what holds them together
always."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground.box import configured
from virtual_machine import cameras, pi, unpacked
from virtual_machine.agent import Agent, AgentSilent
from virtual_machine.image import Recipe

ROOT = Path(__file__).resolve().parents[2]
by_flag = pytest.mark.skipif(
    os.environ.get("VOUCHBOX_MACHINES") != "yes" or os.geteuid() != 0,
    reason="a long run, as root: VOUCHBOX_MACHINES=yes, or ./scripts/virtual_pi and ./scripts/real_cameras",
)


@by_flag
@pytest.mark.appliance
@pytest.mark.mosquitto
def test_a_fresh_arm64_system_installs_offline_and_delivers_verified_verdicts(tmp_path: Path) -> None:
    log = pi.prove("trixie", None, tmp_path)
    seen = {(section, what): value for section, what, value in log.rows}
    assert seen["machine", "network interfaces"] == "lo alone"
    test_picture, person = (f"session, {source}" for source in (pi.TEST_CAMERA_SOURCE, pi.PERSON))
    assert seen[test_picture, "verified verdict"].startswith("inconclusive")
    assert seen[test_picture, "source in the signed verdict"] == "webcam"
    assert seen[person, "verified verdict"] == "live"
    assert seen[person, "source in the signed verdict"] == "simulated"


@by_flag
def test_the_pi_cameras_adapter_keeps_its_promises_with_the_real_picamera2() -> None:
    done = cameras.in_container(("-k", "picamera2"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]


@by_flag
def test_every_source_keeps_its_promises_before_a_real_driver_and_a_real_camera_library() -> None:
    done = cameras.in_machine()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_an_image_is_made_anew_when_anything_it_is_made_from_changes() -> None:
    recipe = Recipe("name", "trixie", "arm64", ("one",))
    others = (
        dataclasses.replace(recipe, suite="bookworm"),
        dataclasses.replace(recipe, packages=("one", "two")),
        dataclasses.replace(recipe, files=(("/etc/file", "text"),)),
        dataclasses.replace(recipe, steps=("true",)),
    )
    keys = {other.key for other in (recipe, *others)}
    assert len(keys) == 5
    assert Recipe("name", "trixie", "arm64", ("one",)).key == recipe.key


def test_a_configuration_that_is_changed_twice_is_the_one_that_was_changed_once() -> None:
    shipped = (ROOT / "systemd" / "vouchbox.toml").read_text()
    fast = {"[camera]": {"pace": '"fast"', "frame-rate": "5"}}
    first = configured(shipped, "webcam:0", {"[uplink]": {"keepalive-s": "60"}})
    assert 'source = "webcam:0"' in first
    assert "keepalive-s = 60" in first
    assert configured(first, "simulated:collins", fast) == configured(shipped, "simulated:collins", fast)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_a_package_that_was_only_unpacked_is_one_that_dpkg_knows(tmp_path: Path) -> None:
    source, tree = tmp_path / "source", tmp_path / "tree"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "opt").mkdir()
    (source / "opt" / "file").write_text("text\n")
    fields = "Package: sample\nVersion: 1.2\nArchitecture: arm64\nMulti-Arch: same\n"
    fields += "Maintainer: nobody <nobody@localhost>\nDescription: a sample\n of two lines\n"
    (source / "DEBIAN" / "control").write_text(fields)
    deb = tmp_path / "sample.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", source, deb], check=True, capture_output=True
    )
    unpacked.record(tree, [deb])
    asked = ["dpkg-query", "--admindir", tree]
    shown = subprocess.run(
        [*asked, "--show", "--showformat=${binary:Package} ${Version} ${db:Status-Status}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "sample:arm64 1.2 installed"
    listed = subprocess.run(
        [*asked, "--listfiles", "sample:arm64"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.splitlines() == ["/.", "/opt", "/opt/file"]


class Guest(threading.Thread):
    """An agent at the other end of a socket: `echo` tells its input in two polls, anything else is
    unknown."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__(daemon=True)
        self._line = line
        self._asked = 0
        self.environment: list[str] = []

    def run(self) -> None:
        with self._line, self._line.makefile("rb") as orders:
            for line in orders:
                order = json.loads(line)
                answer = json.dumps(self._answer(order["execute"], order["arguments"])).encode() + b"\n"
                self._line.sendall(answer[:5])
                self._line.sendall(answer[5:])

    def _answer(self, what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        match what:
            case "guest-sync":
                return {"return": arguments["id"]}
            case "guest-exec" if arguments["path"] == "echo":
                self._said, self.environment = arguments["input-data"], arguments["env"]
                return {"return": {"pid": 7}}
            case "guest-exec-status":
                self._asked += 1
                ended = {"exited": True, "exitcode": 3, "out-data": self._said}
                return {"return": ended if self._asked == 2 else {"exited": False}}
        return {"error": {"class": "GenericError", "desc": "no such program"}}


@pytest.fixture
def line(short_tmp: Path) -> Any:
    """A socket's path and what accepts there."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(short_tmp / "agent"))
        door.listen()
        yield short_tmp / "agent", door


def test_a_command_in_a_guest_brings_back_its_status_and_what_it_said(line: Any) -> None:
    path, door = line
    agent = Agent(path)
    guest = Guest(door.accept()[0])
    guest.start()
    agent.greet()
    ended = agent.execute(("echo",), {"LANG": "C"}, "ö\n")
    assert (ended.code, ended.said, ended.complained) == (3, "ö\n", "")
    assert guest.environment == ["LANG=C"]
    with pytest.raises(AssertionError, match="no such program"):
        agent.execute(("nothing",), {})
    agent.close()
    guest.join()


def test_a_guest_that_is_gone_or_says_nothing_is_called_that(line: Any) -> None:
    path, door = line
    agent = Agent(path, answer_s=0.2)
    other = door.accept()[0]
    with pytest.raises(AgentSilent, match="does not answer"):
        agent.greet()
    other.close()
    with pytest.raises((AgentSilent, OSError)):
        agent.greet()
    agent.close()
