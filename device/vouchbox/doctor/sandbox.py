"""Are the rooms' walls in force on this machine? A probe stands behind each unit's own lines and tries.

systemd-run starts the probe with every setting of the unit that makes a wall, drop-ins included, as a
passing unit of its own; the room goes on undisturbed. What the kernel says about the running room is compared
with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vouchbox.config import Config
from vouchbox.doctor import camera, unit_file
from vouchbox.doctor.finding import Finding, fault, not_checked
from vouchbox.doctor.machine import Machine, present
from vouchbox.doctor.units import Unit, systemctl
from vouchbox.doctor.walls import ROOMS, Limits, Standing, judge
from vouchbox.vault.store import FILE

SECONDS = 60
PROBE = Path(__file__).with_name("probe.py")
CREDENTIALS = Path("/run/credentials")

_OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/var/lib")  # noqa: S108 - places to be refused at
_CAMERAS = ("video*", "media*", "v4l-subdev*", "dma_heap/*")
_FIRMWARE = ("vcio", "vcio_gencmd", "vchiq", "mem", "gpiomem")


def limits(room: str, config: Config, machine: Machine) -> Limits:
    """What must be closed to `room`, of what there is on this machine."""
    vault, tls = config.vault, config.uplink.key
    secrets = {
        "keys": _files(vault.keys, "*"),
        "parties": _files(vault.parties, "*.toml"),
        "database": _files(config.box.state, FILE),
        "tls": _files(tls.parent, f"{tls.name}*"),
        "vault-credentials": _files(CREDENTIALS / "vouchbox-vault.service", "*"),
        "uplink-credentials": _files(CREDENTIALS / "vouchbox-uplink.service", "*"),
    }
    cameras = tuple(path for pattern in _CAMERAS for path in _files(machine.dev, pattern))
    places: tuple[str, ...]
    match room:
        case "vision":
            closed = tuple(path for paths in secrets.values() for path in paths)
            places = (*_OPEN_TO_ALL, str(config.box.state), str(config.box.run))
            firmware = tuple(path for name in _FIRMWARE for path in _files(machine.dev, name))
            needs = tuple(str(node) for node in camera.nodes(config.camera, machine) if present(node))
            return Limits(write=_there(places), secret=closed, device=firmware, needs=needs)
        case "vault":
            closed = (*secrets["keys"], *secrets["tls"], *secrets["uplink-credentials"])
            return Limits(write=_OPEN_TO_ALL, secret=closed, device=cameras)
        case _:
            shut = ("keys", "parties", "database", "tls", "vault-credentials")
            closed = tuple(path for name in shut for path in secrets[name])
            places = (*_OPEN_TO_ALL, str(config.box.state))
            return Limits(write=_there(places), secret=closed, device=cameras, network=True)


def check(config: Config, machine: Machine, units: dict[str, Unit]) -> Iterator[Finding]:
    """Each room in turn. Where nothing can be felt it says so, and is not ok."""
    for room in ROOMS:
        name = f"sandbox-{room}"
        if not machine.booted:
            yield not_checked(
                name, "systemd does not run this machine, so there are no walls of units to feel"
            )
        elif not units[room].installed:
            yield not_checked(name, f"there is no unit vouchbox-{room}.service here", "install the package")
        elif not machine.root:
            yield not_checked(name, "only root may stand in a room's place", "run this as root")
        elif units[room].stale:
            yield fault(
                name,
                f"systemd does not know the latest vouchbox-{room}.service yet",
                "run `systemctl daemon-reload` and `systemctl restart vouchbox.target`",
            )
        else:
            yield from feel(room, limits(room, config, machine), machine, units[room])


def feel(room: str, limits: Limits, machine: Machine, unit: Unit) -> Iterator[Finding]:
    """Put the probe behind the walls of `room`."""
    lines = unit_file.walls(systemctl("cat", f"vouchbox-{room}.service"))
    command = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit=vouchbox-doctor-{room}"]
    command += [f"--property={key}={value}" for key, value in [*lines, ("RuntimeMaxSec", str(SECONDS))]]
    command += ["--", sys.executable, "-I", "-S", str(PROBE), json.dumps(limits.question)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
        answers: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired):
        yield not_checked(f"sandbox-{room}", "systemd-run gave no answer", "try again")
        return
    except json.JSONDecodeError:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1][:200]
        yield not_checked(
            f"sandbox-{room}", f"nothing could be started behind the walls of {room} ({said})", ""
        )
        return
    yield from judge(room, limits, answers, _running(machine, unit))


def _running(machine: Machine, unit: Unit) -> Standing | None:
    if not unit.main_pid:
        return None
    process = machine.proc / str(unit.main_pid)
    try:
        lines = (process / "status").read_text().splitlines()
        own, outer = (process / "ns" / "net").readlink(), (machine.proc / "1" / "ns" / "net").readlink()
    except OSError:
        return None
    status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Standing(status, own != outer)


def _files(folder: Path, pattern: str) -> tuple[str, ...]:
    return tuple(sorted(str(path) for path in folder.glob(pattern)))


def _there(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path for path in paths if present(Path(path)))
