"""`vouchbox doctor` in a booted box: every wall holds, and each hole is named with its line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground import box as ground
from proving_ground.box import ROOMS
from proving_ground.container import Container
from proving_ground.world import World

pytestmark = [pytest.mark.appliance, pytest.mark.mosquitto]

HOLES = {
    "vision": (
        "RestrictAddressFamilies=",
        "can open a network socket (inet)",
        "RestrictAddressFamilies=AF_UNIX",
    ),
    "vault": (
        "PrivateDevices=no\nDevicePolicy=auto",
        "can open the device /dev/video0",
        "DevicePolicy=closed",
    ),
    "uplink": (
        "InaccessiblePaths=\nUser=root\nPrivateUsers=no",
        "/etc/vouchbox/keys/signing.jwk",
        "InaccessiblePaths=",
    ),
}
"""What an operator's drop-in says, what the room can do then, and the line that should forbid it."""


@pytest.fixture(scope="module")
def box(
    world_of_module: World, installed: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """A configured box with a simulated person before it, and a camera's node that no driver serves."""
    with Container(installed, tmp_path_factory.mktemp("doctor"), world_of_module.box_namespace) as container:
        ground.furnish(container, world_of_module, "simulated:collins")
        container.run("mknod", "-m", "0666", "/dev/video0", "c", "81", "0")
        yield container


def examine(box: Container, *only: str, code: int = 0) -> list[dict[str, Any]]:
    """The findings, and that the exit code is the expected one."""
    families = [word for name in only for word in ("--only", name)]
    done = box.run("vouchbox", "doctor", "--json", *families, check=False)
    findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    assert done.returncode == code, findings
    return findings


def faults(findings: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Check, fault and fix of each."""
    return [(each["check"], each["what"], each["fix"]) for each in findings if each["result"] == "fault"]


def test_a_healthy_box_has_no_fault_and_every_wall_is_in_force(box: Container) -> None:
    before = {room: box.show(f"vouchbox-{room}.service", "MainPID") for room in ROOMS}
    findings = examine(box)
    results = {each["check"]: each["result"] for each in findings}
    assert faults(findings) == []
    assert {results[f"sandbox-{room}"] for room in ROOMS} == {"ok"}
    assert {results[f"unit-{room}"] for room in ROOMS} == {"ok"}
    for check in ("configuration", "users", "models", "inference", "keys", "tls-key", "state-folder"):
        assert results[check] == "ok", check
    assert results["database"] == results["relying-parties"] == results["epochs"] == results["broker"] == "ok"
    assert results["camera-frames"] == "warning", "a simulated person is no person"
    after = {room: box.show(f"vouchbox-{room}.service", "MainPID") for room in ROOMS}
    assert after == before, "the rooms go on undisturbed"
    assert box.read("systemctl", "list-units", "--all", "--no-legend", "vouchbox-doctor-*") == ""


def test_a_wall_that_a_drop_in_takes_away_is_named_with_its_line(box: Container) -> None:
    for room, (lines, _, _) in HOLES.items():
        folder = f"/run/systemd/system/vouchbox-{room}.service.d"
        box.run("mkdir", "-p", folder)
        box.run("tee", f"{folder}/hole.conf", text=f"[Service]\n{lines}\n")
    # systemd looks for changes only in folders that it knows: vision had a drop-in before.
    ((check, _, fix),) = faults(examine(box, "sandbox", code=1))
    assert check == "sandbox-vision"
    assert "daemon-reload" in fix

    box.run("systemctl", "daemon-reload")
    found = faults(examine(box, "sandbox", code=1))
    for room, (_, what, line) in HOLES.items():
        named = [fix for check, said, fix in found if check == f"sandbox-{room}" and what in said]
        assert len(named) == 1, (room, found)
        assert line in named[0]
        assert f"systemctl cat vouchbox-{room}" in named[0]

    for room in HOLES:
        box.run("rm", "-f", f"/run/systemd/system/vouchbox-{room}.service.d/hole.conf")
    box.run("systemctl", "daemon-reload")
    assert faults(examine(box, "sandbox")) == []


def test_a_room_that_was_started_without_a_wall_is_named_until_it_is_started_again(box: Container) -> None:
    folder = "/run/systemd/system/vouchbox-vision.service.d"
    box.run("mkdir", "-p", folder)
    box.run("tee", f"{folder}/hole.conf", text="[Service]\nSystemCallFilter=\nRestrictAddressFamilies=\n")
    box.run("systemctl", "daemon-reload")
    ground.start(box)
    box.run("rm", f"{folder}/hole.conf")
    box.run("systemctl", "daemon-reload")
    ((check, what, fix),) = faults(examine(box, "sandbox", code=1))
    assert check == "sandbox-vision"
    assert "that runs now stands behind other walls" in what
    assert "systemctl restart vouchbox.target" in fix
    ground.start(box)
    assert faults(examine(box, "sandbox")) == []


def test_a_room_that_fails_is_named(box: Container) -> None:
    box.run("chmod", "0600", "/etc/vouchbox/vouchbox.toml")
    box.run("systemctl", "restart", "--no-block", "vouchbox-vision.service")
    box.await_(
        lambda: int(box.show("vouchbox-vision.service", "NRestarts")) >= 2, "vision ends again and again"
    )
    found = faults(examine(box, "units", "configuration", code=1))
    assert any(check == "users" and "chmod a+r" in fix for check, _, fix in found)
    assert any(check == "unit-vision" and "journalctl" in fix for check, _, fix in found)
    box.run("chmod", "0644", "/etc/vouchbox/vouchbox.toml")
    ground.start(box)


def test_a_camera_that_works_in_a_shell_and_not_as_a_service_is_named(box: Container) -> None:
    ground.configure(box, "webcam:0")
    box.run("sh", "-c", "chown root:video /dev/video0 && chmod 0660 /dev/video0")
    hole = "/run/systemd/system/vouchbox-vision.service.d/hole.conf"
    try:
        # A kernel without a driver for cameras knows no char-video4linux, so the node is allowed by its name.
        box.run("tee", hole, text="[Service]\nDeviceAllow=/dev/video0 rw\n")
        box.run("systemctl", "daemon-reload")
        assert faults(examine(box, "sandbox")) == []
        nodes = [each for each in faults(examine(box, "camera", code=1)) if each[0] == "camera-node"]
        assert nodes == []

        box.run("tee", hole, text="[Service]\nDeviceAllow=\n")
        box.run("systemctl", "daemon-reload")
        ((_, what, fix),) = faults(examine(box, "sandbox", code=1))
        assert what == "vision can't open /dev/video0 from within its unit (EPERM)"
        assert "DeviceAllow=" in fix

        box.run("tee", hole, text="[Service]\nSupplementaryGroups=\nSupplementaryGroups=vouchbox\n")
        box.run("systemctl", "daemon-reload")
        ((check, what, fix),) = faults(examine(box, "camera", code=1))
        assert check == "camera-node"
        assert "vouchbox-vision may not use /dev/video0" in what
        assert "SupplementaryGroups=video" in fix
    finally:
        box.run("rm", "-f", hole)
        box.run("systemctl", "daemon-reload")
        box.run("chmod", "0666", "/dev/video0")
        ground.configure(box, "simulated:collins")


def test_what_a_user_without_rights_cannot_see_is_not_called_ok(box: Container) -> None:
    done = box.run("runuser", "-u", "vouchbox-kiosk", "--", "vouchbox", "doctor", "--json", check=False)
    results = {each["check"]: each["result"] for each in json.loads(done.stdout)["findings"]}
    unseen = {"keys", "database", "epochs", "broker", *(f"sandbox-{room}" for room in ROOMS)}
    assert {check: results[check] for check in unseen} == dict.fromkeys(unseen, "not checked")
    assert done.returncode == 0, results


def test_keys_that_are_encrypted_to_this_machine_are_tried_and_a_foreign_one_is_named(box: Container) -> None:
    keys, tls = "/etc/vouchbox/keys", "/etc/vouchbox/tls"
    secrets = [f"{keys}/{name}" for name in ("signing.jwk", "seal.key", "template.key")] + [f"{tls}/box.key"]
    for secret in secrets:
        box.run("systemd-creds", "encrypt", f"--name={Path(secret).name}", secret, f"{secret}.cred")
        box.run("mv", secret, "/root")
    findings = examine(box, "keys", "broker")
    told = [
        (each["check"], each["result"]) for each in findings if each["check"] in ("keys", "tls-key", "broker")
    ]
    assert told == [("keys", "ok")] * 3 + [("tls-key", "ok"), ("broker", "ok")]

    box.run("sh", "-c", f"head -c 200 /dev/urandom | base64 > {keys}/seal.key.cred")
    ((check, what, fix),) = faults(examine(box, "keys", code=1))
    assert check == "keys"
    assert f"{keys}/seal.key.cred does not open on this machine" in what
    assert "encrypt it again" in fix
