"""`vouchbox doctor`: what is wrong with this box, and what to do. It changes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from vouchbox.doctor import report
from vouchbox.doctor.finding import Finding, Result
from vouchbox.doctor.rounds import FAMILIES, examine

_COLOURS = {
    Result.OK: "green",
    Result.WARNING: "yellow",
    Result.FAULT: "red",
    Result.NOT_CHECKED: "bright_black",
}


@click.command(epilog="Example: vouchbox doctor --only camera --only broker")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/vouchbox/vouchbox.toml"),
    show_default=True,
    help="The box's configuration.",
)
@click.option("--only", type=click.Choice(list(FAMILIES)), multiple=True, help="Only this; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(path: Path, only: tuple[str, ...], as_json: bool) -> None:
    """Look at the whole box and name each fault and its fix: camera, models, keys, clock, broker, walls.

    Run it as root on a box; what it can't see it calls "not checked", never ok. Frames are counted and
    wiped, keys sign once; neither is shown. Exit code 1 says that there is a fault.
    """
    findings: list[Finding] = []
    shown = Console(stderr=True)
    with shown.status("", spinner="dots") as status:
        for finding in examine(path, only=only, begin=lambda name: status.update(f"looking at: {name}")):
            findings.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        click.echo(json.dumps(report.document(findings), indent=2))
    else:
        click.echo(report.summary(findings))
    if any(finding.result is Result.FAULT for finding in findings):
        sys.exit(1)


def _show(finding: Finding) -> None:
    text = report.line(finding)
    word = report.WORDS[finding.result]
    click.echo(click.style(word, fg=_COLOURS[finding.result]) + text[len(word) :])
