"""The box's configuration: one TOML file, checked whole when it is read.

An unknown key, a wrong type or a value out of range refuses to load with a sentence that names the key.
No secret stands here, only paths to secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError

_NAME = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
_User = Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]


class _Section(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    pass


class Box(_Section, frozen=True):
    """Which box this is, and where it may write: `run` for sockets, `state` for the outbox and the log."""

    site: _NAME
    device: _NAME
    run: Path = Path("/run/vouchbox")
    state: Path = Path("/var/lib/vouchbox")

    @property
    def topic(self) -> str:
        """Root of this box's MQTT topics."""
        return f"vouchbox/v1/{self.site}/{self.device}"

    @property
    def audience(self) -> str:
        """What a request must name in `aud`."""
        return f"vouchbox:{self.site}/{self.device}"


class Camera(_Section, frozen=True):
    """`source` is `picamera2`, `webcam:N`, `clip:FILE` or `simulated:SUBJECT`; `pace` real or fast."""

    source: str = "picamera2"
    width: Annotated[int, Meta(ge=160, le=1920)] = 640
    height: Annotated[int, Meta(ge=120, le=1080)] = 480
    frame_rate: Annotated[int, Meta(ge=5, le=60)] = 15
    pace: Literal["real", "fast"] = "real"


class Vision(_Section, frozen=True):
    """`models` is a folder with manifest.toml (none: the one that ships); `runtime` names the interpreter;
    `sysfs` is where the kernel shows temperature and throttling (another folder simulates a hot machine)."""

    models: Path | None = None
    runtime: Literal["auto", "litert", "tflite-runtime"] = "auto"
    threads: Annotated[int, Meta(ge=1, le=4)] = 1
    require_locked_memory: bool = False
    sysfs: Path = Path("/sys")


class Token(_Section, frozen=True):
    """A PKCS#11 token that holds the signing key: its library, its label, and the variables which that
    library reads. The PIN is no setting: it lies in the secret file `token.pin` beside the other keys."""

    module: Path
    label: Annotated[str, Meta(min_length=1, max_length=32)] = "vouchbox"
    environment: dict[Annotated[str, Meta(pattern=r"^(SOFTHSM2|TPM2|TSS2|P11|PKCS11)_[A-Z0-9_]+$")], str] = {}


class Vault(_Section, frozen=True):
    """Where keys and registrations are. `users` maps a room to its Unix user, a name or a number. Over all
    parties, `requests_per_hour` and `failures_per_hour` (no-match, attack-suspected) before a lockout.
    `fleet` is a folder with the public documents of boxes whose receipts this one takes back. `token`, if it
    is there, holds the signing key."""

    keys: Path = Path("/etc/vouchbox/keys")
    token: Token | None = None
    parties: Path = Path("/etc/vouchbox/relying-parties")
    consent_seconds: Annotated[int, Meta(ge=1, le=600)] = 60
    capture_seconds: Annotated[float, Meta(ge=2.0, le=30.0)] = 5.0
    challenge_length: Annotated[int, Meta(ge=1, le=5)] = 3
    requests_per_hour: Annotated[int, Meta(ge=1, le=36_000)] = 600
    failures_per_hour: Annotated[int, Meta(ge=1, le=36_000)] = 120
    users: dict[Literal["vision", "uplink", "kiosk", "counter"], int | _User] = {}
    fleet: Path | None = None


class Uplink(_Section, frozen=True):
    """The MQTT broker and this box's TLS identity."""

    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    ca: Path = Path("/etc/vouchbox/tls/ca.pem")
    certificate: Path = Path("/etc/vouchbox/tls/box.pem")
    key: Path = Path("/etc/vouchbox/tls/box.key")
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30


_Pin = Annotated[int, Meta(ge=2, le=27)]


class Pins(_Section, frozen=True):
    """What hangs on the GPIO header, by BCM number (2 to 27; 0 and 1 belong to add-on boards). Nothing by
    default. One plain LED is `light`; an RGB LED is `red`, `green` and `blue`; `buzzer` is a passive one."""

    button: _Pin | None = None
    decline_button: _Pin | None = None
    light: _Pin | None = None
    red: _Pin | None = None
    green: _Pin | None = None
    blue: _Pin | None = None
    buzzer: _Pin | None = None

    def __post_init__(self) -> None:
        used = [pin for name in self.__struct_fields__ if (pin := getattr(self, name)) is not None]
        if len(used) != len(set(used)):
            raise ValueError("one pin has two uses in `pins`")
        if len({self.red is None, self.green is None, self.blue is None}) != 1:
            raise ValueError("an RGB LED needs `red`, `green` and `blue`")
        if self.light is not None and self.red is not None:
            raise ValueError("`light` and an RGB LED exclude one another")
        if self.decline_button is not None and self.button is None:
            raise ValueError("`decline-button` needs a `button`")

    def with_buttons(self, button: int | None, decline_button: int | None) -> Pins:
        """The same with these buttons where they are given; raises ConfigError when a pin has two uses."""
        try:
            return msgspec.structs.replace(
                self,
                button=self.button if button is None else button,
                decline_button=self.decline_button if decline_button is None else decline_button,
            )
        except ValueError as problem:
            raise ConfigError(f"these pins can't be used together ({problem})", "choose others") from None


class Config(_Section, frozen=True):
    """The whole file. Sections that are left out take their defaults, `box` can't be left out."""

    box: Box
    camera: Camera = Camera()
    vision: Vision = Vision()
    vault: Vault = Vault()
    uplink: Uplink = Uplink()
    pins: Pins = Pins()

    def with_credentials(self, folder: Path) -> Config:
        """The same, but the uplink's TLS key is read from `folder`, where systemd handed it to this unit.

        It keeps its file name there. The vault finds its own credentials by itself (keys_file.find).
        """
        key = folder / self.uplink.key.name
        return msgspec.structs.replace(self, uplink=msgspec.structs.replace(self.uplink, key=key))

    def socket(self, room: Literal["vision", "uplink", "kiosk", "counter"]) -> Path:
        """Where the vault listens for `room`."""
        return self.box.run / f"{room}.sock"


def load(path: Path) -> Config:
    """Read and check `path`; raises ConfigError with the offending key."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "give a readable file") from None
    return parse(data, str(path))


def parse(data: bytes, where: str) -> Config:
    """The configuration that `data` (TOML) describes; `where` is named in the ConfigError it may raise."""
    try:
        return msgspec.toml.decode(data, type=Config, dec_hook=_path)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{where} is wrong ({problem})", "correct that key") from None


def _path(kind: type, value: object) -> object:
    # msgspec knows no Path; it asks here for every type that it does not know.
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("expected a path")
