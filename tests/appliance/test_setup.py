"""The first boot of a card with a setup file, and a box whose root can't be written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground import box as ground
from proving_ground.container import Container
from proving_ground.world import BOX, DEVICE, PORT, SITE, TOPIC, WORLD_ADDRESS, World

pytestmark = [pytest.mark.appliance, pytest.mark.mosquitto]

UNIT = "vouchbox-setup.service"
BOOT = "boot/firmware"
ANSWERS = f"""
[box]
site = "{SITE}"
device = "{DEVICE}"
[camera]
source = "simulated:collins"
pace = "fast"
[uplink]
host = "{WORLD_ADDRESS}"
port = {PORT}
[setup]
relying-parties = ["pickup.toml"]
ca = "ca.pem"
certificate = "box.pem"
key = "box.key"
session = "simulated"
"""


@dataclass(frozen=True)
class Card:
    """An SD card after its first boot: its layers, and what the boot said."""

    layers: tuple[Path, ...]
    journal: str
    result: str


@pytest.fixture(scope="module")
def card(
    world_of_module: World, installed: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Card:
    """A card with the package and a setup file on its boot partition, booted once."""
    folder, world = tmp_path_factory.mktemp("card"), world_of_module
    boot = folder / "written" / BOOT
    boot.mkdir(parents=True)
    (boot / "vouchbox-setup.toml").write_text(ANSWERS)
    for name in ("ca.pem", "box.pem", "box.key"):
        shutil.copyfile(world.folder / "tls" / name, boot / name)
    shutil.copyfile(world.folder / "pickup-counter.toml", boot / "pickup.toml")
    layers = (folder / "written", *installed)
    with Container(layers, folder / "first", world.box_namespace) as box:
        box.await_(lambda: box.show(UNIT, "ActiveState") != "activating", "setup ends")
        journal, result = box.journal(UNIT), box.show(UNIT, "Result")
        assert result == "success", journal
        world.know(box.read("cat", "/etc/vouchbox/keys/box.jwks.json"))
        box.power_off()
        return Card((box.upper, *layers), journal, result)


@pytest.fixture
def box(card: Card, world_of_module: World, tmp_path: Path) -> Iterator[Container]:
    """The card's second boot."""
    with Container(card.layers, tmp_path / "second", world_of_module.box_namespace) as running:
        yield running


ENDED: tuple[tuple[str, list[str]], ...] = (("live", []), ("inconclusive", ["timeout"]))
"""How the session of a live person ends; on a very slow machine the vault gives up on it."""


def session(box: Container, world: World) -> tuple[str, list[str]]:
    """One session through the running rooms: outcome and reasons of its verified verdict."""
    ground.watch(box, patiently=True)
    ground.start(box)
    with world.ask("check", "active") as asking:
        verdict: dict[str, Any] = world.answer(asking)
    assert verdict["verified"] is True
    return verdict["said"]["outcome"], verdict["said"]["reasons"]


def test_a_setup_file_on_the_boot_partition_makes_a_box_at_its_first_boot(
    card: Card, box: Container, world_of_module: World
) -> None:
    assert f"This box is {BOX}" in card.journal
    assert "takes this box's certificate" in card.journal
    assert "live, before a simulated source" in card.journal
    assert "vault active" in card.journal, "the rooms were started"
    key = (world_of_module.folder / "tls" / "box.key").read_text()
    assert not [line for line in key.splitlines()[1:-1] if line in card.journal]

    assert box.read("ls", f"/{BOOT}").split() == [
        f"{DEVICE}.jwks.json",
        "box.pem",
        "ca.pem",
        "pickup.toml",
        "vouchbox-setup.toml.done",
    ]
    assert box.read("stat", "-c", "%a %U", "/etc/vouchbox/tls/box.key") == "600 root"
    assert box.run("ls", "/etc/vouchbox/setup-under-way", check=False).returncode != 0
    loose = "find /etc/vouchbox ( -perm /022 -o ! -user root ) ! -type l"
    assert box.read(*loose.split()) == ""
    assert session(box, world_of_module) in ENDED


def test_a_setup_file_changes_nothing_on_a_box_that_has_an_identity(box: Container) -> None:
    everything = "cd /etc/vouchbox && find . -type f -exec sha256sum {} + | sort"
    before = box.read("sh", "-c", everything)
    other = ANSWERS.replace(f'site = "{SITE}"', 'site = "elsewhere"')
    box.run("tee", f"/{BOOT}/vouchbox-setup.toml", text=other)
    box.run("systemctl", "start", UNIT)
    assert box.show(UNIT, "ConditionResult") == "no"
    refused = box.run("vouchbox", "setup", check=False)
    assert refused.returncode == 2
    assert "set up already" in refused.stderr
    assert box.read("sh", "-c", everything) == before

    box.run("touch", "/etc/vouchbox/setup-under-way")
    box.run("sed", "--in-place", "s/simulated:collins/webcam:63/", f"/{BOOT}/vouchbox-setup.toml")
    box.run("systemctl", "start", UNIT, check=False)
    assert box.show(UNIT, "ConditionResult") == "yes", "a setup that a power cut ended goes on"
    assert box.show(UNIT, "Result") == "exit-code"
    box.run("rm", "/etc/vouchbox/setup-under-way")
    assert box.read("sh", "-c", everything) == before, "a camera that is missing changes nothing"


def test_with_a_root_that_keeps_nothing_state_lives_on_under_var_lib_vouchbox_alone(
    card: Card, world_of_module: World, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    bind = f"--bind={state}:/var/lib/vouchbox"
    sent = []
    # A root that refuses every write; then one whose changes are thrown away, like Raspberry Pi OS's overlay.
    for name, options in (("read-only", ("--read-only", bind)), ("overlay", (bind,))):
        with Container(card.layers, tmp_path / name, world_of_module.box_namespace, options) as running:
            written = running.run("touch", "/etc/written", check=False)
            assert ("Read-only file system" in written.stderr) is (name == "read-only")
            assert session(running, world_of_module) in ENDED
            sent.append(running.read("vouchbox", "egress", "--json").count(f"{TOPIC}/verdict"))
            assert "is not the one" not in running.journal("vouchbox-vault.service")
            running.power_off()
            written_files = [path for path in running.upper.rglob("*") if path.is_file()]
        own = [path for path in written_files if "vouchbox" in str(path.relative_to(running.upper))]
        assert own == [], "nothing of the box is written elsewhere"
    assert sent[1] == sent[0] + 1, "the list of what left the box goes on after the restart"
    assert (state / "vault.sqlite").is_file()
