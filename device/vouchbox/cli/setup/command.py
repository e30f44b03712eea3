"""`vouchbox setup`: camera, keys, first relying party, broker, configuration and a test session at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.cli.setup import identity, interview, setup_file, steps, unattended
from vouchbox.errors import UsageError


@click.command(
    epilog="Examples: vouchbox setup | vouchbox setup --from shop.toml | vouchbox setup --step broker"
)
@config_option("The box's configuration, which is written.")
@click.option("--from", "source", type=click.Path(path_type=Path), help="Take the answers from this file.")
@click.option(
    "--step",
    "chosen",
    type=click.Choice(interview.STEPS),
    multiple=True,
    help="Only this step, again; may be repeated.",
)
@click.option("--no-start", is_flag=True, help="Leave the rooms as they are at the end.")
def setup(path: Path, source: Path | None, chosen: tuple[str, ...], no_start: bool) -> None:
    """Make a box of an installed package: check the camera, make the keys, register the first relying party,
    reach the broker, write the configuration, and hold a test session.

    Asks at a terminal. With a file it asks nothing; on a Raspberry Pi the file may lie on the boot partition,
    as vouchbox-setup.toml, and is put aside after use (wiped, if it held a secret). Safe to repeat: what is
    there is kept.
    """
    os.umask(0o022)  # the rooms must be able to read what is not secret; secrets get modes of their own
    if source is not None and chosen:
        raise UsageError("--from and --step exclude one another", "give one of them")
    at_terminal, start = sys.stdin.isatty(), not no_start
    found = None if source is not None or chosen else setup_file.find()
    if found is not None and at_terminal and not click.confirm(f"Use the answers in {found}?", default=True):
        found = None
    if found is not None and not at_terminal:
        _require_first(path, found)
    if source is not None:
        report = unattended.run(path, source, put_aside=False, start=start)
    elif found is not None:
        report = unattended.run(path, found, put_aside=True, start=start)
    elif at_terminal:
        report = interview.run(path, chosen, start=start)
    else:
        raise UsageError("setup asks at a terminal, and there is none", "give --from FILE")
    sys.exit(1 if report.failed else 0)


def _require_first(path: Path, found: Path) -> None:
    # Whoever can put a file on the boot partition shall not change a box that works.
    if identity.there(configuration.load(path).vault.keys) and not (path.parent / steps.UNDER_WAY).exists():
        raise UsageError(
            f"this box is set up already, so {found} is not used",
            f"run `vouchbox setup --from {found}` if meant",
        )
