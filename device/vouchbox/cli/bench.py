"""`vouchbox bench`: how fast the vision room is on this machine, stage by stage and as a whole.

The floor is what the models alone need: the sum of their own invocations in the same session, on the same
frames. Decoding the clip stands beside the pipeline, for a camera decodes nothing.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, cast

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from vouchbox.camera.clip import ClipSource
from vouchbox.cli.examine import request_for
from vouchbox.errors import NoVerdict, VouchboxError
from vouchbox.messages import Examination, Level
from vouchbox.vision.embedding import BEST_FRAMES, CHIP
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.runtime import RuntimeName

FRAME_RATE = 15.0
"""Frames per second of the paced session, as a box's camera delivers them."""

SECONDS = 5.0

_BESIDE = {"capture", "last-frame-to-verdict"}
_START = "from vouchbox.vision.models import Models; Models.load(runtime={!r})"


@click.command(epilog="Example: vouchbox bench clip.mp4 --json")
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "litert", "tflite-runtime"]),
    default="auto",
    show_default=True,
    help="Which TFLite runtime runs the models.",
)
@click.option("--repeat", type=click.IntRange(1, 100), default=5, show_default=True, help="Fast sessions.")
def bench(clip: Path, as_json: bool, runtime: str, repeat: int) -> None:
    """Measure the vision room on CLIP: stages, whole sessions, start-up, and the latency of a verdict."""
    chosen = cast("RuntimeName", runtime)
    started = _start_up(chosen)
    models = Models.load(runtime=chosen)
    sessions = [_session(models, clip, "fast") for _ in range(repeat)]
    paced = _session(models, clip, "real")
    result = _summary(models, started, sessions, paced)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _print(result)


class _Measured:
    """One session's figures."""

    def __init__(self, found: Examination, examiner: Examiner, floor_ns: int, cpu_s: float, wall_s: float):
        self.found = found
        self.stages = {name: np.array(laps) / 1e6 for name, laps in examiner.clock.samples_ns.items()}
        self.pipeline_ms = sum(float(ms.sum()) for name, ms in self.stages.items() if name not in _BESIDE)
        self.floor_ms = floor_ns / 1e6
        self.cpu_s = cpu_s
        self.wall_s = wall_s


def _session(models: Models, clip: Path, pace: Literal["fast", "real"]) -> _Measured:
    problems: list[VouchboxError] = []
    examiner = Examiner(models, problem=problems.append)
    rate = FRAME_RATE if pace == "real" else None
    source = ClipSource(clip, pace=pace, max_rate=rate)
    spent = sum(network.spent_ns for network in models.networks)
    cpu, wall = time.process_time(), time.perf_counter()
    found = examiner.examine(request_for(Level.PASSIVE, SECONDS, want_embedding=True), source)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for problem in problems:
        raise problem
    if not found.frames:
        raise NoVerdict("the clip gave no frame", "try another clip")
    spent = sum(network.spent_ns for network in models.networks) - spent
    return _Measured(found, examiner, spent, cpu, wall)


def _start_up(runtime: RuntimeName) -> float:
    """Seconds from nothing to loaded models, in a process of its own."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _START.format(runtime)], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def _embedding_ms(models: Models) -> float:
    """The embedding of one session. It is computed for live sessions only, so it is measured apart."""
    chip = np.zeros((CHIP, CHIP, 3), np.uint8)
    before = models.embedding.spent_ns
    for _ in range(BEST_FRAMES):
        models.embedding.run(chip)
    return (models.embedding.spent_ns - before) / 1e6


def _summary(models: Models, started: float, sessions: list[_Measured], paced: _Measured) -> dict[str, Any]:
    names = list(dict.fromkeys(name for session in sessions for name in session.stages))
    stages = {}
    for name in names:
        laps = np.concatenate([s.stages[name] for s in sessions if name in s.stages])
        stages[name] = {
            "median_ms": round(float(np.median(laps)), 3),
            "p95_ms": round(float(np.percentile(laps, 95)), 3),
            "laps_per_session": round(len(laps) / len(sessions), 1),
        }
    frames = sessions[0].found.frames
    pipeline = statistics.median(s.pipeline_ms for s in sessions)
    floor = statistics.median(s.floor_ms for s in sessions)
    source = sessions[0].found.source
    return {
        "runtime": models.runtime.label,
        "clip": {"width": source.width, "height": source.height, "frames": frames},
        "stages": stages,
        "session": {
            "pipeline_ms": round(pipeline, 1),
            "inference_floor_ms": round(floor, 1),
            "pipeline_to_floor": round(statistics.median(s.pipeline_ms / s.floor_ms for s in sessions), 2),
            "frames_per_second": round(1000.0 * frames / pipeline, 1),
            "frames_per_second_with_decoding": round(
                statistics.median(frames / s.wall_s for s in sessions), 1
            ),
            "cpu_seconds": round(statistics.median(s.cpu_s for s in sessions), 3),
            "embedding_ms": round(_embedding_ms(models), 1),
        },
        "paced": {
            "frame_rate": FRAME_RATE,
            "frames": paced.found.frames,
            "dropped": paced.found.dropped,
            "cpu_seconds": round(paced.cpu_s, 3),
            "last_frame_to_verdict_ms": round(float(paced.stages["last-frame-to-verdict"][0]), 1),
        },
        "start_up_s": round(started, 2),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _print(result: dict[str, Any]) -> None:
    console = Console()
    clip, session, paced = result["clip"], result["session"], result["paced"]
    console.print(f"{result['runtime']}, {clip['width']}x{clip['height']}, {clip['frames']} frames")
    stages = Table("stage", "median ms", "p95 ms", "laps a session")
    for name, figures in result["stages"].items():
        stages.add_row(name, *(str(value) for value in figures.values()))
    console.print(stages)
    whole = Table("whole", "")
    for label, value in (
        ("pipeline / inference floor", session["pipeline_to_floor"]),
        ("pipeline, ms a session", session["pipeline_ms"]),
        ("inference floor, ms a session", session["inference_floor_ms"]),
        ("frames per second", session["frames_per_second"]),
        ("frames per second with decoding", session["frames_per_second_with_decoding"]),
        ("CPU seconds a session", session["cpu_seconds"]),
        (f"CPU seconds a session at {paced['frame_rate']:.0f} fps", paced["cpu_seconds"]),
        (f"last frame to verdict at {paced['frame_rate']:.0f} fps, ms", paced["last_frame_to_verdict_ms"]),
        ("embedding of a live session, ms", session["embedding_ms"]),
        ("start-up, s", result["start_up_s"]),
        ("peak memory, MiB", result["peak_memory_mib"]),
    ):
        whole.add_row(label, str(value))
    console.print(whole)
