"""`vouchbox evaluate`: how often the box errs, over a labelled set of recordings.

It assembles: the manifest, the scorer, the cache, the report and the plot. What it writes holds figures
and the paths of the manifest, no picture.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vouchbox import __version__
from vouchbox.errors import EvaluationError, UsageError
from vouchbox.evaluation.cache import ScoreCache, default_path, digest_of_file
from vouchbox.evaluation.manifest import Presentation, read_manifest
from vouchbox.evaluation.plot import check_available, draw_det
from vouchbox.evaluation.rates import Rate
from vouchbox.evaluation.report import BPCER_LIMIT, Errors, KindReport, kinds
from vouchbox.evaluation.running import score_all
from vouchbox.evaluation.scores import Scored
from vouchbox.evaluation.scoring import BoxScorer, BoxSettings
from vouchbox.messages import Level
from vouchbox.vision.runtime import RuntimeName

_FRAMES_NOTE = "Frames of one presentation resemble each other: intervals per frame are too narrow."


@click.group(epilog="Example: vouchbox evaluate pad --manifest liveness.csv")
def evaluate() -> None:
    """Measure error rates over a labelled set."""


@evaluate.command(
    epilog="Example: vouchbox evaluate pad --manifest liveness.csv --level passive --plot pad.png"
)
@click.option(
    "--manifest",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV: path, kind (video, full, crop), label (bonafide, attack), attack (the species).",
)
@click.option(
    "--level",
    type=click.Choice([level.value for level in Level]),
    default=Level.PASSIVE.value,
    show_default=True,
    help="Assurance level of the sessions; a recording can't follow the prompts of `active`.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("pad.png"),
    show_default=True,
    help="Where the DET plot goes.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the figures go as JSON; by default beside the plot.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON document instead of tables.")
@click.option("--held-out", is_flag=True, help="Leave out rows with train=yes.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 30.0),
    default=5.0,
    show_default=True,
    help="How long a session looks at a video.",
)
@click.option(
    "--runtime",
    type=click.Choice(["auto", "litert", "tflite-runtime"]),
    default="auto",
    show_default=True,
    help="Which TFLite runtime runs the models.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Folder with manifest.toml of other models.")
@click.option("--cache", type=click.Path(path_type=Path, dir_okay=False), help="Where scores are remembered.")
@click.option("--no-cache", is_flag=True, help="Score everything anew and remember nothing.")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes that score; by default one for each core."
)
def pad(
    manifest: Path,
    level: str,
    plot: Path,
    report: Path | None,
    as_json: bool,
    held_out: bool,
    seconds: float,
    runtime: str,
    models: Path | None,
    cache: Path | None,
    no_cache: bool,
    workers: int | None,
) -> None:
    """Presentation attack detection: APCER of each species (worst first), BPCER, AUC, EER, DET plot.

    Videos run as whole sessions, stills as one frame. Rates have 95 % Clopper-Pearson intervals.
    """
    if no_cache and cache is not None:
        raise UsageError("--cache and --no-cache contradict each other", "give one of them")
    beside = report or plot.with_suffix(".json")
    if beside == plot:
        raise UsageError("plot and report are one file", "name another with --plot or --report")
    check_available()
    listed = read_manifest(manifest)
    if held_out:
        listed = tuple(p for p in listed if not p.seen)
        if not listed:
            raise UsageError("every row of the manifest has train=yes", "leave out --held-out")
    settings = BoxSettings(Level(level), seconds, cast("RuntimeName", runtime), models)
    scored = _score(listed, settings, None if no_cache else cache or default_path(), workers)
    found = kinds(zip(listed, scored, strict=True))
    document = _document(manifest, settings, held_out, listed, scored, found)
    draw_det([(part.kind.value, part.per_presentation) for part in found], plot)
    _write(beside, document)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        _print(found, plot, beside)


def _score(
    listed: tuple[Presentation, ...], settings: BoxSettings, cache: Path | None, workers: int | None
) -> tuple[Scored, ...]:
    with (
        ScoreCache(cache) as remembered,
        Progress(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        ) as bar,
    ):
        task = bar.add_task("scoring", total=len(listed))
        count = workers or len(os.sched_getaffinity(0))
        return score_all(listed, settings, Scored, remembered, count, lambda more: bar.advance(task, more))


def _document(
    manifest: Path,
    settings: BoxSettings,
    held_out: bool,
    listed: tuple[Presentation, ...],
    scored: tuple[Scored, ...],
    found: tuple[KindReport, ...],
) -> dict[str, Any]:
    scorer = BoxScorer(settings)
    return {
        "vouchbox": __version__,
        "manifest": {"name": manifest.name, "sha256": digest_of_file(manifest), "held_out": held_out},
        "level": settings.level.value,
        "seconds": settings.seconds,
        "runtime": scorer.models.runtime.label,
        "models": msgspec.to_builtins(scorer.models.identities),
        "scorer": scorer.identity,
        "bpcer_limit": BPCER_LIMIT,
        "notes": [_FRAMES_NOTE],
        "kinds": msgspec.to_builtins(found),
        "presentations": [
            {
                "path": presentation.name,
                "kind": presentation.kind.value,
                "label": presentation.label.value,
                "species": presentation.species,
                "seen": presentation.seen,
                **msgspec.to_builtins(one),
            }
            for presentation, one in zip(listed, scored, strict=True)
        ],
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as problem:
        raise EvaluationError(
            f"the report {path.name} can't be written ({problem.strerror})", "name another file with --report"
        ) from None


def _print(found: tuple[KindReport, ...], plot: Path, report: Path) -> None:
    console = Console()
    for part in found:
        console.print(
            f"\n[bold]{part.kind.value}[/bold]: {part.bona_fide} bona fide, {part.attacks} attacks; "
            f"without a face {part.no_face}, without a score {part.no_score}; "
            f"{part.seen} of these rows trained a network"
        )
        console.print(_scores_table("presentation", part.per_presentation))
        if part.decision:
            console.print(_scores_table("frame", part.per_frame))
            console.print(_decision_table(part))
    if any(part.decision for part in found):
        console.print(_FRAMES_NOTE)
    console.print(f"DET plot: {plot}\nfigures: {report}")


def _scores_table(what: str, figures: Errors) -> Table:
    area, equal = _number(figures.auc, 4), _number(figures.eer, 4)
    table = Table(
        "species",
        "APCER at the shipped threshold",
        f"APCER at BPCER <= {BPCER_LIMIT:.0%}",
        "no response",
        "AUC",
        title=f"passive test, per {what}: AUC {area}, EER {equal}",
        title_justify="left",
    )
    shipped, limited = figures.shipped, figures.at_bpcer_limit
    if shipped is None or limited is None:
        return table
    at_limit = {row.species: row for row in limited.species}
    for row in shipped.species:
        table.add_row(
            escape(row.species),
            text_of(row.apcer),
            text_of(at_limit[row.species].apcer),
            f"{row.apnrr.hits}/{row.apnrr.tries}",
            _number(row.auc, 4),
        )
    table.add_section()
    table.add_row(
        "bona fide: BPCER",
        text_of(shipped.bpcer),
        text_of(limited.bpcer),
        f"{shipped.bpnrr.hits}/{shipped.bpnrr.tries}",
        "",
    )
    table.add_row("threshold", _number(shipped.threshold, 4), _number(limited.threshold, 4), "", "")
    return table


def _decision_table(part: KindReport) -> Table:
    table = Table(
        "species", "APCER (BPCER)", "no response", "outcomes", title="whole decision", title_justify="left"
    )
    for row in part.decision:
        outcomes = ", ".join(f"{name} {count}" for name, count in row.outcomes.items())
        table.add_row(escape(row.species), text_of(row.error), text_of(row.no_response), outcomes)
    return table


def text_of(rate: Rate) -> str:
    """A rate for people: 1/20 = 5.0 % (0.1-24.9)."""
    if rate.rate is None:
        return "-"
    return f"{rate.hits}/{rate.tries} = {rate.rate:.1%} ({100 * rate.low:.1f}-{100 * rate.high:.1f})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
