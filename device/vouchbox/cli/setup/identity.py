"""The step `keys`: what `vouchbox provision` does, whole or not at all, and safe to repeat.

The identity is made in a folder of its own and takes its place in one move, so a power cut leaves a whole
identity or none. An identity that is there is kept; a new name of the box renews its public document alone.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vouchbox.cli.setup import lasting
from vouchbox.config import Config
from vouchbox.errors import ConfigError, KeyStoreError
from vouchbox.uplink import certificate_request
from vouchbox.vault import keys, keys_file
from vouchbox.vault.provision import PUBLIC_FILE, create_identity, publish

_PIN_FILES = {keys.PIN_FILE, f"{keys.PIN_FILE}.cred"}


@dataclass(frozen=True, slots=True)
class Identity:
    """The public document of this box, and whether its keys were made just now."""

    document: dict[str, Any]
    made: bool


def there(folder: Path) -> bool:
    """Whether the box has an identity."""
    return (folder / keys.IDENTITY_FILE).exists()


def make(config: Config, pin: str = "") -> Identity:
    """Make the identity of `config`, or keep the one that is there. `pin` opens the token of [vault.token].

    Raises KeyStoreError, or ConfigError where keys would not outlast a restart.
    """
    folder = config.vault.keys
    stage = folder.with_name(f"{folder.name}.part")
    try:
        if not there(folder) and (stage / PUBLIC_FILE).exists():
            _move(stage, folder)  # a power cut came between making and moving
        if there(folder):
            return Identity(_kept(config), made=False)
        require_possible(config, pin)
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700, parents=True)
        _hand_pin(folder, stage, pin)
        document = create_identity(stage, audience=config.box.audience, token=config.vault.token)
        keys_file.sync_folder(stage)
        _move(stage, folder)
    except OSError as problem:
        raise KeyStoreError(f"can't write to {folder} ({problem.strerror})", "run this as root") from None
    except KeyStoreError:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return Identity(document, made=True)


def require_possible(config: Config, pin: str = "") -> None:
    """Raises KeyStoreError or ConfigError when `make` could not make an identity; changes nothing."""
    folder, token = config.vault.keys, config.vault.token
    if there(folder):
        return
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names - _PIN_FILES:
        raise KeyStoreError(f"{folder} holds a part of an identity", "restore the rest, or move it away")
    if token is not None and not pin and keys.PIN_FILE not in names:
        raise KeyStoreError("the token's PIN is missing", f"write it to {folder / keys.PIN_FILE}")
    if pin and token is None:
        raise ConfigError("a PIN is given but no token", "add [vault.token], or take the PIN out")
    lasting.require(folder)


def request_certificate(config: Config) -> Path:
    """Write the request for the uplink's certificate, and make its key if it is missing; returns its path."""
    request = config.uplink.key.with_suffix(".csr")
    certificate_request.write(config.uplink.key, request, f"{config.box.site}/{config.box.device}")
    return request


def _kept(config: Config) -> dict[str, Any]:
    path = config.vault.keys / PUBLIC_FILE
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (FileNotFoundError, msgspec.DecodeError):
        document = {}
    if document.get("audience") != config.box.audience:
        return publish(config.vault.keys, audience=config.box.audience, token=config.vault.token)
    return document


def _hand_pin(folder: Path, stage: Path, pin: str) -> None:
    if not pin and (folder / keys.PIN_FILE).exists():
        pin = keys_file.read_secret(folder / keys.PIN_FILE).decode().strip()
    if pin:
        keys_file.write_new(stage / keys.PIN_FILE, pin.encode(), 0o600)


def _move(stage: Path, folder: Path) -> None:
    # The stage has the PIN too, so the old folder can go once the stage is whole.
    if folder.is_dir():
        (folder / keys.PIN_FILE).unlink(missing_ok=True)
    stage.rename(folder)
    keys_file.sync_folder(folder.parent)
