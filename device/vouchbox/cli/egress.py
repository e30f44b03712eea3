"""`vouchbox egress`: every message that ever left the box, with topic, size, hash and time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from vouchbox import config as configuration
from vouchbox.cli.options import config_option
from vouchbox.vault import egress as ledger
from vouchbox.vault.store import Store


@click.command(epilog="Example: vouchbox egress --config /etc/vouchbox/vouchbox.toml --last 20")
@config_option()
@click.option("--last", type=click.IntRange(1, 1_000_000), default=10_000, help="Only the newest so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def egress(path: Path, last: int, as_json: bool) -> None:
    """List every message that left the box: time, topic, bytes, SHA-256, and the broker's answer.

    A line says unanswered where a connection or a process was lost: that message may have left. The ledger
    holds no payload.
    """
    store = Store(configuration.load(path).box.state, read_only=True)
    try:
        departures = list(ledger.read(store, limit=last))
    finally:
        store.close()
    if as_json:
        rows = [
            {"time": d.time, "topic": d.topic, "bytes": d.size, "sha256": d.sha256, "answer": d.answer.value}
            for d in departures
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    Console().print(table(departures))


def table(departures: list[ledger.Departure]) -> Table:
    """The ledger for people, with the sum of all bytes."""
    rows = Table(
        "time (UTC)", "topic", "bytes", "sha256", "broker", box=None, show_footer=True, pad_edge=False
    )
    rows.columns[1].footer = f"{len(departures)} messages"
    rows.columns[2].footer = str(sum(departure.size for departure in departures))
    rows.columns[2].justify = "right"
    for departure in departures:
        moment = datetime.fromtimestamp(departure.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.add_row(
            moment, departure.topic, str(departure.size), departure.sha256[:16], departure.answer.value
        )
    return rows
