"""`vouchbox provision`: give this box an identity, once. Nothing secret is written to the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from vouchbox import config as configuration
from vouchbox.cli.rotate_templates import rotate_templates
from vouchbox.vault.provision import PUBLIC_FILE, create_identity


@click.group(
    invoke_without_command=True,
    epilog="Example: vouchbox provision --config /etc/vouchbox/vouchbox.toml --alg ES256",
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/vouchbox/vouchbox.toml"),
    show_default=True,
    help="The box's configuration; the keys go where [vault] keys says.",
)
@click.option(
    "--alg",
    type=click.Choice(["Ed25519", "ES256"]),
    default="Ed25519",
    show_default=True,
    help="The signature algorithm of verdicts.",
)
@click.pass_context
def provision(context: click.Context, path: Path, alg: str) -> None:
    """Create the box's keys and the public file that relying parties need.

    An existing key is never overwritten.
    """
    if context.invoked_subcommand is not None:
        return
    config = configuration.load(path)
    document = create_identity(
        config.vault.keys, audience=config.box.audience, alg="ES256" if alg == "ES256" else "Ed25519"
    )
    click.echo(f"This box is {config.box.audience}, ueid {document['ueid']}.")
    click.echo(f"Give {config.vault.keys / PUBLIC_FILE} to your relying parties.")


provision.add_command(rotate_templates)
