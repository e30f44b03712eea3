"""What the stages do in processes of their own: drawing samples and views, and training. Kept apart from the
command, for a fresh process can't load what belongs to the program that was started.
"""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch
import torch.distributed as together
import torch.multiprocessing as processes
from rich.console import Console

from . import dataset, exporting
from .hints import PIXELS
from .learning import train
from .material import MATERIAL
from .network import Liveness
from .teachers import Teachers, basis_files
from .views import BASIS_VIEWS, Views, draw_views, drawn

CHUNK = 500
"""Samples of one seed and file."""

VIEWS = 3000
"""Views of one seed and file."""


def draw_samples(console: Console, work: Path, count: int, seed: int, jobs: int) -> None:
    """The stage `samples`; files that are there already are kept."""
    _in_parallel(console, _chunk, [(work, seed, n) for n in range(-(-count // CHUNK))], jobs)


def judge_views(console: Console, work: Path, teacher: Path, count: int, seed: int, jobs: int) -> None:
    """The stage `views`; files that are there already are kept."""
    if not all(path.is_file() for path in basis_files(work)):
        Teachers(teacher, work).learn_bases(drawn(dataset.chunks(work), seed, BASIS_VIEWS, PIXELS)[0])
    _in_parallel(console, _views, [(work, teacher, seed, n) for n in range(-(-count // VIEWS))], jobs)


def learn(work: Path, steps: int, rate: float, seed: int, jobs: int, start: Path | None) -> None:
    """The stage `train`: on a GPU where there is one, else `jobs` processes of one thread each. It learns
    from the views of the seed, and begins with the weights of `start`, or with none."""
    jobs = 1 if torch.cuda.is_available() else jobs
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    processes.spawn(_learn, (jobs, work, steps, rate, seed, start), nprocs=jobs)  # type: ignore[no-untyped-call]


def _in_parallel(console: Console, make: Callable[[Any], Path], todo: list[Any], jobs: int) -> None:
    # Every job has one processor; numpy's threads would take the others' from them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A fork of a process that has used PyTorch hangs.
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, fresh, _single) as pool:
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


@functools.cache
def _teachers(folder: Path, work: Path) -> Teachers:
    """Compiled once in each process."""
    return Teachers(folder, work)


def _views(job: tuple[Path, Path, int, int]) -> Path:
    work, teacher, seed, number = job
    path = exporting.views_path(work, seed, number)
    if not path.is_file():
        chunks, own_seed = dataset.chunks(work), seed * 1000 + number
        draw_views(chunks, _teachers(teacher, work), path, own_seed, VIEWS, PIXELS)
    return path


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _learn(rank: int, jobs: int, work: Path, steps: int, rate: float, seed: int, start: Path | None) -> None:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    if jobs > 1:
        together.init_process_group("gloo", rank=rank, world_size=jobs)
    console = Console(quiet=rank > 0)
    views = Views.load(exporting.known_views(work, seed)[rank::jobs])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = Liveness() if start is None else exporting.load_network(start)
    network = network.to(device, memory_format=torch.channels_last)
    console.print(f"{len(views.pictures)} views to learn from")

    def report(step: int, errors: tuple[float, float]) -> None:
        of_mini_fas, of_pair = errors
        console.print(f"step {step}: off by {of_mini_fas:.2f} (MiniFAS) and {of_pair:.2f} (pair)")

    train(network, views, steps, rate, seed, report)
    if rank == 0:
        torch.save(network.cpu().state_dict(), work / exporting.WEIGHTS)
