"""`scripts/virtual_pi`: a fresh arm64 Debian installs the package offline and delivers verified verdicts.

The machine has the processor of a Raspberry Pi 4 (emulated), Debian's own arm64 kernel and the kernel's
test camera as /dev/video0. Around it stands the same world as around the box of `tests/appliance`: a real
mosquitto with client certificates, and the project's own relying party, which verifies what comes. Ends
with a table of versions and times.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deb_package.targets import SUITES
from proving_ground.base import ROOT
from proving_ground.box import CONFIGURATION, KIOSK, configured
from proving_ground.world import World
from virtual_machine.guest import Guest
from virtual_machine.image import Image, Recipe, file_system, image, made

TEST_CAMERA = (
    ("/etc/modules-load.d/vivid.conf", "vivid\n"),
    ("/etc/modprobe.d/vivid.conf", "options vivid n_devs=1 node_types=0x1\n"),
)
"""One capture device and nothing else: include/uapi/linux/videodev2.h, drivers/media/test-drivers/vivid."""

NETWORK = "[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
"""qemu's user networking, its usual addresses."""

TEST_CAMERA_SOURCE, PERSON = "webcam:0", "simulated:collins"

FRAME_RATE = 5
"""The lowest that the configuration takes: 25 frames in the five seconds of a session."""

KEEPALIVE_S = 3600
"""The broker's time goes faster than the guest's."""

SESSION_S = 600


_VERSIONS = """
from importlib.metadata import version
import platform
packages = ("numpy", "opencv-python-headless", "ai-edge-litert")
print(platform.python_version(), *(version(name) for name in packages))
"""


