"""The walls of each unit, one by one: which lines hold it, and what a room gets that stands behind it or not.

`mutant` takes the lines of one wall out of a unit, so that a test can see the probe come through. A wall
whose removal nobody would notice is no wall.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proving_ground.base import ROOT
from proving_ground.container import Container

Answers = dict[str, Any]
UNITS = ROOT / "systemd"
PYTHON = "/usr/bin/python3"
PROBE = "/srv/probe.py"
OUT = "/run/proof"


@dataclass(frozen=True, slots=True)
class Wall:
    """`lines`: what to take out, as `Key` (each such line), `Key=value` (that line), `Key~word` (that word).

    `probe` names the answer, `holds` judges it behind the wall, and must be false without it.
    """

    room: str
    what: str
    lines: tuple[str, ...]
    probe: str
    holds: Callable[[Any], bool]

    @property
    def id(self) -> str:
        """For people."""
        return f"{self.room}: {self.what}"


def _is(*words: str) -> Callable[[Any], bool]:
    return lambda answer: answer in words


def _only_loopback(answer: Any) -> bool:
    return bool(answer == ["lo"])


REFUSED = _is("EACCES", "EPERM", "EROFS", "ENOENT")
"""By permission, by a read-only mount, or not there at all."""


def walls() -> list[Wall]:
    """Every wall that a probe can feel."""
    found = []
    for room in ("vision", "vault", "uplink"):
        add = found.append
        add(Wall(room, "open folders are read-only", ("ProtectSystem",), "write /srv/open", REFUSED))
        add(Wall(room, "homes are closed", ("ProtectHome",), "secret home", REFUSED))
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            line = f"TemporaryFileSystem~{place}:ro"
            # In /tmp and /var/tmp ProtectSystem holds too: the wall falls when both are gone.
            lines = (line,) if place == "/dev/shm" else (line, "ProtectSystem")
            add(Wall(room, f"{place} is closed", lines, f"write {place}", REFUSED))
        add(Wall(room, "memory is never writable and executable", ("MemoryDenyWriteExecute",), "wx", REFUSED))
        add(Wall(room, "no core dump", ("LimitCORE",), "core", _is("0")))
        none = _is("0" * 16)
        add(Wall(room, "no capability to gain", ("CapabilityBoundingSet",), "caps", none))
        add(Wall(room, "no other process in sight", ("ProtectProc",), "other-process", _is("hidden")))
        debug = ("SystemCallFilter",)
        add(Wall(room, "no debugger's call", debug, "ptrace", REFUSED))
        add(Wall(room, "no call that changes priorities", debug, "priority", REFUSED))
        add(Wall(room, "no new namespace", ("RestrictNamespaces", "SystemCallFilter"), "namespace", REFUSED))
        add(Wall(room, "no other personality", ("LockPersonality",), "personality", REFUSED))
        add(Wall(room, "a user of its own", ("User", "StateDirectory"), "user", lambda uid: uid != "0"))
        add(Wall(room, "no bytecode", ("Environment",), "bytecode", _is("1")))
        add(Wall(room, "netlink is not spoken", ("RestrictAddressFamilies",), "netlink", _is("EAFNOSUPPORT")))
        if room != "uplink":
            for family in ("inet", "inet6"):
                lines = ("RestrictAddressFamilies",)
                add(Wall(room, f"no {family} socket", lines, family, _is("EAFNOSUPPORT")))
            add(Wall(room, "no interface but loopback", ("PrivateNetwork",), "interfaces", _only_loopback))
        if room != "vault":
            add(Wall(room, "other users are nobody", ("PrivateUsers",), "users", lambda ids: " 1" in ids))
            add(
                Wall(
                    room,
                    "no call that reads the clock's state",
                    ("SystemCallFilter", "ProtectClock"),
                    "clock",
                    REFUSED,
                )
            )
            add(Wall(room, "files of its own for nobody", ("UMask",), "umask", _is("0o777")))
    cut = (
        (
            "vision",
            "vcio is closed, whatever the group",
            ("InaccessiblePaths~-/dev/vcio", "DevicePolicy", "DeviceAllow"),
            "device vcio",
        ),
        ("vision", "no device but the camera's", ("DevicePolicy", "DeviceAllow"), "device other"),
        ("vault", "no camera", ("PrivateDevices", "DevicePolicy", "ProtectClock"), "device video0"),
        ("uplink", "no camera", ("PrivateDevices", "DevicePolicy", "ProtectClock"), "device video0"),
        ("vision", "no signing key", ("InaccessiblePaths~-/etc/vouchbox/keys",), "secret signing-key"),
        ("vision", "no TLS key", ("InaccessiblePaths~-/etc/vouchbox/tls",), "secret tls-key"),
        (
            "vision",
            "no registration",
            ("InaccessiblePaths~-/etc/vouchbox/relying-parties",),
            "secret registration",
        ),
        ("vision", "no database", ("InaccessiblePaths~-/var/lib/vouchbox",), "secret database"),
        (
            "vision",
            "no other program's run files",
            ("TemporaryFileSystem~/run:ro", "BindReadOnlyPaths"),
            "secret run-file",
        ),
        (
            "vault",
            "no other program's run files",
            ("TemporaryFileSystem~/run:ro", "BindReadOnlyPaths", "BindPaths"),
            "secret run-file",
        ),
        ("uplink", "no signing key", ("InaccessiblePaths~-/etc/vouchbox/keys",), "secret signing-key"),
        (
            "uplink",
            "no registration",
            ("InaccessiblePaths~-/etc/vouchbox/relying-parties",),
            "secret registration",
        ),
        ("uplink", "no database", ("InaccessiblePaths~-/var/lib/vouchbox",), "secret database"),
        (
            "uplink",
            "the TLS key only as a credential",
            ("InaccessiblePaths~-/etc/vouchbox/tls/box.key",),
            "secret tls-key",
        ),
        (
            "vault",
            "keys only as credentials",
            ("InaccessiblePaths~-/etc/vouchbox/keys",),
            "secret signing-key",
        ),
        ("vault", "no TLS key", ("InaccessiblePaths~-/etc/vouchbox/tls",), "secret tls-key"),
        ("uplink", "/dev/mqueue is closed", ("TemporaryFileSystem~/dev/mqueue:ro",), "write /dev/mqueue"),
        ("vision", "/dev/mqueue is closed", ("TemporaryFileSystem~/dev/mqueue:ro",), "write /dev/mqueue"),
        ("vault", "/dev/mqueue is closed", ("TemporaryFileSystem~/dev/mqueue:ro",), "write /dev/mqueue"),
        ("vision", "no D-Bus", ("TemporaryFileSystem~/run:ro", "BindReadOnlyPaths"), "bus"),
        ("vault", "no D-Bus", ("TemporaryFileSystem~/run:ro", "BindReadOnlyPaths", "BindPaths"), "bus"),
        ("uplink", "no D-Bus", ("InaccessiblePaths~-/run/dbus",), "bus"),
        ("uplink", "no lock folder", ("InaccessiblePaths~-/run/lock", "ProtectSystem"), "write /run/lock"),
    )
    found += [Wall(room, what, lines, probe, REFUSED) for room, what, lines, probe in cut]
    found.append(Wall("uplink", "no fact about the machine", ("ProcSubset",), "kernel-facts", _is("hidden")))
    tunables = _is("glibc.malloc.tcache_count=0")
    found.append(Wall("vision", "freed memory is overwritten", ("Environment",), "tunables", tunables))
    vault_keys = ["identity.json", "retired.jwks.json", "seal.key", "signing.jwk", "template.key"]
    found.append(
        Wall("vault", "its own key files", ("LoadCredential",), "own-credentials", lambda a: a == vault_keys)
    )
    found.append(
        Wall("uplink", "its one key", ("LoadCredential",), "own-credentials", lambda a: a == ["box.key"])
    )
    return found


def mutant(room: str, lines: Iterable[str] = (), *, walk: bool = False) -> str:
    """A room's unit with the probe in the room's place, without `lines`. Raises where a line is not there."""
    text = (UNITS / f"vouchbox-{room}.service").read_text()
    for line in lines:
        before = text
        if "~" in line:
            key, word = line.split("~", 1)
            text = re.sub(
                rf"^({key}=.*?) ?(?<=[= ]){re.escape(word)}(?= |$)", r"\1", text, flags=re.MULTILINE
            )
        else:
            pattern = re.escape(line) if "=" in line else rf"{line}=.*"
            text = re.sub(rf"^{pattern}\n", "", text, flags=re.MULTILINE)
        if text == before and line not in _OPTIONAL:
            raise AssertionError(f"the unit of {room} has no {line}")
    for key in (
        "Type",
        "NotifyAccess",
        "ExecStart",
        "Restart",
        "RestartSec",
        "WatchdogSec",
        "WatchdogSignal",
    ):
        text = re.sub(rf"^{key}=.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(Condition\w+|PartOf|Before|After|Documentation)=.*\n", "", text, flags=re.MULTILINE)
    command = f"{PYTHON} {PROBE}{' --walk' if walk else ''}"
    return text.replace(
        "[Service]\n", f"[Service]\nType=oneshot\nExecStart={command}\nStandardOutput=file:{OUT}/%p\n"
    )


_OPTIONAL = ("ProtectClock", "StateDirectory")
"""Lines that only some units have; a wall that names them means: if it is there."""


def probe(box: Container, units: dict[str, str]) -> dict[str, Answers]:
    """Start every unit (name to text) at once and collect what its probe got."""
    box.run("mkdir", "-p", OUT)
    for name, text in units.items():
        box.run("tee", f"/run/systemd/system/{name}.service", text=text)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", *(f"{name}.service" for name in units), check=False)
    found: dict[str, Answers] = {}
    for name in units:
        said = box.run("cat", f"{OUT}/{name}", check=False).stdout
        if not said.strip():
            raise AssertionError(f"{name} said nothing:\n{box.journal(f'{name}.service')}\n{units[name]}")
        found[name] = json.loads(said)
    return found


def place_bait(box: Container) -> None:
    """Make what a room must not reach, open to everyone, so that only the unit's walls stand before it."""
    probe_text = Path(__file__).with_name("probe.py").read_text()
    box.run("tee", PROBE, text=probe_text)
    script = f"""
set -e
mkdir -p /srv/open /home/open /var/lib/vouchbox {OUT}
mkdir -p /etc/vouchbox/keys /etc/vouchbox/tls /etc/vouchbox/relying-parties
for file in /etc/vouchbox/keys/signing.jwk /etc/vouchbox/keys/seal.key /etc/vouchbox/keys/template.key \\
  /etc/vouchbox/keys/identity.json /etc/vouchbox/keys/retired.jwks.json \\
  /etc/vouchbox/tls/box.key /etc/vouchbox/tls/box.pem \\
  /etc/vouchbox/relying-parties/pickup-counter.toml /var/lib/vouchbox/vault.sqlite \\
  /run/other-program /home/open/letter; do
  echo bait > $file; chmod 0644 $file
done
chmod 0777 /srv/open /home/open
ip link add probe0 type veth peer name probe1
chmod 0755 /var/lib/vouchbox /etc/vouchbox/keys /etc/vouchbox/tls
# Numbers without a driver: who may open them gets ENXIO, who may not EPERM or EACCES.
mknod -m 0666 /dev/video0 c 81 0
mknod -m 0666 /dev/vcio c 249 0
mknod -m 0666 /dev/other c 248 0
"""
    box.run("sh", "-c", script)
