"""`vouchbox receipt`: what was promised to a person, shown at the box or verified anywhere, offline."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.cli.verify import read_bytes
from vouchbox.errors import CodeRefused, ReceiptInvalid, UsageError
from vouchbox.vault import box_keys, receipt_book, receipt_check, subject_export, withdrawal_code
from vouchbox.vault.receipt_check import FullForm, ShortForm
from vouchbox.vault.store import Store
from vouchbox.vault.withdrawal_code import Presented

code_argument = click.argument("code", nargs=-1, required=True)


def spoken(code: tuple[str, ...]) -> str:
    """The code as it was given: words, one text, or from standard input for `-`, which no history keeps."""
    if code == ("-",):
        return read_bytes("-").decode("utf-8", "replace").strip()
    return " ".join(code)


def presented(code: tuple[str, ...]) -> Presented:
    """The code that was given; raises UsageError for what can be none."""
    try:
        return withdrawal_code.read(spoken(code))
    except CodeRefused as problem:
        raise UsageError(problem.what, problem.fix) from None


@click.group(epilog="Example: vouchbox receipt verify receipt.txt --jwks box.jwks.json")
def receipt() -> None:
    """Show a receipt at the box that gave it, or verify one anywhere."""


@receipt.command(epilog="Example: vouchbox receipt show - --config /etc/vouchbox/vouchbox.toml < code.txt")
@code_argument
@config_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--token", "as_token", is_flag=True, help="Print the signed full form alone.")
def show(code: tuple[str, ...], path: Path, as_json: bool, as_token: bool) -> None:
    """Show the full form of the receipt with CODE (twelve words, the QR code's text, or - to read it), and
    how its withdrawal stands."""
    named = presented(code)
    store = Store(configuration.load(path).box.state, read_only=True)
    try:
        kept = receipt_book.find(store, named.receipt)
        withdrawn = receipt_book.withdrawal(store, named.receipt)
    finally:
        store.close()
    if kept is None and withdrawn is None:
        raise CodeRefused(
            "unknown", "no receipt of this box has that code", "go to the box that gave the receipt"
        )
    if as_token:
        if kept is None:
            raise UsageError("this box did not give that receipt", "go to the box that gave it")
        click.echo(kept.token.decode())
        return
    said = subject_export.claims(kept) if kept else None
    standing = subject_export.standing(withdrawn)
    if as_json:
        click.echo(json.dumps({"receipt": said, "withdrawal": standing}, indent=2))
        return
    if said is not None:
        Console().print(table(said))
    click.echo(standing_text(standing))


@receipt.command(epilog="Example: vouchbox receipt verify receipt.txt --jwks box.jwks.json")
@click.argument("file", default="-")
@click.option(
    "--jwks",
    type=click.Path(path_type=Path),
    required=True,
    help="The box's public document (box.jwks.json), or a folder of them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(file: str, jwks: Path, as_json: bool) -> None:
    """Verify the receipt in FILE (- is standard input): the text of its QR code, or its full form.

    Exit code 0 when it holds, 1 when not. Needs no network.
    """
    keys = box_keys.load(jwks, time.time())
    form = checked(read_bytes(file).strip(), keys)
    if as_json:
        click.echo(json.dumps({"verified": True, **msgspec.to_builtins(form)}))
        return
    state = form.st if isinstance(form, ShortForm) else form.event.event_state
    party = form.aud if isinstance(form, ShortForm) else form.processing.get("pii_controller_id", "")
    click.echo(
        f"The receipt holds: consent {state}, receipt {form.jti}, box {form.iss}, relying party {party}, "
        f"{_moment(form.iat)}."
    )
    click.echo("Whether it was withdrawn since, the box knows: vouchbox receipt show.")


def checked(text: bytes, keys: receipt_check.Keys) -> ShortForm | FullForm:
    """The verified receipt in `text`, whichever form it has; raises ReceiptInvalid."""
    if withdrawal_code.MARK.encode() in text:
        try:
            named = withdrawal_code.read(text.decode("utf-8", "replace"))
        except CodeRefused as problem:
            raise ReceiptInvalid(problem.what, problem.fix) from None
        form = receipt_check.read_short(named.short, keys)
        if form.jti != named.receipt:
            raise ReceiptInvalid("the code is not this receipt's", "give the QR code's text as it was shown")
        return form
    if len(text) > receipt_check.SHORT_LIMIT:
        return receipt_check.read_full(text, keys)
    return receipt_check.read_short(text, keys)


def table(said: dict[str, Any]) -> Table:
    """A full form for people: one line a field."""
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_row("receipt", said["jti"])
    rows.add_row("given by", f"{said['iss']}, {_moment(said['iat'])}, counts until {_moment(said['exp'])}")
    for section in ("event", "verdict", "header", "processing", "judged_by"):
        for name, value in said.get(section, {}).items():
            rows.add_row(name.replace("_", " "), _plain(name, value))
    for sent in said["sent"]:
        rows.add_row("sent", f"{sent['topic']}, {sent['size']} bytes, SHA-256 {sent['sha256']}")
    return rows


def standing_text(standing: dict[str, Any] | None) -> str:
    """How the withdrawal stands, in a sentence or two."""
    if standing is None:
        return "Not withdrawn: vouchbox withdraw CODE takes the consent back."
    asked = f"Withdrawn {_moment(standing['asked'])}."
    if standing["erased"] is None:
        return f"{asked} {standing['party']} has not confirmed the erasure yet; the box keeps asking."
    return (
        f"{asked} {standing['party']} confirmed {_moment(standing['erased'])}: erased "
        f"{standing['erased_templates']} templates and {standing['erased_verdicts']} verdicts."
    )


def _plain(name: str, value: Any) -> str:
    if name.endswith("_time"):
        return _moment(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
