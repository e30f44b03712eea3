"""`vouchbox provision rotate-templates PARTY`: revoke a party's templates by a new epoch."""

from __future__ import annotations

import time
from pathlib import Path

import click

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.vault import epochs, keys, provision
from vouchbox.vault.clock import SystemClock
from vouchbox.vault.notary import Notary
from vouchbox.vault.store import Store


@click.command(
    "rotate-templates",
    epilog="Example: vouchbox provision rotate-templates pickup --config /etc/vouchbox/vouchbox.toml",
)
@click.argument("party")
@config_option()
def rotate_templates(party: str, path: Path) -> None:
    """Begin a new epoch for the templates of PARTY, while the vault is stopped.

    No template of an earlier epoch matches any more; a match request that brings one is refused with
    enroll-again. Give the changed registration to the other boxes of the fleet.
    """
    config = configuration.load(path)
    ring = keys.load(config.vault.keys, config.vault.token)
    public = provision.public_document(ring, config.box.audience)
    store = Store(config.box.state)
    try:
        notary = Notary(
            store, config.box.state, ring.signer, public["keys"], config.box.audience, SystemClock()
        )
        notary.require_log()
        epoch = epochs.renew(store, config.vault.parties, party, int(time.time()))
        notary.sign()
    finally:
        store.close()
    click.echo(f"Templates of {party} are now of epoch {epoch}: everyone has to enrol again.")
    click.echo(f"Give {config.vault.parties / f'{party}.toml'} to the other boxes of the fleet.")
