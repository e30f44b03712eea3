"""`vouchbox provision`: give this box an identity, once, and new keys later. Nothing secret is shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.cli.rotate_templates import rotate_templates
from vouchbox.config import Config
from vouchbox.uplink import certificate_request
from vouchbox.vault import keys, keys_rotation, registration, registry
from vouchbox.vault.keys_rotation import OVERLAP_DAYS, Alg
from vouchbox.vault.provision import PUBLIC_FILE, create_identity, public_document, publish

with_config = config_option("The box's configuration; the keys go where [vault] says.")
with_alg = click.option(
    "--alg",
    type=click.Choice(["Ed25519", "ES256"]),
    help="The signature algorithm of verdicts; by default Ed25519, or what the token can do.",
)


@click.group(
    invoke_without_command=True, epilog="Example: vouchbox provision --config /etc/vouchbox/vouchbox.toml"
)
@with_config
@with_alg
@click.option("--token-key", metavar="HEX", help="The CKA_ID of a key that is in the token already.")
@click.option(
    "--party",
    "parties",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Also register this relying party, as `vouchbox relying-party add` does; may be repeated.",
)
@click.pass_context
def provision(
    context: click.Context, path: Path, alg: Alg | None, token_key: str | None, parties: tuple[Path, ...]
) -> None:
    """Create the box's keys, the public file for relying parties, and a request for its TLS certificate.

    The signing key lies in a file, or in the token of [vault.token], which must have its PIN in token.pin
    first. An existing key is never overwritten. The public document goes to standard output.
    """
    if context.invoked_subcommand is not None:
        return
    config = configuration.load(path)
    for party in parties:
        registry.load_party(party)
    document = create_identity(
        config.vault.keys,
        audience=config.box.audience,
        alg=alg,
        token=config.vault.token,
        token_key=_identifier(token_key),
    )
    _tell(f"This box is {config.box.audience}, ueid {document['ueid']}.")
    _ask_for_certificate(config)
    _register(config, parties)
    _show(config, document)


@provision.command(epilog="Example: vouchbox provision show > box.jwks.json")
@with_config
def show(path: Path) -> None:
    """Print the public document again."""
    config = configuration.load(path)
    ring = keys.load(config.vault.keys, config.vault.token)
    click.echo(_text(public_document(ring, config.box.audience)))


@provision.command("rotate-key", epilog="Example: vouchbox provision rotate-key --overlap-days 30")
@with_config
@with_alg
@click.option(
    "--overlap-days",
    type=click.IntRange(0, 3650),
    default=OVERLAP_DAYS,
    show_default=True,
    help="How long what the old key signed still verifies; 0 if it may be stolen.",
)
def rotate_key(path: Path, alg: Alg | None, overlap_days: int) -> None:
    """Make a new signing key. The old one stays in the public document, with the end of its time.

    Also the way into a token: configure [vault.token], then rotate. Stop the vault before and start it
    afterwards, and give the new document to your relying parties; until they have it, verdicts wait and
    nothing is lost.
    """
    config = configuration.load(path)
    done = keys_rotation.rotate(
        config.vault.keys, config.vault.token, now=int(time.time()), overlap_days=overlap_days, alg=alg
    )
    document = publish(config.vault.keys, audience=config.box.audience, token=config.vault.token)
    until = f"still verifies for {overlap_days} days" if overlap_days else "verifies no more"
    _tell(f"The new key is {done.kid}; the old one, {done.old}, {until}.")
    if not done.destroyed:
        _tell("The old private key could not be destroyed: do it with the tools of its token.")
    _tell("A vault that still runs must be restarted now.")
    _show(config, document)


@provision.command("certificate-request", epilog="Example: vouchbox provision certificate-request")
@with_config
def request_certificate(path: Path) -> None:
    """Write the request for the uplink's TLS certificate again, with the same key."""
    _ask_for_certificate(configuration.load(path))


def _ask_for_certificate(config: Config) -> None:
    request = config.uplink.key.with_suffix(".csr")
    certificate_request.write(config.uplink.key, request, f"{config.box.site}/{config.box.device}")
    _tell(f"Have {request} signed by your broker's authority and put it to {config.uplink.certificate}.")


def _register(config: Config, parties: tuple[Path, ...]) -> None:
    if parties:
        config.vault.parties.mkdir(mode=0o755, parents=True, exist_ok=True)
    for source in parties:
        party = registration.add(config.vault.parties, source)
        _tell(f"{party.id} may ask this box.")


def _show(config: Config, document: dict[str, Any]) -> None:
    _tell(f"Give {config.vault.keys / PUBLIC_FILE} to your relying parties. It says:")
    click.echo(_text(document))


def _identifier(text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        raise click.BadParameter("give the CKA_ID in hex", param_hint="--token-key") from None


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document)).decode()


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)


provision.add_command(rotate_templates)
