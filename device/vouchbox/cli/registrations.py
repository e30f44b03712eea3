"""`vouchbox relying-party add`, `show` and `lint`: the box operator's side of a relying party.

They read and write the box's folder of registrations and need no key. Nothing here talks to anyone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.errors import ConfigError, UsageError
from vouchbox.kiosk.screen import notice_lines
from vouchbox.messages import Action, ConsentAsked
from vouchbox.vault import notice, registration, registry
from vouchbox.vault.registry import Party

_box = config_option("The box's configuration; [vault] parties names the folder.")
_files = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.command(epilog="Example: vouchbox relying-party add pickup.toml --config /etc/vouchbox/vouchbox.toml")
@click.argument("file", type=click.Path(path_type=Path))
@_box
@click.option("--replace", is_flag=True, help="Change a registration that is there already.")
def add(file: Path, path: Path, replace: bool) -> None:
    """Check the registration in FILE and put it into this box's folder; restart the vault to use it."""
    party = registration.add(configuration.load(path).vault.parties, file, replace=replace)
    click.echo(f"Registered {party.id} ({party.name}) for {', '.join(party.notices)}.")


@click.command(epilog="Example: vouchbox relying-party lint pickup.toml")
@_files
def lint(files: tuple[Path, ...]) -> None:
    """Say what is wrong with each registration in FILES; exit code 1 when one would not load."""
    wrong = 0
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as problem:
            raise UsageError(f"can't read {file} ({problem.strerror})", "give a readable file") from None
        try:
            party = registry.parse(data, str(file))
        except ConfigError as problem:
            click.echo(str(problem), err=True)
            wrong += 1
            continue
        click.echo(f"{file}: {party.id} is complete.")
    sys.exit(1 if wrong else 0)


@click.command(epilog="Example: vouchbox relying-party show pickup")
@click.argument("party", default="")
@_box
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(party: str, path: Path, as_json: bool) -> None:
    """Show what PARTY is registered for and what a person is told; without PARTY, all of them in short."""
    known = registry.load(configuration.load(path).vault.parties)
    if party and party not in known:
        raise UsageError(f"{party} is not registered here", "run `vouchbox relying-party show`")
    chosen = [known[party]] if party else list(known.values())
    if as_json:
        click.echo(json.dumps([_document(one) for one in chosen], ensure_ascii=False))
        return
    for one in chosen:
        click.echo(f"{one.id}: {one.name}; {', '.join(one.notices)}; {', '.join(sorted(one.actions))}")
        if party:
            _tell(one)


def _tell(party: Party) -> None:
    click.echo(f"  agree by {', '.join(sorted(party.consent))}; level {party.minimum_level} or better")
    click.echo(
        f"  an hour: {party.requests_per_hour} requests, {party.match_attempts_per_hour} comparisons with one"
        f" template, {party.failures_per_hour} failures"
    )
    action = Action.ENROLL if Action.ENROLL in party.actions else min(party.actions)
    for purpose, told in party.notices.items():
        asked = ConsentAsked(
            session="-" * 16,
            party=party.name,
            purpose=purpose,
            action=action,
            level=party.minimum_level,
            notice=told,
            seconds=1,
        )
        click.echo(f"\n  {purpose}, notice {notice.digest(told)}")
        for label, text in notice_lines(asked):
            click.echo(f"    {label + ':':22s}{text}")


def _document(party: Party) -> dict[str, Any]:
    return {
        "id": party.id,
        "name": party.name,
        "actions": sorted(party.actions),
        "consent": sorted(party.consent),
        "minimum_level": party.minimum_level.value,
        "retention_days": party.retention_days,
        "requests_per_hour": party.requests_per_hour,
        "match_attempts_per_hour": party.match_attempts_per_hour,
        "failures_per_hour": party.failures_per_hour,
        "fmr": party.fmr,
        "epoch": party.epoch,
        "keys": sorted(party.keys),
        "consent_keys": sorted(party.consent_keys),
        "notices": {
            purpose: {"sha256": notice.digest(told), **msgspec.to_builtins(told)}
            for purpose, told in party.notices.items()
        },
    }
