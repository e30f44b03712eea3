"""Compare liveness networks: ours and published ones, on the same frames of the same files.

Example: scripts/compare_liveness --out /tmp/peers
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from liveness_peers.comparison import compared, markdown
from liveness_peers.judging import FRAMES, Judges, JudgesSettings, milliseconds
from liveness_peers.registry import absent
from vouchbox.errors import VouchboxError
from vouchbox.evaluation.cache import ScoreCache, default_path, digest_of_file
from vouchbox.evaluation.manifest import read_manifest
from vouchbox.evaluation.running import score_all

DATA = Path(os.environ.get("VOUCHBOX_DATA", "../shared/data"))


@click.command(help=__doc__)
@click.option("--manifest", type=click.Path(path_type=Path), default=DATA / "liveness.csv", show_default=True)
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("../shared/models"),
    show_default=True,
    help="Folder of the published networks.",
)
@click.option(
    "--add", type=click.Path(path_type=Path), multiple=True, help="Python file with further networks."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(".cache/peers-report"),
    show_default=True,
    help="Where the tables go, with .json and .md added.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Where scores are remembered.")
@click.option("--no-ours", is_flag=True, help="Only the published networks.")
@click.option("--held-out", is_flag=True, help="Leave out rows with train=yes.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; by default one for each core.")
def compare(
    manifest: Path,
    models: Path,
    add: tuple[Path, ...],
    out: Path,
    cache: Path | None,
    no_ours: bool,
    held_out: bool,
    workers: int | None,
) -> None:
    console = Console(stderr=True)
    missing = absent(models)
    if missing:
        console.print(f"skipped: the published networks ({', '.join(missing)} not in {models})")
        if not add and no_ours:
            console.print("nothing is left to compare")
            return
    listed = [p for p in read_manifest(manifest) if not (held_out and p.seen)]
    settings = JudgesSettings(models, add, cache or default_path(), not no_ours)
    with (
        ScoreCache(None) as nothing,
        Progress(
            TextColumn("judging"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        ) as bar,
    ):
        task = bar.add_task("judging", total=len(listed))
        count = workers or len(os.sched_getaffinity(0))
        scored = score_all(listed, settings, dict, nothing, count, lambda more: bar.advance(task, more))
    judges = Judges(settings)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    times = milliseconds(judges.networks)
    networks = [
        {"name": n.name, "note": n.note, "bytes": n.size, "milliseconds": round(times[n.name], 3)}
        for n in judges.networks
    ]
    table = compared(list(zip(listed, scored, strict=True)), [n.name for n in judges.networks])
    document = {
        "manifest": {"name": manifest.name, "sha256": digest_of_file(manifest), "held_out": held_out},
        "frames_of_a_video": FRAMES,
        "networks": networks,
        "groups": table,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(networks, table)
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    out.with_suffix(".md").write_text(text)
    click.echo(text)
    console.print(f"{out.with_suffix('.json')}, {out.with_suffix('.md')}")


if __name__ == "__main__":
    try:
        compare.main(standalone_mode=False)
    except VouchboxError as problem:
        click.echo(f"compare_liveness: {problem}", err=True)
        sys.exit(problem.exit_code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
