"""`vouchbox withdraw`: take a consent back, at the box that gave the receipt or at any other of its fleet."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.cli.receipt import code_argument, spoken
from vouchbox.errors import CodeRefused, RoomGone
from vouchbox.ipc import Channel, connect
from vouchbox.messages import (
    CodePresented,
    CodeRejected,
    VaultToCounter,
    WithdrawalStanding,
    decoder,
)

ANSWER_S = 10.0
"""How long the vault may take to answer."""
LOOK_S = 0.5
"""While waiting for the relying party, the vault is asked this often."""
_TEXT_LIMIT = 1024


@click.command(epilog="Example: vouchbox withdraw - --config /etc/vouchbox/vouchbox.toml < code.txt")
@code_argument
@config_option()
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="Seconds to wait for the relying party's erasure receipt.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def withdraw(code: tuple[str, ...], path: Path, seconds: float, as_json: bool) -> None:
    """Withdraw the consent whose receipt has CODE: twelve words, the QR code's text, or - to read it.

    The words work at the box that gave the receipt, the QR code's text at every box of the fleet. The vault
    must run. What the relying party has not confirmed yet is repeated until it does.
    """
    text = spoken(code)
    if not 0 < len(text) <= _TEXT_LIMIT:
        raise CodeRefused("malformed", "that is no code", "give the twelve words, or the QR code's text")
    config = configuration.load(path)
    deadline = time.monotonic() + seconds
    with connect(config.socket("counter"), decoder(VaultToCounter), peer="vault") as channel:
        standing = ask(channel, text)
        while not standing.erased and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            standing = ask(channel, text)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(standing)))
        return
    click.echo(sentence(standing))


def ask(channel: Channel, text: str) -> WithdrawalStanding:
    """Present the code; raises CodeRefused with the vault's own words, RoomGone when it says nothing."""
    channel.send(CodePresented(text))
    answer = channel.receive(ANSWER_S)
    if isinstance(answer, CodeRejected):
        raise CodeRefused(answer.reason, answer.what, answer.fix)
    if not isinstance(answer, WithdrawalStanding):
        raise RoomGone("the vault does not answer", "look into its log")
    return answer


def sentence(standing: WithdrawalStanding) -> str:
    """How it stands, for the person."""
    if not standing.erased:
        return (
            f"Withdrawn. {standing.party} has not confirmed the erasure yet; the box asks until it does. "
            "Look later with vouchbox receipt show."
        )
    when = datetime.fromtimestamp(standing.erased, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"Withdrawn. {standing.party} confirmed {when}: erased {standing.templates} templates and "
        f"{standing.verdicts} verdicts."
    )
