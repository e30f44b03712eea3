"""`vouchbox examine`: only the vision room, on a recorded clip. No vault, no key, no network."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.protection import protect
from vouchbox.errors import ClipError, VouchboxError
from vouchbox.messages import Examination, Examine, Level, Outcome, Progress, Prompt
from vouchbox.reasons import SENTENCES
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.runtime import RuntimeName

PROMPTS = 3
"""How many prompts level ACTIVE draws; the person in a recording sees none of them."""

_NO_VERDICT = 3


@click.command(epilog="Example: vouchbox examine clip.mp4 --json")
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
@click.option(
    "--level",
    type=click.Choice([level.value for level in Level]),
    default=Level.PASSIVE.value,
    show_default=True,
    help="Assurance level; a recording can't follow the prompts of `active`.",
)
@click.option(
    "--runtime",
    type=click.Choice(["auto", "litert", "tflite-runtime"]),
    default="auto",
    show_default=True,
    help="Which TFLite runtime runs the models.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 30.0),
    default=5.0,
    show_default=True,
    help="How much of the clip to look at.",
)
def examine(clip: Path, as_json: bool, level: str, runtime: str, seconds: float) -> None:
    """Look at CLIP as the box would: faces, quality, liveness tests, in numbers.

    Exit code 0 for a verdict, 3 for none (inconclusive), 1 for a clip that can't be played.
    """
    protect()
    models = Models.load(runtime=cast("RuntimeName", runtime))
    request = request_for(Level(level), seconds)
    problems: list[VouchboxError] = []
    examiner = Examiner(models, problem=problems.append)
    with Bar(
        TextColumn("examining"),
        BarColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("examining", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.fraction)

        found = examiner.examine(request, ClipSource(clip, pace="fast"), show)
    for problem in problems:
        if isinstance(problem, ClipError):
            raise problem
        click.echo(f"vouchbox: {problem}", err=True)
    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        _print(found)
    if found.outcome is Outcome.INCONCLUSIVE:
        sys.exit(_NO_VERDICT)


def request_for(level: Level, seconds: float, want_embedding: bool = False) -> Examine:
    """What the vault would ask for, with prompts drawn at random."""
    draw = secrets.SystemRandom()
    prompts = tuple(draw.sample(list(Prompt), PROMPTS)) if level is Level.ACTIVE else ()
    return Examine(
        session=secrets.token_urlsafe(16),
        level=level,
        prompts=prompts,
        want_embedding=want_embedding,
        seconds=seconds,
    )


def document(found: Examination) -> dict[str, Any]:
    """An examination as JSON values; the embedding is a template in clear and never printed."""
    values: dict[str, Any] = msgspec.to_builtins(found)
    del values["embedding"], values["type"]
    return values


def _print(found: Examination) -> None:
    console = Console()
    source = found.source
    console.print(
        f"[bold]{found.outcome.value}[/bold]  {source.kind.value} {source.width}x{source.height}, "
        f"{found.frames} frames in {found.duration_s:.1f} s, {found.runtime}, "
        f"frames {'wiped' if found.wiped else 'NOT wiped'}"
    )
    for reason in found.reasons:
        console.print(f"  {SENTENCES[reason]}")
    tests = Table("liveness test", "status", "score", "needs", "measured")
    for test in found.tests:
        tests.add_row(
            test.name.value,
            test.status.value,
            "" if test.score is None else f"{test.score:.2f}",
            "" if test.threshold is None else f"{test.threshold:.2f}",
            str(test.measured),
        )
    console.print(tests)
    quality = Table("quality (ISO/IEC 29794-5)", "value", "advice")
    for component in found.quality:
        advice = SENTENCES[component.reason] if component.reason is not None else ""
        quality.add_row(component.name, str(component.value), advice)
    console.print(quality)
