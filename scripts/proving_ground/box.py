"""A box in the world: the package installed, provisioned and configured as an operator does, real units."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from proving_ground.base import ROOT, base
from proving_ground.container import Container
from proving_ground.world import DEVICE, PORT, SITE, WORLD_ADDRESS, World

ROOMS = ("vault", "vision", "uplink")
KIOSK = "proof-kiosk"
PACKAGE = "/root/vouchbox.deb"
CONFIGURATION = "etc/vouchbox/vouchbox.toml"
CAPTURE_S = 30
ADDED = ("pace", "frame-rate", "capture-seconds", "keepalive-s")
"""Keys that the shipped configuration leaves out and that boxes here may get."""
PATIENCE = "/run/systemd/system/vouchbox-vision.service.d/patience.conf"


def package(out: Path, version: str = "0.1.0") -> Path:
    """The package for the base system, built now."""
    options = ("--suite", "bookworm", "--arch", "amd64", "--fast", "--version", version, "--out", str(out))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        [sys.executable, "-m", "deb_package", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"the package was not built:\n{done.stdout}{done.stderr}")
    return Path(done.stdout.split()[-1])


def install(deb: Path, folder: Path) -> Path:
    """The layer over the base system in which apt installed `deb`, without a network, while systemd runs."""
    with Container((base(),), folder) as system:
        inside = system.tree / PACKAGE.lstrip("/")
        shutil.copy(deb, inside)
        # A system that is thrown away needs no fsync after each of 3,000 files.
        hasty = ("-o", "Dpkg::Options::=--force-unsafe-io")
        system.run("apt-get", "install", "--yes", "--no-install-recommends", *hasty, PACKAGE)
        inside.unlink()
        system.run("rm", "-rf", "/var/log/journal")
        (system.tree / "etc" / "machine-id").write_text("")
        system.power_off()
    return folder / "upper"


def furnish(box: Container, world: World, source: str) -> None:
    """Give the box its configuration, keys, certificates and its relying party, and start it."""
    configure(box, source)
    box.run("vouchbox", "provision")
    tls, here = box.tree / "etc" / "vouchbox" / "tls", world.folder / "tls"
    tls.mkdir(mode=0o755, exist_ok=True)
    for name in ("ca.pem", "box.pem", "box.key"):
        shutil.copyfile(here / name, tls / name)
    (tls / "box.key").chmod(0o600)
    for party in world.folder.glob("pickup*.toml"):
        shutil.copy(party, box.tree / "etc" / "vouchbox" / "relying-parties" / party.name)
    world.know(box.read("cat", "/etc/vouchbox/keys/box.jwks.json"))
    watch(box, patiently=True)
    start(box)


def configure(box: Container, source: str) -> bool:
    """Point the shipped configuration at this camera and this world; whether that changed it.

    Half a minute of a clip is taken, so that its session has a middle.
    """
    path = box.tree / CONFIGURATION
    before = path.read_text()
    vault = {"capture-seconds": str(CAPTURE_S)} if source.startswith("clip:") else {}
    text = configured(before, source, {"[camera]": {"pace": '"fast"'}, "[vault]": vault})
    path.write_text(text)
    return text != before


def configured(text: str, source: str, more: dict[str, dict[str, str]]) -> str:
    """The shipped configuration `text` with this camera, this world's names, and `more` (section, key,
    value).

    Keys of `more` that stand there from an earlier call go, so that one system can see many cameras. With
    pace `fast`, frames come as fast as they are judged, and no session depends on how busy the machine is.
    """
    known = {
        "site": f'"{SITE}"',
        "device": f'"{DEVICE}"',
        "source": f'"{source}"',
        "host": f'"{WORLD_ADDRESS}"',
        "port": str(PORT),
    }
    lines: list[str] = []
    for line in text.splitlines():
        key = line.split("=")[0].strip()
        if key not in ADDED:
            lines.append(f"{key} = {known[key]}" if key in known else line)
        lines += [f"{name} = {value}" for name, value in more.get(line, {}).items()]
    return "\n".join(lines) + "\n"


def watch(box: Container, *, patiently: bool) -> None:
    """Let the watchdog wait as the unit says or, where it is not the matter, as long as may be."""
    if patiently:
        box.run("mkdir", "-p", str(Path(PATIENCE).parent))
        box.run("tee", PATIENCE, text="[Service]\nWatchdogSec=600\n")
    else:
        box.run("rm", PATIENCE)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "try-restart", "vouchbox-vision.service")


def start(box: Container) -> None:
    """Start every room, and a kiosk whose person always accepts; returns when all have joined."""
    box.run("systemctl", "reset-failed")
    box.run("systemctl", "stop", f"{KIOSK}.service", check=False)
    before = {room: joined(box, room) for room in ("vision", "uplink", "kiosk")}
    box.run("systemctl", "restart", "vouchbox.target")
    who = ("-p", "User=vouchbox-kiosk", "-p", "SupplementaryGroups=vouchbox", "-p", "Restart=always")
    options = ("--quiet", "--unit", KIOSK, "--collect", "-p", "RestartSec=0.2", "-E", "PYTHONUNBUFFERED=1")
    box.run("systemd-run", *options, *who, "vouchbox", "kiosk", "--answer", "accept")
    box.await_(lambda: all(joined(box, room) > before[room] for room in before), "every room joins")


def joined(box: Container, room: str) -> int:
    """How often a room has joined the others, by what the journal says."""
    signs = {
        "vision": ("vault", "the vision room is ready"),
        "kiosk": ("vault", "the kiosk is here"),
        "uplink": ("uplink", "connected to "),
    }
    unit, sign = signs[room]
    return box.journal(f"vouchbox-{unit}.service").count(sign)
