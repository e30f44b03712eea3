"""Every check in order, one family after the other. Reads the box and changes nothing on it.

Findings come one by one, so that a person sees them as they are made. A family that fails in a way nobody
foresaw is a fault of its own and does not end the round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import SubprocessError

from msgspec import MsgspecError

from vouchbox.config import Config
from vouchbox.doctor import (
    broker,
    camera,
    clock,
    configuration,
    disk,
    keys,
    memory,
    models,
    registrations,
    sandbox,
    system_packages,
    units,
)
from vouchbox.doctor.finding import Finding, Result, fault, not_checked
from vouchbox.doctor.machine import Account, Machine
from vouchbox.doctor.units import Unit

NOBODY = 0xFFFF_FFFE
"""A user id that no file belongs to, for a room whose user this machine does not know."""


@dataclass(frozen=True, slots=True)
class Round:
    """What every family gets."""

    config: Config
    path: Path
    machine: Machine
    units: dict[str, Unit]

    def account(self, room: str) -> Account:
        """The user of `room`; the vault's is not in [vault.users], for its unit names it. Without a name
        it is whoever runs this."""
        users = self.config.vault.users
        try:
            if room != "vault":
                return self.machine.account(room, users.get(room))  # type: ignore[call-overload]
            return self.machine.account(room, self.units["vault"].said.get("User") or None)
        except KeyError:
            return Account("the room's user", NOBODY, NOBODY, frozenset())


Family = Callable[[Round], Iterator[Finding]]


def _models(asked: Round) -> Iterator[Finding]:
    digests = list(models.digests(asked.config))
    yield from digests
    vision = asked.account("vision")
    sound = all(each.result is Result.OK for each in digests)
    yield from models.inference(asked.config, sound, vision if asked.machine.root and vision.uid else None)


def _camera(asked: Round) -> Iterator[Finding]:
    vision = asked.account("vision")
    found = list(system_packages.check(asked.config))
    found += camera.devices(asked.config, asked.machine, vision)
    yield from found
    sound = all(each.result is not Result.FAULT for each in found)
    yield from camera.frames(asked.config, asked.machine, vision, sound)


def _keys(asked: Round) -> Iterator[Finding]:
    yield from keys.check(asked.config, asked.machine, asked.account("vault"))
    yield from keys.tls_key(asked.config, asked.account("uplink"))


def _disk(asked: Round) -> Iterator[Finding]:
    vault = asked.account("vault")
    yield from disk.check(asked.config, vault)
    yield from disk.sockets(asked.config, vault)


def _memory(asked: Round) -> Iterator[Finding]:
    barred = {
        room: asked.units[room].barred_from_swap for room in ("vision", "vault") if asked.units[room].main_pid
    }
    return memory.check(asked.machine, barred)


FAMILIES: dict[str, Family] = {
    "configuration": lambda asked: configuration.check(
        asked.config, asked.path, asked.machine, any(unit.installed for unit in asked.units.values())
    ),
    "camera": _camera,
    "models": _models,
    "keys": _keys,
    "clock": lambda asked: clock.check(asked.config, asked.machine),
    "memory": _memory,
    "disk": _disk,
    "relying-parties": lambda asked: registrations.check(asked.config, asked.account("vault")),
    "broker": lambda asked: broker.check(asked.config, asked.account("uplink")),
    "units": lambda asked: units.check(asked.machine, asked.units),
    "sandbox": lambda asked: sandbox.check(asked.config, asked.machine, asked.units),
}
"""Name (for `--only`) to what it looks at, in order."""


def examine(
    path: Path,
    machine: Machine | None = None,
    only: tuple[str, ...] = (),
    begin: Callable[[str], None] = lambda _: None,
) -> Iterator[Finding]:
    """All findings about the box whose configuration is at `path`, of the families `only` or of all.

    `begin` hears the name of each family before it starts.
    """
    machine = machine or Machine()
    chosen = [name for name in FAMILIES if not only or name in only]
    begin("configuration")
    config, finding = configuration.read(path)
    yield finding
    if config is None:
        for name in chosen:
            if name != "configuration":
                yield not_checked(name, "the configuration can't be read", "put that right first")
        return
    known = units.read(machine)
    machine = replace(machine, groups={room: unit.groups for room, unit in known.items()})
    asked = Round(config, path, machine, known)
    for name in chosen:
        begin(name)
        try:
            yield from FAMILIES[name](asked)
        except (OSError, ValueError, LookupError, TypeError, SubprocessError, MsgspecError) as problem:
            yield fault(
                name,
                f"the check itself failed ({type(problem).__name__})",
                "report this as a defect of the doctor",
            )
