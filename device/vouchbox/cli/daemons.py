"""The commands that run one room each: what systemd starts, and the simulator too.

Each imports its room inside the command, so a room's process holds only that room's code.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from vouchbox import config as configuration
from vouchbox.cli.log_limit import log_to_stderr
from vouchbox.cli.options import config_option
from vouchbox.errors import UsageError
from vouchbox.notify import Notifier

_config = config_option()


@click.command(epilog="Example: vouchbox vault --config /etc/vouchbox/vouchbox.toml")
@_config
def vault(path: Path) -> None:
    """Run the vault: keys, requests, consent, verdicts. Start it first; the other rooms connect to it."""
    from vouchbox.vault import daemon

    log_to_stderr()
    daemon.run(configuration.load(path), notifier=Notifier.of(os.environ))


@click.command(epilog="Example: vouchbox vision --config /etc/vouchbox/vouchbox.toml")
@_config
def vision(path: Path) -> None:
    """Run the vision room: camera, models, liveness tests. It opens no network socket, writes no file."""
    from vouchbox.camera.opening import open_source
    from vouchbox.vision import daemon

    log_to_stderr()
    config, notifier = configuration.load(path), Notifier.of(os.environ)
    if config.camera.source.startswith("simulated:"):
        from vouchbox.simulator.subject.source import simulated

        subject = simulated(config.camera.source.removeprefix("simulated:"), config.camera)
        daemon.run(config, lambda: subject, notifier=notifier)
    else:
        daemon.run(config, lambda: open_source(config.camera), notifier=notifier)


@click.command(epilog="Example: vouchbox uplink --config /etc/vouchbox/vouchbox.toml")
@_config
def uplink(path: Path) -> None:
    """Run the uplink: signed and sealed bytes to the MQTT broker, requests back."""
    from vouchbox.uplink import daemon

    log_to_stderr()
    config, handed = configuration.load(path), os.environ.get("CREDENTIALS_DIRECTORY")
    if handed:  # by systemd, to this unit alone
        config = config.with_credentials(Path(handed))
    daemon.run(config, notifier=Notifier.of(os.environ))


@click.command(epilog="Example: vouchbox kiosk --config /etc/vouchbox/vouchbox.toml")
@_config
@click.option(
    "--answer",
    type=click.Choice(["ask", "accept", "decline"]),
    default="ask",
    show_default=True,
    help="Ask the person at this terminal, or answer for a simulated person.",
)
@click.option(
    "--button",
    type=click.IntRange(2, 27),
    metavar="GPIO",
    help="Take the answer from a push button (BCM number): short is yes, long is no.",
)
@click.option("--decline-button", type=click.IntRange(2, 27), metavar="GPIO", help="A second button, for no.")
def kiosk(path: Path, answer: str, button: int | None, decline_button: int | None) -> None:
    """Show the notice, take the person's answer, show prompts and result, in a terminal.

    Button, light and buzzer may also stand in the configuration, under [pins].
    """
    from vouchbox.kiosk import terminal

    config = configuration.load(path)
    if button is None and config.pins.button is None and decline_button is not None:
        raise UsageError("a button for no needs one for yes", "add --button")
    pins = config.pins.with_buttons(button, decline_button)
    config = msgspec.structs.replace(config, pins=pins)
    if button is not None or (answer == "ask" and pins.button is not None):
        from vouchbox.kiosk import button as push_button

        push_button.run(config)
        return

    answers = {"ask": terminal.ask_person, "accept": terminal.accept, "decline": terminal.decline}
    terminal.run(config, answers[answer])
