"""`vouchbox update`: exchange the installed package for a signed newer one, and go back when that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import click

from vouchbox.errors import UpdateError, UsageError
from vouchbox.update import preparing
from vouchbox.update.preparing import Place


@click.command(epilog="Example: vouchbox update --from vouchbox_0.2.0+deb12_arm64.deb")
@click.option("--from", "package", type=click.Path(path_type=Path), metavar="FILE", help="The package.")
@click.option(
    "--signature", type=click.Path(path_type=Path), metavar="FILE", help="Its signature [default: FILE.jws]."
)
@click.option("--recover", is_flag=True, help="End an update that was cut off.")
def update(package: Path | None, signature: Path | None, recover: bool) -> None:
    """Install a newer release that a key pinned on this box has signed; no network is needed.

    Rooms stop, the state is copied, the package is exchanged, the new version tests itself (`vouchbox
    selftest`) and starts the vault. If any of this fails, the package and the state of before come back.
    Without an option: which version runs, and whether an update was cut off.
    """
    if recover and package is not None:
        raise UsageError("--recover and --from exclude one another", "give one of them")
    place = Place()
    preparing.require_root()
    if package is None:
        _become(place, "recover" if recover else "status")
    preparing.lock(place)
    if place.unfinished.exists():
        _become(place, "status")
    wanted = preparing.prepare(package, signature or package.with_name(f"{package.name}.jws"), place)
    click.echo(f"vouchbox: {wanted.version} is signed by a key of this box.", err=True)
    _become(place, "apply")


def _become(place: Place, does: str) -> NoReturn:
    # No child: the script outlives this program's files, and has the last word and the exit code.
    script = place.kept_script if place.kept_script.exists() else place.script
    if not script.exists():
        raise UpdateError(
            "this vouchbox was not installed as a package", "update it the way it was installed"
        )
    os.execv("/bin/sh", ["/bin/sh", str(script), does])  # noqa: S606 - no word of it comes from outside
