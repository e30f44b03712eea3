"""Measure the whole decision at level active: simulated people and simulated attacks, random prompts.

Example: scripts/measure_sessions --json /tmp/sessions.json --markdown /tmp/sessions.md
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from session_measure import plan, report
from session_measure.cache import ROOT, Cache, state
from session_measure.holding import Camera, hold_all
from vouchbox.machine import Pace
from vouchbox.messages import Outcome
from vouchbox.vision.models import Models

console = Console(stderr=True)
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--sessions", default=200, show_default=True, help="Bona fide sessions, and of each species.")
@click.option(
    "--cued", default=50, show_default=True, help="Sessions of each replay that plays what is asked."
)
@click.option("--group", "only", multiple=True, type=click.Choice(plan.GROUPS), help="Only this; repeatable.")
@click.option("--seed", default=1, show_default=True)
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--frame-rate", default=15, show_default=True, type=click.IntRange(5, 60))
@click.option(
    "--pace",
    type=click.Choice([p.value for p in Pace]),
    default=Pace.FULL.value,
    show_default=True,
    help="How many of the frames are looked at, as on a hot machine.",
)
@click.option("--json", "json_file", type=FILE, help="Write every count here.")
@click.option("--markdown", "markdown_file", type=FILE, help="Write the tables here.")
@click.option(
    "--cache", type=click.Path(file_okay=False, path_type=Path), default=ROOT / ".cache" / "sessions"
)
def main(
    sessions: int,
    cued: int,
    only: tuple[str, ...],
    seed: int,
    processes: int,
    frame_rate: int,
    pace: str,
    json_file: Path | None,
    markdown_file: Path | None,
    cache: Path,
) -> None:
    """Hold whole sessions of the simulated subject and count what passes, with 95 % intervals.

    An interrupted run goes on where it stopped. Portraits of VOUCHBOX_DATA take part where it is there.

    \b
    Example: scripts/measure_sessions --sessions 20 --group print --markdown /tmp/print.md
    """
    data = Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data"))
    people = plan.portraits(data)
    console.print(f"{len(people)} portraits, {processes} processes")
    camera = Camera(frame_rate, Pace(pace))
    known = Cache(cache, state(Models.load(), f"{plan.fingerprint(people, seed)} {camera}"))
    counts = {group: cued if group in plan.CUED else sessions for group in only or plan.GROUPS}
    wanted = list(plan.sessions(counts, seed, people))
    missing = [session for session in wanted if (session.group, session.number) not in known.records]
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as progress:
        bar = progress.add_task("sessions", total=len(wanted), completed=len(wanted) - len(missing))
        wrong = 0
        for record in hold_all(missing, processes, camera):
            known.add(record)
            wrong += (record.outcome is Outcome.LIVE) != (record.group == plan.BONA_FIDE)
            progress.update(bar, advance=1, description=f"sessions ({wrong} wrong)")
    found = report.figures(known.records[session.group, session.number] for session in wanted)
    tables = report.markdown(found)
    click.echo(tables, nl=False)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    if markdown_file is not None:
        markdown_file.write_text(tables)


if __name__ == "__main__":
    main(prog_name="measure_sessions")
