"""`scripts/train_liveness`: draws samples, trains, writes the int8 file, calibrates it, states its figures.

Each stage keeps its result in the work folder and can be run alone; a stage reads what the one before left.
Pictures of people stay in the work folder, outside the repository.
"""

from __future__ import annotations

import concurrent.futures
import os
import socket
from pathlib import Path

import click
import cv2
import torch
import torch.distributed as together
import torch.multiprocessing as processes
from rich.console import Console

from . import dataset, exporting, figures
from .learning import logits_of, train
from .material import MATERIAL, gather_material
from .network import PIXELS, Liveness

ROOT = Path(__file__).resolve().parents[2]
CHUNK = 500
"""Samples of one seed and file."""

STAGES = ("material", "samples", "train", "export", "calibrate")


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
@click.option("--samples", type=click.IntRange(CHUNK), default=20_000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True)
@click.option("--rate", type=float, default=3e-3, show_default=True, help="Highest learning rate.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True)
def main(
    stages: tuple[str, ...],
    data: Path,
    teacher: Path,
    work: Path,
    samples: int,
    epochs: int,
    rate: float,
    seed: int,
    jobs: int,
) -> None:
    """Train the liveness network (all STAGES in order, or those named).

    Examples: scripts/train_liveness; scripts/train_liveness calibrate
    """
    console = Console()
    work.mkdir(parents=True, exist_ok=True)
    if ROOT in work.resolve().parents:
        raise click.UsageError("the work folder holds pictures of people: choose one outside the repository")
    for stage in stages or STAGES:
        console.print(f"[bold]{stage}[/bold]")
        if stage == "material":
            count = gather_material(data, work / MATERIAL, seed)
            console.print(f"{count} frames with a face")
        elif stage == "samples":
            _samples(console, work, teacher, samples, seed, jobs)
        elif stage == "train":
            _train(work, epochs, rate, seed, jobs)
        elif stage == "export":
            console.print(exporting.export(work, seed))
        else:
            console.print(figures.calibrate_and_state(data))


def _samples(console: Console, work: Path, teacher: Path, samples: int, seed: int, jobs: int) -> None:
    todo = [(work, teacher, seed, number) for number in range(-(-samples // CHUNK))]
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=_single) as pool:
        for number, path in enumerate(pool.map(_chunk, todo)):
            console.print(f"{(number + 1) * CHUNK} samples: {path.name}")


def _single() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _chunk(job: tuple[Path, Path, int, int]) -> Path:
    work, teacher, seed, number = job
    path = dataset.chunk_path(work, seed, number)
    if not path.is_file():
        dataset.draw_chunk(work / MATERIAL, teacher, path, seed, number, CHUNK, PIXELS)
    return path


def _train(work: Path, epochs: int, rate: float, seed: int, jobs: int) -> None:
    """`jobs` processes of one thread each, on one network."""
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    processes.spawn(_learn, (jobs, work, epochs, rate, seed), nprocs=jobs)  # type: ignore[no-untyped-call]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _learn(rank: int, jobs: int, work: Path, epochs: int, rate: float, seed: int) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    if jobs > 1:
        together.init_process_group("gloo", rank=rank, world_size=jobs)
    console = Console(quiet=rank > 0)
    lessons = dataset.lessons(work, seed)
    network = Liveness().to(memory_format=torch.channels_last)
    console.print(
        f"{len(lessons.training.live)} samples to learn from, {len(lessons.validation.live)} of other persons"
    )

    def report(epoch: int, loss: float) -> None:
        if rank > 0:
            return
        said = logits_of(network, lessons.validation.crops)
        network.train()
        areas = [figures.area_of(column, lessons.validation.live) for column in (*said.T, said.sum(1))]
        console.print(
            f"round {epoch + 1}: loss {loss:.3f}; other persons: close {areas[0]:.3f}, "
            f"wide {areas[1]:.3f}, both {areas[2]:.3f}"
        )
        torch.save(network.state_dict(), work / exporting.WEIGHTS)

    train(network, lessons.training, epochs, rate, seed, report)


if __name__ == "__main__":
    main()
