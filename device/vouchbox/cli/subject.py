"""`vouchbox subject export`: everything that is held about a session, for the person with its receipt."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.cli.receipt import code_argument, presented
from vouchbox.errors import CodeRefused
from vouchbox.vault import subject_export
from vouchbox.vault.store import Store


@click.group(epilog="Example: vouchbox subject export - --config /etc/vouchbox/vouchbox.toml < code.txt")
def subject() -> None:
    """What a person may ask for: everything that is held."""


@subject.command(epilog="Example: vouchbox subject export - --config /etc/vouchbox/vouchbox.toml < code.txt")
@code_argument
@config_option()
def export(code: tuple[str, ...], path: Path) -> None:
    """Print everything this box holds about the session whose receipt has CODE, as one JSON document.

    The relying party's side is printed by its own command, which the document names.
    """
    named = presented(code)
    store = Store(configuration.load(path).box.state, read_only=True)
    try:
        document = subject_export.held(store, named.receipt)
    finally:
        store.close()
    record, withdrawn = document["record"], document["withdrawal"]
    if record is None and withdrawn is None:
        raise CodeRefused(
            "unknown", "no receipt of this box has that code", "go to the box that gave the receipt"
        )
    verdict = record["verdict"]["jti"] if record else withdrawn["verdict"]
    told = record["processing"] if record else {}
    document["at_the_relying_party"] = {
        "party": told.get("pii_controller_id") or withdrawn["party"],
        "contact": told.get("pii_controller_contact"),
        "command": f"vouchbox relying-party export --verdict {verdict}",
    }
    click.echo(json.dumps(document, indent=2))
