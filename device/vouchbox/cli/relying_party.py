"""`vouchbox relying-party`: keys, the receiving service, and what a customer's program asks of it.

`add`, `show` and `lint` are the box operator's side and live in registrations.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from vouchbox.cli import registrations
from vouchbox.cli.log_limit import log_to_stderr
from vouchbox.cli.options import config_option
from vouchbox.messages import Action, Level
from vouchbox.relying_party import desk, keys, service
from vouchbox.relying_party import export as holdings
from vouchbox.relying_party import settings as configuration
from vouchbox.relying_party.ledger import Ledger

_config = config_option("The relying party's configuration.", default=Path("relying-party.toml"))


@click.group(epilog="Example: vouchbox relying-party serve --config shop.toml")
def relying_party() -> None:
    """Ask boxes, receive verdicts, keep templates sealed, on the customer's server; on the box, `add`, `show`
    and `lint` its registration."""


relying_party.add_command(registrations.add)
relying_party.add_command(registrations.show)
relying_party.add_command(registrations.lint)


@relying_party.command(
    epilog="Example: vouchbox relying-party keygen keys --id pickup --name 'Example Pickup'"
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--id", "party", required=True, help="The party's id: small letters, digits, hyphens.")
@click.option("--name", default="", help="The name that people read; the id if left out.")
def keygen(folder: Path, party: str, name: str) -> None:
    """Create the signing key and the seal key in FOLDER, and print the registration for the box.

    An existing key is never overwritten.
    """
    keys.check_names(party, name or party)
    made = keys.generate(folder)
    text = keys.registration(made, party, name or party)
    (folder / keys.REGISTRATION_FILE).write_text(text)
    click.echo(text, nl=False)


@relying_party.command(epilog="Example: vouchbox relying-party serve --config shop.toml")
@_config
def serve(path: Path) -> None:
    """Receive verdicts and templates, store them, acknowledge them, until stopped."""
    log_to_stderr()
    service.serve(configuration.load(path))


@relying_party.command(
    epilog="Example: vouchbox relying-party request vouchbox:shop/one --purpose pickup --wait 90"
)
@click.argument("box")
@_config
@click.option("--purpose", required=True, help="A purpose that the box has registered.")
@click.option("--action", type=click.Choice([a.value for a in Action]), default="check", show_default=True)
@click.option("--level", type=click.Choice([v.value for v in Level]), default="active", show_default=True)
@click.option("--subject", default="", help="Your own handle for the person; it never leaves this machine.")
@click.option("--wait", "seconds", type=click.FloatRange(0, 600), default=0.0, help="Seconds to wait for it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def request(
    box: str, path: Path, purpose: str, action: str, level: str, subject: str, seconds: float, as_json: bool
) -> None:
    """Ask BOX (vouchbox:<site>/<device>) for a verdict; `serve` must run to receive it."""
    settings = configuration.load(path)
    asked = desk.ask(
        settings, box, purpose=purpose, action=Action(action), level=Level(level), subject=subject
    )
    if not seconds:
        click.echo(json.dumps({"request": asked.jti}) if as_json else f"Asked: request {asked.jti}.")
        return
    verdict = desk.wait(settings, asked, seconds)
    if as_json:
        click.echo(json.dumps({"verified": True, **msgspec.to_builtins(verdict)}))
        return
    reasons = ", ".join(verdict.said.reasons)
    click.echo(f"{verdict.outcome}{f' ({reasons})' if reasons else ''}, verdict {verdict.jti}")


@relying_party.command(epilog="Example: vouchbox relying-party erase customer-17 --config shop.toml")
@click.argument("subject")
@_config
def erase(subject: str, path: Path) -> None:
    """Erase the template of SUBJECT."""
    count = desk.erase(configuration.load(path), subject)
    click.echo(f"Erased: {count} template{'' if count == 1 else 's'}.")


@relying_party.command(epilog="Example: vouchbox relying-party export customer-17 --config shop.toml")
@click.argument("subject", default="")
@click.option("--verdict", default="", help="The verdict's jti, in place of your handle for the person.")
@_config
def export(subject: str, verdict: str, path: Path) -> None:
    """Print everything that is held about SUBJECT, or about one verdict, as one JSON document."""
    with Ledger(configuration.load(path).party.ledger) as ledger:
        click.echo(json.dumps(holdings.held(ledger, subject=subject, verdict=verdict), indent=2))
