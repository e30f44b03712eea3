"""Sessions through the real units of an installed box: which verdict, what leaves, and what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground import box as ground
from proving_ground import canary
from proving_ground.box import ROOMS
from proving_ground.container import Container
from proving_ground.world import BOX_ADDRESS, PORT, TOPIC, WORLD_ADDRESS, World

pytestmark = [pytest.mark.appliance, pytest.mark.mosquitto]

PERSON = "simulated:collins"
CLIP = "/srv/canary.avi"
SESSION_BYTES = 8 * 1024
"""What one session may send over the wire, TLS and MQTT included."""


ENDED = (("inconclusive", ["room-gone"]), ("inconclusive", ["timeout"]))
"""A session whose vision room ended; on a very slow machine the vault gave up on it before."""

Show = Callable[[str], Container]


@pytest.fixture(scope="module")
def place(
    world_of_module: World, installed: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory, clip: Path
) -> Iterator[Container]:
    """A configured box with a simulated person before its camera."""
    with Container(installed, tmp_path_factory.mktemp("place"), world_of_module.box_namespace) as container:
        shutil.copy(clip, container.tree / CLIP.lstrip("/"))
        ground.furnish(container, world_of_module, PERSON)
        yield container


@pytest.fixture
def show(place: Container) -> Show:
    """Gives the box with this before its camera, and every room up."""

    def prepare(source: str) -> Container:
        changed = ground.configure(place, source)
        up = {place.show(f"vouchbox-{room}.service", "ActiveState") for room in ROOMS} == {"active"}
        if changed or not up:
            ground.start(place)
        return place

    return prepare


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of the canary."""
    pytest.importorskip("skimage", reason="the portrait travels inside scikit-image")
    return canary.make_clip(tmp_path_factory.mktemp("clip") / "canary.avi", ground.CAPTURE_S + 2)


def shown(box: Container) -> int:
    """How many prompts the kiosk has shown so far."""
    return box.journal(f"{ground.KIOSK}.service").count(" %)")


def filming(box: Container, before: int) -> None:
    """Until the person of a new session is being filmed."""
    box.await_(lambda: shown(box) > before, "a session films")


def said(verdict: dict[str, Any]) -> tuple[str, list[str]]:
    """Outcome and reasons."""
    return verdict["said"]["outcome"], verdict["said"]["reasons"]


def test_a_live_person_enrols_and_only_declared_topics_and_few_bytes_leave(
    show: Show, world_of_module: World
) -> None:
    running, world = show(PERSON), world_of_module
    packets, messages = len(world.packets()), len(world.published())
    with world.ask("enroll", "active") as asking:
        verdict = world.answer(asking)
    assert verdict["verified"] is True
    assert said(verdict) == ("live", [])
    assert verdict["said"]["source"]["kind"] == "simulated"
    assert verdict["said"]["wiped"] is True
    running.await_(lambda: len(world.published()) >= messages + 2, "verdict and template are published")
    running.await_(lambda: "is stored" in world.log("service"), "the template is stored")

    topics = [topic for topic, _ in world.published()]
    assert set(topics) <= {f"{TOPIC}/{name}" for name in ("status", "verdict", "template")}
    assert sorted(topics[messages:])[-2:] == [f"{TOPIC}/template", f"{TOPIC}/verdict"]
    sent = [packet for packet in world.packets()[packets:] if packet.source.startswith(BOX_ADDRESS)]
    assert sum(packet.payload for packet in sent) >= sum(size for _, size in world.published()[messages:])
    assert sum(packet.size for packet in sent) <= SESSION_BYTES

    everything = world.packets()
    assert {packet.kind for packet in everything} <= {"tcp", "arp"}
    broker = f"{WORLD_ADDRESS}:{PORT}"
    strangers = [p for p in everything if p.kind == "tcp" and broker not in (p.source, p.target)]
    assert strangers == []


@pytest.fixture
def hot(place: Container, show: Show) -> Iterator[Container]:
    """The box with a person before it, on a machine that the firmware throttles at 83 degrees."""
    running = show(PERSON)
    files = {
        "class/thermal/thermal_zone0/temp": "83000\n",
        "devices/platform/soc/soc:firmware/get_throttled": "f000c\n",
    }
    for name, text in files.items():
        running.run("mkdir", "-p", str(Path("/srv/machine", name).parent))
        running.run("tee", f"/srv/machine/{name}", text=text)
    path = running.tree / ground.CONFIGURATION
    cool = path.read_text()
    path.write_text(cool.replace("[vision]\n", '[vision]\nsysfs = "/srv/machine"\n'))
    ground.start(running)
    yield running
    path.write_text(cool)
    ground.start(running)


