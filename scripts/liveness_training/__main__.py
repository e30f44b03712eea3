"""`scripts/train_liveness`: draws samples, trains, writes the int8 file, calibrates it, states its figures.

Each stage keeps its result in the work folder and can be run alone; a stage reads what the one before left.
Pictures of people stay in the work folder, outside the repository.
"""

from __future__ import annotations

import concurrent.futures
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cv2
import torch
import torch.distributed as together
import torch.multiprocessing as processes
from rich.console import Console

from . import dataset, exporting, figures
from .learning import train
from .material import MATERIAL, gather_material
from .network import PIXELS, Liveness
from .views import Views, draw_views

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 500
"""Samples of one seed and file."""

VIEWS = 3000
"""Views of one seed and file."""

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
    help="Folder of the published Silent-Face pair, which labels the samples.",
)
@click.option("--work", type=click.Path(path_type=Path), default=work_folder(), help="Folder for results.")
@click.option("--samples", type=click.IntRange(CHUNK), default=30_000, show_default=True)
@click.option("--views", type=click.IntRange(VIEWS), default=120_000, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--rate", type=float, default=2e-3, show_default=True, help="Highest learning rate.")
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
            _in_parallel(console, _chunk, [(work, seed, n) for n in range(-(-samples // CHUNK))], jobs)
        elif stage == "views":
            _in_parallel(console, _views, [(work, teacher, seed, n) for n in range(-(-views // VIEWS))], jobs)
        elif stage == "train":
            _train(work, steps, rate, seed, jobs)
        elif stage == "export":
            console.print(exporting.export(work, seed))
        else:
            console.print(figures.calibrate_and_state(data))


def _in_parallel(console: Console, make: Callable[[Any], Path], todo: list[Any], jobs: int) -> None:
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=_single) as pool:
        for number, path in enumerate(pool.map(make, todo)):
            console.print(f"{number + 1} of {len(todo)}: {path.name}")


def _single() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _chunk(job: tuple[Path, int, int]) -> Path:
    work, seed, number = job
    path = dataset.chunk_path(work, seed, number)
    if not path.is_file():
        dataset.draw_chunk(work / MATERIAL, path, seed, number, CHUNK)
    return path


def _views(job: tuple[Path, Path, int, int]) -> Path:
    work, teacher, seed, number = job
    path = exporting.views_path(work, seed, number)
    if not path.is_file():
        draw_views(dataset.chunks(work, seed), teacher, path, seed * 1000 + number, VIEWS, PIXELS)
    return path


def _train(work: Path, steps: int, rate: float, seed: int, jobs: int) -> None:
    """`jobs` processes of one thread each, on one network."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    processes.spawn(_learn, (jobs, work, steps, rate, seed), nprocs=jobs)  # type: ignore[no-untyped-call]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _learn(rank: int, jobs: int, work: Path, steps: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    if jobs > 1:
        together.init_process_group("gloo", rank=rank, world_size=jobs)
    console = Console(quiet=rank > 0)
    views = Views.load(exporting.all_views(work, seed))
    network = Liveness().to(memory_format=torch.channels_last)
    console.print(f"{len(views.pictures)} views to learn from")

    def report(step: int, error: float) -> None:
        console.print(f"step {step}: the margin is off by {error:.2f}")

    train(network, views, steps, rate, seed, report)
    if rank == 0:
        torch.save(network.state_dict(), work / exporting.WEIGHTS)


if __name__ == "__main__":
    main()
