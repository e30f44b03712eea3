"""The answers to `vouchbox setup` in a file: the same sections as in vouchbox.toml, and [setup] for the rest.

One file serves many boxes. It is checked whole when it is read and changes nothing. Paths in it are relative
to it. What is secret in it (a TLS key, a token's PIN) is never shown.
"""

from __future__ import annotations

import re
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from vouchbox.cli.setup.configuration_file import Tables, flat
from vouchbox.cli.setup.tls import TlsFiles
from vouchbox.errors import ConfigError

FILE_LIMIT = 64 * 1024
BOOT_PLACES = (Path("/boot/firmware/vouchbox-setup.toml"), Path("/boot/vouchbox-setup.toml"))
"""Where a Raspberry Pi looks by itself: the partition of the SD card that every computer can write."""

SERIAL_NUMBER = Path("/sys/firmware/devicetree/base/serial-number")
SERIAL_DIGITS = 8

Person = Literal["camera", "simulated", "none"]
"""Who stands before the camera in the test session: someone real, the simulated subject, or there is none."""

_SECTIONS = {"box", "camera", "vision", "vault", "uplink", "setup"}
_File = Annotated[str, Meta(min_length=1, max_length=255)]


class _Setup(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    device_from: Literal["serial", "hostname"] | None = None
    relying_parties: Annotated[tuple[_File, ...], Meta(max_length=64)] = ()
    ca: _File | None = None
    certificate: _File | None = None
    key: _File | None = None
    token_pin: Annotated[str, Meta(max_length=128)] = ""
    session: Person = "simulated"


@dataclass(frozen=True, slots=True, repr=False)
class SetupFile:
    """What the file `path` says. `changes` go into vouchbox.toml; `pin` opens the token, else it is empty."""

    path: Path
    changes: Tables
    parties: tuple[Path, ...]
    tls: TlsFiles
    pin: str
    person: Person

    @property
    def secrets(self) -> tuple[Path, ...]:
        """The files that hold a secret: this one if it has a PIN, and the TLS key."""
        own = (self.path,) if self.pin else ()
        return own if self.tls.key is None else (*own, self.tls.key)


def find(places: tuple[Path, ...] = BOOT_PLACES) -> Path | None:
    """The setup file on the boot partition, if there is one."""
    return next((place for place in places if place.is_file()), None)


def read(path: Path) -> SetupFile:
    """The answers in `path`; raises ConfigError that names what is wrong, never a value of [setup]."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "give a readable file") from None
    if len(data) > FILE_LIMIT:
        raise ConfigError(f"{path} is too large", f"keep it under {FILE_LIMIT} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        line = re.search(r"line \d+", str(problem))
        raise ConfigError(f"{path} is no TOML ({line[0] if line else 'not text'})", "correct it") from None
    if unknown := sorted(set(document) - _SECTIONS):
        raise ConfigError(
            f"{path} has an unknown section {unknown[0]!r}", f"use {', '.join(sorted(_SECTIONS))}"
        )
    return _read(path, document)


def device_name(way: Literal["serial", "hostname"], serial: Path = SERIAL_NUMBER) -> str:
    """A name that is this machine's own: `box-` and the end of the board's serial number, or the host's name.

    Raises ConfigError where there is none that a topic can carry.
    """
    if way == "hostname":
        name = socket.gethostname().split(".")[0].lower()
    else:
        try:
            number = serial.read_text().strip("\0\n ").lower()
        except OSError:
            raise ConfigError(
                "this machine has no serial number", "set [box] device in the setup file"
            ) from None
        name = f"box-{number[-SERIAL_DIGITS:]}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}[a-z0-9]", name):
        raise ConfigError(f"the {way} {name!r} is no name for a box", "set [box] device in the setup file")
    return name


def _read(path: Path, document: dict[str, Any]) -> SetupFile:
    try:
        said = msgspec.convert(document.pop("setup", {}), _Setup)
    except msgspec.ValidationError as problem:
        raise ConfigError(f"{path} is wrong in [setup] ({problem})", "correct that key") from None
    for name, section in document.items():
        if not isinstance(section, dict):
            raise ConfigError(f"{path} has {name} as a value", f"write it as a section, [{name}]")
    if said.device_from is not None:
        box = document.setdefault("box", {})
        if "device" in box:
            raise ConfigError(f"{path} has device and device-from", "take one out")
        box["device"] = device_name(said.device_from)
    here = path.parent
    return SetupFile(
        path=path,
        changes=flat(document),
        parties=tuple(here / name for name in said.relying_parties),
        tls=TlsFiles(
            ca=here / said.ca if said.ca else None,
            certificate=here / said.certificate if said.certificate else None,
            key=here / said.key if said.key else None,
        ),
        pin=said.token_pin,
        person=said.session,
    )