@dataclass(slots=True)
class Log:
    """What was seen, in order: the table at the end, and a line for whoever waits."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def note(self, section: str, what: str, value: object) -> None:
        """Keep a fact."""
        self.rows.append((section, what, str(value)))
        print(f"virtual_pi: {what}: {value}", file=sys.stderr, flush=True)

    def timed(self, section: str, what: str, work: Callable[[], Any]) -> Any:
        """Do something and keep how long it took."""
        began = time.monotonic()
        result = work()
        self.note(section, what, f"{time.monotonic() - began:.0f} s")
        return result


def main() -> None:
    """Read the options, make what is missing, run, print the table."""
    reader = argparse.ArgumentParser(prog="virtual_pi", description=__doc__)
    reader.add_argument("--suite", choices=SUITES, default="trixie", help="default: trixie (Debian 13)")
    reader.add_argument("--deb", type=Path, help="this package; by default it is built now")
    reader.add_argument("--json", type=Path, metavar="FILE", help="also write what was seen as JSON")
    chosen = reader.parse_args()
    with tempfile.TemporaryDirectory(prefix="vouchbox-pi-", dir="/var/tmp") as name:
        log = prove(chosen.suite, chosen.deb, Path(name))
    table = Table("", "what", "seen", title=f"virtual Pi, {chosen.suite}")
    for row in log.rows:
        table.add_row(*row)
    Console(width=110).print(table)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([list(row) for row in log.rows], indent=1) + "\n")


def prove(suite: str, deb: Path | None, folder: Path) -> Log:
    """The whole run; raises AssertionError or SystemExit where something is not as promised."""
    log = Log()
    package = deb or log.timed("package", "built", lambda: _build(suite, folder))
    depends = subprocess.run(
        ["dpkg-deb", "--field", str(package), "Depends"], capture_output=True, text=True, check=True
    ).stdout
    log.note("package", package.name, f"{package.stat().st_size / 1e6:.1f} MB")
    base = _image(log, suite, depends)
    disk, medium = folder / "disk", _medium(package, folder)
    subprocess.run(["cp", "--sparse=always", str(base.disk), str(disk)], check=True)
    with World(folder / "world") as world:
        with Guest(base, disk, (medium,)) as pi:
            _look(log, pi)
            _install(log, pi, package.name)
            _furnish(log, pi, world)
            pi.power_off()
        with Guest(base, disk, namespace=world.box_namespace, counted=True) as pi:
            pi.set_clock()
            log.note("second boot", "until systemd had started all", f"{pi.booted_s:.0f} s")
            _join(log, pi, world)
            _doctor(log, pi)
            _session(log, pi, world, TEST_CAMERA_SOURCE)
            _session(log, pi, world, PERSON)
            pi.power_off()
    return log


def _build(suite: str, folder: Path) -> Path:
    build = ["./scripts/build_deb", "--suite", suite, "--arch", "arm64", "--out", str(folder)]
    done = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.split()[-1])


def _image(log: Log, suite: str, depends: str) -> Image:
    """A Debian with what the package depends on, and without the package."""
    names = tuple(word.split()[0] for word in depends.split(","))
    needed = tuple(name for name in names if name not in ("systemd", "libc6"))
    recipe = Recipe("virtual-pi", suite, "arm64", needed, files=TEST_CAMERA)
    if made(recipe):
        log.note("image", "kept from an earlier run", recipe.key)
        return image(recipe)
    found: Image = log.timed("image", "made", lambda: image(recipe))
    return found


def _medium(package: Path, folder: Path) -> Path:
    """A second disk with the package and nothing else."""
    tree = folder / "medium"
    tree.mkdir()
    shutil.copy(package, tree)
    room = package.stat().st_size * 5 // 4 // (1 << 20) + 16
    file_system(tree, folder / "medium.img", f"{room}M")
    return folder / "medium.img"


def _look(log: Log, pi: Guest) -> None:
    log.note("first boot", "until systemd had started all", f"{pi.booted_s:.0f} s")
    release = pi.read("sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"')
    log.note("machine", "system", f"{release}, Linux {pi.read('uname', '-r')}, {pi.read('uname', '-m')}")
    log.note("machine", "processor", _processor(pi))
    log.note("machine", "qemu", _first_line("qemu-system-aarch64", "--version"))
    log.note("machine", "systemd", pi.read("systemctl", "--version").splitlines()[0])
    camera = pi.read("cat", "/sys/class/video4linux/video0/name")
    log.note("machine", "/dev/video0", camera)
    assert "vivid" in camera, camera
    networks = pi.read("ls", "/sys/class/net").split()
    assert networks == ["lo"], f"there is a network during the installation: {networks}"
    log.note("machine", "network interfaces", "lo alone")


def _processor(pi: Guest) -> str:
    part = re.search(r"CPU part\s*: (\w+)", pi.read("cat", "/proc/cpuinfo"))
    assert part is not None
    # Arm Cortex-A72 Technical Reference Manual, MIDR_EL1: 0xd08.
    assert part[1] == "0xd08", part[1]
    return f"Cortex-A72, {pi.read('nproc')} cores, emulated"


def _install(log: Log, pi: Guest, package: str) -> None:
    pi.run("mkdir", "-p", "/media/package")
    pi.run("mount", "-o", "ro", "/dev/vdb", "/media/package")
    place = f"/media/package/{package}"
    install = ("apt-get", "install", "--yes", "--no-install-recommends", place)
    log.timed("install", "apt install, no network", lambda: pi.run(*install))
    assert pi.read("dpkg", "--verify", "vouchbox") == ""
    log.note("install", "vouchbox", pi.read("dpkg-query", "--show", "--showformat=${Version}", "vouchbox"))
    found = pi.read("/usr/lib/vouchbox/bin/python", "-c", _VERSIONS).split()
    log.note("install", "Python, numpy, OpenCV, LiteRT", ", ".join(found))


def _furnish(log: Log, pi: Guest, world: World) -> None:
    """What an operator does: configuration, keys, certificates, the relying party."""
    _configure(pi, TEST_CAMERA_SOURCE)
    log.timed("install", "vouchbox provision", lambda: pi.run("vouchbox", "provision"))
    tls = world.folder / "tls"
    for name, mode in (("ca.pem", "0644"), ("box.pem", "0644"), ("box.key", "0600")):
        pi.write(f"/etc/vouchbox/tls/{name}", (tls / name).read_text(), mode)
    for party in world.folder.glob("pickup*.toml"):
        pi.write(f"/etc/vouchbox/relying-parties/{party.name}", party.read_text())
    world.know(pi.read("cat", "/etc/vouchbox/keys/box.jwks.json"))
    pi.write("/etc/systemd/network/10-wire.network", NETWORK)
    pi.run("systemctl", "enable", "systemd-networkd.service")


def _configure(pi: Guest, source: str) -> None:
    path = f"/{CONFIGURATION}"
    camera = {"frame-rate": str(FRAME_RATE)} | ({"pace": '"fast"'} if source == PERSON else {})
    more = {"[camera]": camera, "[uplink]": {"keepalive-s": str(KEEPALIVE_S)}}
    pi.write(path, configured(pi.read("cat", path), source, more))


def _join(log: Log, pi: Guest, world: World) -> None:
    """The rooms came up by themselves; a kiosk whose person always accepts comes from us."""

    def up() -> bool:
        connected = "connected to " in pi.journal("vouchbox-uplink.service")
        return connected and "the vision room is ready" in pi.journal("vouchbox-vault.service")

    log.timed("second boot", "and until every room took part", lambda: pi.await_(up, "every room joins", 2.0))
    peers = [line for line in world.log("broker").splitlines() if "New client connected" in line]
    log.note("broker", "mosquitto, TLS with client certificates", f"{len(peers)} clients, the box among them")
    _kiosk(pi)


def _kiosk(pi: Guest) -> None:
    before = pi.journal("vouchbox-vault.service").count("the kiosk is here")
    who = ("-p", "User=vouchbox-kiosk", "-p", "SupplementaryGroups=vouchbox", "-p", "Restart=always")
    options = ("--quiet", "--unit", KIOSK, "--collect", "-p", "RestartSec=1", "-E", "PYTHONUNBUFFERED=1")
    pi.run("systemctl", "stop", f"{KIOSK}.service", check=False)
    pi.run("systemd-run", *options, *who, "vouchbox", "kiosk", "--answer", "accept")
    pi.await_(
        lambda: pi.journal("vouchbox-vault.service").count("the kiosk is here") > before,
        "the kiosk joins",
        2.0,
    )


def _doctor(log: Log, pi: Guest) -> None:
    if pi.run("vouchbox", "doctor", "--help", check=False).returncode:
        log.note("doctor", "vouchbox doctor", "this package has no such command")
        return
    done = log.timed("doctor", "vouchbox doctor", lambda: pi.run("vouchbox", "doctor", check=False))
    for line in (done.stdout + done.stderr).strip().splitlines():
        log.note("doctor", f"ended with {done.returncode}", line.strip())


def _session(log: Log, pi: Guest, world: World, source: str) -> None:
    """One session with this camera; the verdict that the relying party verified."""
    path = f"/{CONFIGURATION}"
    if f'"{source}"' not in pi.read("cat", path):
        _configure(pi, source)
        joined = pi.journal("vouchbox-vault.service").count("the vision room is ready")
        pi.run("systemctl", "restart", "vouchbox-vision.service")
        pi.await_(
            lambda: pi.journal("vouchbox-vault.service").count("the vision room is ready") > joined,
            "vision joins",
            2.0,
        )
    before = len(world.published())
    pi.set_clock()
    began = time.monotonic()
    with world.ask("check", "passive", SESSION_S) as asking:
        verdict = world.answer(asking)
    said = verdict["said"]
    section = f"session, {source}"
    assert verdict["verified"] is True
    log.note(section, "verified verdict", ", ".join((said["outcome"], *said["reasons"])))
    log.note(section, "from asking to verifying", f"{time.monotonic() - began:.0f} s")
    log.note(section, "source in the signed verdict", said["source"]["kind"])
    told = re.findall(r"vouchbox.vision: (\S+ after .* frames)", pi.journal("vouchbox-vision.service"))
    log.note(section, "in the vision room", told[-1] if told else "nothing")
    sent = sum(size for _, size in world.published()[before:])
    log.note(section, "published", f"{sent} bytes")


def _first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


if __name__ == "__main__":
    main()