def test_behind_its_walls_vision_reads_heat_and_power_in_sys_and_may_change_nothing_there(show: Show) -> None:
    running = show(PERSON)
    behind = Path(f"/proc/{running.main_pid('vouchbox-vision.service')}/root/sys")
    zones = running.read("ls", "/sys/class/thermal").split()
    assert sorted(path.name for path in (behind / "class" / "thermal").iterdir()) == sorted(zones)
    assert (behind / "devices" / "platform").is_dir()
    assert os.statvfs(behind).f_flag & os.ST_RDONLY


def test_a_throttled_machine_looks_at_fewer_frames_says_so_and_still_knows_a_live_person(
    hot: Container, world_of_module: World
) -> None:
    with world_of_module.ask("check", "passive") as asking:
        verdict = world_of_module.answer(asking)
    assert said(verdict) == ("live", [])
    assert verdict["said"]["skipped"] > verdict["said"]["frames"] / 2
    assert "fewer frames are looked at (least)" in hot.journal("vouchbox-vision.service")


def test_the_running_rooms_stand_behind_the_walls_that_the_probe_felt(show: Show) -> None:
    running = show(PERSON)
    users, networks = set(), {}
    for room in ROOMS:
        pid = running.main_pid(f"vouchbox-{room}.service")
        lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
        status = {line.split(":")[0]: line.split(":")[1].split() for line in lines if ":" in line}
        assert status["Seccomp"] == ["2"]
        assert status["NoNewPrivs"] == ["1"]
        assert {status[name][0] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["VmSwap"] == ["0", "kB"]
        users.add(status["Uid"][0])
        networks[room] = Path(f"/proc/{pid}/ns/net").readlink()
        limits = (Path("/proc") / str(pid) / "limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        assert running.show(f"vouchbox-{room}.service", "MemorySwapMax") == "0"
    assert len(users) == len(ROOMS)
    outside = Path(f"/proc/{running.main_pid('dbus.service')}/ns/net").readlink()
    assert networks["uplink"] == outside
    assert len({networks["vision"], networks["vault"], outside}) == 3
    assert running.show("vouchbox-vision.service", "LimitMEMLOCK") in ("infinity", _own_memlock())


def _own_memlock() -> str:
    """What a machine that may not raise limits gives instead."""
    import resource

    return str(resource.getrlimit(resource.RLIMIT_MEMLOCK)[1])


def test_a_room_at_another_rooms_door_is_sent_away(show: Show) -> None:
    running = show(PERSON)
    knock = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(30); "
        "s.connect('/run/vouchbox/vision.sock'); print('answer', s.recv(1))"
    )
    who = ("-p", "User=vouchbox-uplink", "-p", "SupplementaryGroups=vouchbox")
    # The vault serves one connection a door; the true vision room steps aside for this.
    running.run("systemctl", "stop", "vouchbox-vision.service")
    answer = running.read("systemd-run", "--quiet", "--wait", "--pipe", *who, "python3", "-c", knock)
    assert answer == "answer b''", "closed without a word"
    complaint = "another user knocked at the door for the vision"
    running.await_(lambda: complaint in running.journal("vouchbox-vault.service"), "the vault takes notice")

    nobody = running.run(
        "systemd-run", "--quiet", "--wait", "--pipe", "-p", "User=nobody", "python3", "-c", knock, check=False
    )
    assert "PermissionError" in nobody.stderr, "who is not of the house does not even reach the door"


def test_a_stuck_vision_room_is_ended_by_the_watchdog_and_its_session_is_inconclusive(
    show: Show, world_of_module: World
) -> None:
    running, world = show(f"clip:{CLIP}"), world_of_module
    ground.watch(running, patiently=False)
    ground.start(running)
    before = shown(running)
    with world.ask("check", "passive") as asking:
        filming(running, before)
        joined = ground.joined(running, "vision")
        first = running.main_pid("vouchbox-vision.service")
        os.kill(first, signal.SIGSTOP)
        verdict = world.answer(asking)
    assert said(verdict) == ("inconclusive", ["room-gone"])
    running.await_(lambda: ground.joined(running, "vision") > joined, "vision comes back")
    assert "watchdog timeout" in running.journal("vouchbox-vision.service").lower()
    assert running.main_pid("vouchbox-vision.service") != first
    ground.watch(running, patiently=True)
    ground.start(running)
    with world.ask("check", "passive") as asking:
        assert world.answer(asking)["said"]["frames"] > 100


def test_stopping_the_unit_in_mid_session_wipes_the_frames_before_the_process_ends(
    show: Show, world_of_module: World, clip: Path
) -> None:
    running, world = show(f"clip:{CLIP}"), world_of_module
    pieces = canary.runs(clip)
    before = shown(running)
    with world.ask("check", "passive") as asking:
        filming(running, before)
        vision = running.main_pid("vouchbox-vision.service")
        during = canary.in_memory(vision, pieces)
        stops: list[subprocess.Popen[bytes]] = []
        left = canary.at_its_end(
            vision,
            lambda: stops.append(running.begin("systemctl", "stop", "vouchbox-vision.service")),
            lambda: canary.in_memory(vision, pieces),
        )
        assert stops[0].wait(240) == 0
        verdict = world.answer(asking)
    assert during > 0, "the search must find frames while the session runs"
    assert left == 0
    assert said(verdict) in ENDED
    assert running.show("vouchbox-vision.service", "Result") == "success"


def test_keys_that_are_encrypted_to_this_machine_serve_as_well(show: Show, world_of_module: World) -> None:
    running = show(PERSON)
    kept = running.read("cat", "/etc/vouchbox/keys/box.jwks.json")
    drops = {"vault": "encrypted-keys.conf", "uplink": "encrypted-tls-key.conf"}
    secrets = [f"/etc/vouchbox/keys/{name}" for name in ("signing.jwk", "seal.key", "template.key")]
    for secret in [*secrets, "/etc/vouchbox/tls/box.key"]:
        running.run("systemd-creds", "encrypt", f"--name={Path(secret).name}", secret, f"{secret}.cred")
        running.run("rm", secret)
    for room, drop in drops.items():
        folder = f"/etc/systemd/system/vouchbox-{room}.service.d"
        running.run("mkdir", "-p", folder)
        running.run("cp", f"/usr/share/doc/vouchbox/examples/{drop}", folder)
    running.run("systemctl", "daemon-reload")
    ground.start(running)
    with world_of_module.ask("check", "active") as asking:
        assert said(world_of_module.answer(asking)) == ("live", [])
    assert running.read("cat", "/etc/vouchbox/keys/box.jwks.json") == kept


def test_no_pixel_is_left_on_the_disk_in_the_journal_or_in_a_core(
    box: Container, world: World, clip: Path
) -> None:
    needles = canary.disguised(canary.runs(clip))
    shutil.copy(clip, box.tree / CLIP.lstrip("/"))
    box.run("mkdir", "/var/log/journal")
    box.run("journalctl", "--flush")
    ground.furnish(box, world, f"clip:{CLIP}")
    with world.ask("check", "passive") as asking:
        verdict = world.answer(asking)
    assert verdict["said"]["source"]["kind"] == "clip"
    assert verdict["said"]["frames"] > 100

    before = shown(box)
    with world.ask("check", "passive") as asking:
        filming(box, before)
        os.kill(box.main_pid("vouchbox-vision.service"), signal.SIGSEGV)
        crashed = world.answer(asking)
    assert said(crashed) in ENDED
    assert "status=11" in box.journal("vouchbox-vision.service")
    exported = box.run("journalctl", "--output=export", "--boot").stdout.encode(errors="surrogateescape")
    box.power_off()

    assert not [needle for needle in needles if needle in exported]
    assert [path for path in box.upper.rglob("core*") if path.is_file()] == []
    assert list(box.upper.rglob("*.journal")), "the search must cover the journal"
    assert (box.upper / "var" / "lib" / "vouchbox" / "vault.sqlite").is_file()
    assert canary.guilty(needles, box.upper) == []
    assert canary.guilty(needles, world.folder) == []
    (box.upper / "srv" / "planted").write_bytes(b"x" * 1000 + needles[0] + b"x" * 1000)
    assert canary.guilty(needles, box.upper) == [box.upper / "srv" / "planted"]
