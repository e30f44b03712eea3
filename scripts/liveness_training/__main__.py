"""`scripts/train_liveness`: draws samples, trains, writes the int8 file, calibrates it, states its figures.

Each stage keeps its result in the work folder and can be run alone; a stage reads what the one before left.
Pictures of people stay in the work folder, outside the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from . import exporting, figures
from .material import MATERIAL, gather_material
from .stages import CHUNK, VIEWS, draw_samples, judge_views, learn

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("material", "samples", "views", "train", "export", "calibrate")


def work_folder() -> Path:
    """Where the stages keep their results by default."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vouchbox-liveness"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("stages", nargs=-1, type=click.Choice(STAGES))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data")),
    help="Folder of liveness.csv [default: VOUCHBOX_DATA].",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=ROOT.parent / "shared" / "models",
    help="Folder of the published Silent-Face pair and MiniFAS, which label the views.",
)
@click.option("--work", type=click.Path(path_type=Path), default=work_folder(), help="Folder for results.")
@click.option("--samples", type=click.IntRange(CHUNK), default=22_000, show_default=True)
@click.option("--views", type=click.IntRange(VIEWS), default=66_000, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=6_500, show_default=True)
@click.option("--rate", type=float, default=2e-3, show_default=True, help="Highest learning rate.")
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights with which the training begins, such as liveness.pt of an earlier run [default: none].",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
def main(
    stages: tuple[str, ...],
    data: Path,
    teacher: Path,
    work: Path,
    samples: int,
    views: int,
    steps: int,
    rate: float,
    start: Path | None,
    seed: int,
    jobs: int,
) -> None:
    """Train the liveness network (all STAGES in order, or those named).

    Examples: scripts/train_liveness; scripts/train_liveness calibrate
    """
    console = Console()
    work.mkdir(parents=True, exist_ok=True)
    if work.resolve() == ROOT or ROOT in work.resolve().parents:
        raise click.UsageError("the work folder holds pictures of people: choose one outside the repository")
    for stage in stages or STAGES:
        console.print(f"[bold]{stage}[/bold]")
        if stage == "material":
            console.print(f"{gather_material(data, work / MATERIAL, seed)} frames with a face")
        elif stage == "samples":
            draw_samples(console, work, samples, seed, jobs)
        elif stage == "views":
            judge_views(console, work, teacher, views, seed, jobs)
        elif stage == "train":
            learn(work, steps, rate, seed, jobs, start)
        elif stage == "export":
            console.print(exporting.export(work, seed))
        else:
            console.print(figures.calibrate_and_state(data))


if __name__ == "__main__":
    main()
