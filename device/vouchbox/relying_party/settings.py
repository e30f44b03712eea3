"""The relying party's configuration: one TOML file, checked whole; relative paths start at its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError
from vouchbox.relying_party.formats import NAME


class _Section(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    pass


class Party(_Section, frozen=True):
    """Who asks. `keys` is the folder of `keygen`, `boxes` a folder of box documents (*.json)."""

    id: Annotated[str, Meta(pattern=NAME)]
    keys: Path = Path("keys")
    boxes: Path = Path("boxes")
    ledger: Path = Path("ledger.sqlite")


class Broker(_Section, frozen=True):
    """The MQTT broker; TLS 1.3 always."""

    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    ca: Path = Path("tls/ca.pem")
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30


class Reader(_Section, frozen=True):
    """A client certificate, and `share`: the name of a shared subscription when several replicas run.

    `replica` tells those replicas apart; the broker queues for each by that name.
    """

    certificate: Path
    key: Path
    share: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,32}$")] = ""
    replica: Annotated[str, Meta(pattern=NAME)] = "1"


class Settings(_Section, frozen=True):
    """The whole file. `verdicts` asks, reads verdicts and acknowledges; `templates` is the enrolment service,
    which has a certificate of its own, for nobody else may read templates."""

    party: Party
    verdicts: Reader
    templates: Reader | None = None
    broker: Broker = Broker()


def load(path: Path) -> Settings:
    """Read and check `path`; raises ConfigError with the offending key."""
    base = path.parent

    def _path(kind: type, value: object) -> object:
        if kind is Path and isinstance(value, str) and value:
            return base / value
        raise ValueError("expected a path")

    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings, dec_hook=_path)
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "give a readable file") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is wrong ({problem})", "correct that key") from None
    return _based(settings, base)


def _based(settings: Settings, base: Path) -> Settings:
    # Defaults did not pass through the hook; joining an absolute path changes nothing.
    party, broker = settings.party, settings.broker
    return msgspec.structs.replace(
        settings,
        party=msgspec.structs.replace(
            party, keys=base / party.keys, boxes=base / party.boxes, ledger=base / party.ledger
        ),
        broker=msgspec.structs.replace(broker, ca=base / broker.ca),
    )
