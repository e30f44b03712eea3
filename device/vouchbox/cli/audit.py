"""`vouchbox audit`: what happened at this box, and whether its log is still the one it vouched for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.config import Config
from vouchbox.errors import AuditError, KeyStoreError, UsageError
from vouchbox.vault import audit as log
from vouchbox.vault import signed_head
from vouchbox.vault.provision import PUBLIC_FILE
from vouchbox.vault.store import Store

_HEX = 64

_config = config_option()


@click.group(epilog="Example: vouchbox audit verify --config /etc/vouchbox/vouchbox.toml")
def audit() -> None:
    """Show the audit log, and find any edit, deletion, new order or missing end.

    The log names parties, purposes, outcomes and reasons; no person and no biometric value.
    """


@audit.command(epilog="Example: vouchbox audit show --last 20")
@_config
@click.option("--last", type=click.IntRange(1, 1_000_000), default=10_000, help="Only the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(path: Path, last: int, as_json: bool) -> None:
    """List what happened: entry, time, event, detail."""
    with _reading(configuration.load(path)) as store:
        entries = list(log.read(store, limit=last))
    if as_json:
        click.echo(json.dumps([{**_facts(entry), "head": entry.head} for entry in entries], indent=2))
        return
    rows = Table("entry", "time (UTC)", "event", "detail", box=None, pad_edge=False)
    for entry in entries:
        moment = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.add_row(str(entry.number), moment, entry.event, _words(entry.detail))
    Console().print(rows)


@audit.command(epilog="Example: vouchbox audit verify --head 41:9f2c...e0")
@_config
@click.option(
    "--head",
    "heads",
    multiple=True,
    help="A head that you know: ENTRIES:HEX, or a signed head as the status topic shows it. Repeatable.",
)
@click.option(
    "--jwks", type=click.Path(path_type=Path), help="The box's public document, if not its own copy."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(path: Path, heads: tuple[str, ...], jwks: Path | None, as_json: bool) -> None:
    """Check every entry, and that the log still holds what the box vouched for.

    A chain can't show that its end was cut off. That is found by the last signed head on this box, and by
    heads that you kept elsewhere, for example from the status topic. Exit code 0: all is in order; 1: not.
    """
    config = configuration.load(path)
    public = _public(jwks or config.vault.keys / PUBLIC_FILE)
    with _reading(config) as store:
        broken = log.verify(store)
        if broken is not None:
            raise AuditError(f"entry {broken} of the log does not fit", "it or one before it was changed")
        known = [_known(text, public, config.box.audience) for text in heads]
        statement = signed_head.last(config.box.state)
        if statement is not None:
            known.append(signed_head.verify(statement, public["keys"], config.box.audience))
        for head in known:
            signed_head.compare(store, head.entries, head.head)
        entries, newest = log.head(store)
    if not known and entries:
        raise AuditError(
            "the chain holds, but nothing vouches for its end", "give a head that you know with --head"
        )
    vouched = max((head.entries for head in known), default=0)
    if as_json:
        click.echo(json.dumps({"entries": entries, "head": newest, "vouched": vouched, "heads": len(known)}))
    else:
        click.echo(f"The log is in order: {entries} entries, the first {vouched} of them vouched for.")
        click.echo(f"Head: {entries}:{newest}")


@contextmanager
def _reading(config: Config) -> Iterator[Store]:
    store = Store(config.box.state, read_only=True)
    try:
        yield store
    finally:
        store.close()


def _public(path: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", "give --jwks") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = {}
    if not isinstance(document.get("keys"), list):
        raise KeyStoreError(f"{path} is no public document of a box", "give --jwks")
    return document


def _known(text: str, public: dict[str, Any], issuer: str) -> signed_head.Head:
    if text.count(".") == 2:
        return signed_head.verify(text.encode(), public["keys"], issuer)
    entries, _, head = text.partition(":")
    if not entries.isdecimal() or len(head) != _HEX or not set(head) <= set("0123456789abcdef"):
        raise UsageError("that is no head", "give ENTRIES:HEX or a signed head")
    return signed_head.Head(issuer, 0, int(entries), head)


def _facts(entry: log.Entry) -> dict[str, Any]:
    try:
        detail = json.loads(entry.detail)
    except ValueError:
        detail = None
    return {"entry": entry.number, "time": entry.time, "event": entry.event, "detail": detail}


def _words(detail: str) -> str:
    try:
        members = json.loads(detail)
        return ", ".join(
            f"{name} {' '.join(value) if isinstance(value, list) else value}"
            for name, value in members.items()
            if value != []
        )
    except (ValueError, AttributeError, TypeError):
        return "(unreadable)"
