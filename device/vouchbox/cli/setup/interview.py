"""Setup at a terminal: asks, tries each answer at once, and says in one sentence what is wrong.

What is there already is the default answer, so a setup that was interrupted goes on with a few times Enter. A
step writes only what was tried or what the person insists on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from vouchbox import config as configuration
from vouchbox.cli.setup import configuration_file, identity, parties, steps, tls
from vouchbox.cli.setup.configuration_file import Draft, Scalar
from vouchbox.cli.setup.report import Report, State
from vouchbox.cli.setup.setup_file import Person, device_name
from vouchbox.cli.setup.tls import TlsFiles
from vouchbox.config import Config
from vouchbox.errors import ConfigError, VouchboxError
from vouchbox.vault import keys

STEPS = ("camera", "keys", "party", "broker", "session")


def run(path: Path, chosen: tuple[str, ...] = (), *, start: bool = True) -> Report:
    """Ask through the steps `chosen` (none: all) for the box whose configuration is `path`."""
    report = Report()
    wanted = chosen or STEPS
    document: dict[str, Any] = {}
    for step, deed in (("camera", _camera), ("keys", _keys), ("party", _party), ("broker", _broker)):
        if step in wanted:
            _repeat(report, step, lambda deed=deed: deed(report, path))  # type: ignore[misc]
    config = configuration.load(path)
    if "session" in wanted and not report.failed:
        document = identity.make(config).document
        _repeat(report, "test session", lambda: _session(report, config, document))
    if start and not report.failed:
        _repeat(report, "rooms", lambda: steps.start_rooms(report))
    if not report.failed and not chosen:
        steps.end(path)
    report.summary(config.box.audience)
    return report


def _repeat(report: Report, step: str, deed: Callable[[], None]) -> None:
    while True:
        try:
            return deed()
        except VouchboxError as problem:
            click.echo(f"{step}: {problem}")
            if not click.confirm("Try this step again?", default=True):
                return report.say(step, State.FAILED, str(problem))


def _camera(report: Report, path: Path) -> None:
    now = _present(path)
    known = now.box.site if now is not None and now.box.site != steps.UNNAMED else None
    device = now.box.device if known and now is not None else _own_name()
    click.echo("Names are small letters, digits and hyphens; they stand in topics and in each verdict.")
    site = click.prompt("Site, where the box stands", default=known)
    device = click.prompt("Device, which box it is there", default=device)
    source = click.prompt(
        "Camera: picamera2, webcam:N, clip:FILE or simulated:SUBJECT",
        default=now.camera.source if now is not None else "picamera2",
    )
    made = configuration_file.draft(
        path, {("box",): {"site": site, "device": device}, ("camera",): {"source": source}}
    )
    steps.require_name(made.config)
    steps.try_camera(report, made.config)
    _write(report, path, made)


def _keys(report: Report, path: Path) -> None:
    config = configuration.load(path)
    steps.require_name(config)
    pin = ""
    folder = config.vault.keys
    if config.vault.token and not identity.there(folder) and not (folder / keys.PIN_FILE).exists():
        pin = click.prompt(f"PIN of the token {config.vault.token.label}", hide_input=True)
    steps.begin(path)
    steps.make_keys(report, config, pin)


def _party(report: Report, path: Path) -> None:
    config = configuration.load(path)
    for party in parties.known(config.vault.parties):
        click.echo(f"{party.id} ({party.name}) may ask this box.")
    files: tuple[Path, ...] = ()
    while name := click.prompt(
        "Registration of a relying party, a file (Enter: no more)", default="", show_default=False
    ):
        try:
            parties.check(config.vault.parties, (*files, Path(name)))
        except VouchboxError as problem:
            click.echo(str(problem))
            continue
        files += (Path(name),)
    steps.register(report, config, files)


def _broker(report: Report, path: Path) -> None:
    config = configuration.load(path)
    steps.require_name(config)
    changes: dict[str, Scalar] = {
        "host": click.prompt("Broker, a name or an address", default=config.uplink.host),
        "port": click.prompt("Its port for TLS", default=config.uplink.port, type=int),
    }
    made = configuration_file.draft(path, {("uplink",): changes})
    given = _tls_files(made.config)
    ready = tls.check(made.config, given)
    if ready is not None:
        steps.try_broker(report, ready)
    _write(report, path, made)
    steps.put_tls(made.config, given)
    if ready is None:
        steps.try_broker(report, made.config)


def _tls_files(config: Config) -> TlsFiles:
    uplink = config.uplink
    if uplink.certificate.exists() and uplink.ca.exists():
        click.echo(f"The certificate in {uplink.certificate} is used.")
        if not click.confirm("Put another in its place?", default=False):
            return TlsFiles()
    click.echo("Files from the authority of your broker (PEM). Without a certificate the box asks for one.")
    ca = _file("CA of the broker (Enter: not yet)")
    certificate = _file("Certificate of this box (Enter: not yet)")
    key = _file("Its key (Enter: the box's own)") if certificate is not None else None
    return TlsFiles(ca, certificate, key)


def _session(report: Report, config: Config, document: dict[str, Any]) -> None:
    click.echo("A test session: camera, models, keys and verdict together. Nothing is kept, nothing is sent.")
    choices: tuple[Person, ...] = get_args(Person)
    person: Person = click.prompt(
        "Who stands before the camera", type=click.Choice(choices), default="camera"
    )
    steps.try_session(report, config, person, document)


def _write(report: Report, path: Path, made: Draft) -> None:
    if made.text != made.before:
        for line in made.differences:
            click.echo(f"  {line}")
        if not click.confirm(f"Write this to {path}?", default=True):
            raise ConfigError(f"{path} was not changed", "answer again")
        steps.begin(path)
    steps.configure(report, made)


def _present(path: Path) -> Config | None:
    return configuration.load(path) if path.exists() else None


def _own_name() -> str | None:
    with contextlib.suppress(VouchboxError):
        return device_name("serial")
    with contextlib.suppress(VouchboxError):
        return device_name("hostname")
    return None


def _file(question: str) -> Path | None:
    name = click.prompt(question, default="", show_default=False)
    return Path(name) if name else None
