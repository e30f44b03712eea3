"""`vouchbox selftest`: is this installation fit to serve? What a new version answers before it takes over."""

from __future__ import annotations

from pathlib import Path

import click

from vouchbox import config as configuration
from vouchbox.cli.options import config_option


@click.command(epilog="Example: vouchbox selftest")
@config_option()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="A COPY of the box's state folder: open it and bring it up to date.",
)
def selftest(path: Path, state: Path | None) -> None:
    """Read the settings, load every model, and run one simulated session from request to verified verdict.

    It needs no camera, no network and no keys, and disturbs no session of the box. Exit code 0: fit;
    otherwise the sentence says what is not.
    """
    from vouchbox.simulator.selftest import run

    config = configuration.load(path)
    click.echo("the configuration can be read")
    run(config, state, click.echo)
    click.echo("This installation is fit to serve.")
