"""`vouchbox doctor`: what is wrong with this box, and what to do. It changes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from vouchbox.cli.options import config_option
from vouchbox.doctor import report
from vouchbox.doctor.finding import Finding, Result
from vouchbox.doctor.rounds import FAMILIES, examine

_STYLES = {
    Result.OK: "green",
    Result.WARNING: "yellow",
    Result.FAULT: "bold red",
    Result.NOT_CHECKED: "bright_black",
}


@click.command(epilog="Example: vouchbox doctor --only camera --only broker")
@config_option()
@click.option("--only", type=click.Choice(list(FAMILIES)), multiple=True, help="Only this; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(path: Path, only: tuple[str, ...], as_json: bool) -> None:
    """Look at the whole box and name each fault and its fix: camera, models, keys, clock, broker, walls.

    Run it as root on a box; what it can't see it calls "not checked", never ok. Frames are counted and
    wiped, keys sign once; neither is shown. Exit code 1 says that there is a fault.
    """
    findings: list[Finding] = []
    terminal = sys.stdout.isatty()
    person = Console(stderr=not terminal)  # what goes to a file or a pipe is not mixed with the progress
    with Progress(
        SpinnerColumn(),
        TextColumn("looking at: {task.description}"),
        console=person,
        transient=True,
        disable=not person.is_terminal,
    ) as shown:
        task = shown.add_task("", total=None)
        for finding in examine(path, only=only, begin=lambda name: shown.update(task, description=name)):
            findings.append(finding)
            if not as_json:
                _show(finding, person if terminal else None)
    if as_json:
        click.echo(json.dumps(report.document(findings), indent=2))
    else:
        click.echo(report.summary(findings))
    if any(finding.result is Result.FAULT for finding in findings):
        sys.exit(1)


def _show(finding: Finding, terminal: Console | None) -> None:
    text = report.line(finding)
    if terminal is None:
        click.echo(text)
        return
    shown = Text(text)
    shown.stylize(_STYLES[finding.result], 0, len(report.WORDS[finding.result]))
    terminal.print(shown, soft_wrap=True)
