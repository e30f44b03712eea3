"""Draws DET curves as a PNG: APCER against BPCER on normal deviate axes (A. Martin et al., 1997).

Curves of figures only; no picture of a person is ever drawn. matplotlib (extra `evaluation`) is imported
late, for a box does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vouchbox.errors import EvaluationError, UsageError
from vouchbox.evaluation.report import Errors

SMALLEST = 1e-3
"""The axes run from this rate to 1 - this rate; rates beyond are drawn on the edge."""

_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.99)


def check_available() -> None:
    """Raises UsageError where the libraries of intervals and plots are not installed."""
    _libraries()


def draw_det(parts: Sequence[tuple[str, Errors]], path: Path) -> None:
    """One panel for each (title, figures) that has a curve, one line for each species, a dot where the
    shipped threshold lies. Raises UsageError without matplotlib, EvaluationError when `path` can't be
    written."""
    figure_class, agg, norm = _libraries()
    drawn = [(title, figures) for title, figures in parts if figures.det]
    figure = figure_class(figsize=(5.2 * max(1, len(drawn)), 5.4), layout="constrained")
    agg(figure)
    for column, (title, figures) in enumerate(drawn):
        axes = figure.add_subplot(1, len(drawn), column + 1)
        _panel(axes, title, figures, norm)
    if not drawn:
        figure.text(0.5, 0.5, "no curve: it needs bona fide and attack scores", ha="center")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    except OSError as problem:
        raise EvaluationError(
            f"the plot {path.name} can't be written ({problem.strerror})", "name another file with --plot"
        ) from None


def _panel(axes: Any, title: str, figures: Errors, norm: Any) -> None:
    def clipped(rates: Sequence[float]) -> list[float]:
        return [min(max(rate, SMALLEST), 1.0 - SMALLEST) for rate in rates]

    functions = (lambda x: norm.ppf(x.clip(SMALLEST / 2, 1 - SMALLEST / 2)), norm.cdf)
    axes.set_xscale("function", functions=functions)
    axes.set_yscale("function", functions=functions)
    for curve in figures.det:
        width = 2.2 if curve.species == "all" or len(figures.det) == 1 else 1.2
        axes.step(
            clipped(curve.apcer),
            clipped(curve.bpcer),
            where="post",
            linewidth=width,
            label=f"{curve.species} ({curve.attacks})",
        )
    shipped = figures.shipped
    if shipped is not None and shipped.apcer.rate is not None and shipped.bpcer.rate is not None:
        at = clipped([shipped.apcer.rate]), clipped([shipped.bpcer.rate])
        axes.plot(*at, "o", color="black", label="shipped threshold", zorder=3)
    axes.axhline(0.05, color="grey", linewidth=0.6, linestyle=":")
    axes.set(
        title=f"{title}: {figures.bona_fide} bona fide, {figures.attacks} attacks",
        xlabel="APCER",
        ylabel="BPCER",
        xlim=(SMALLEST, 1 - SMALLEST),
        ylim=(SMALLEST, 1 - SMALLEST),
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_TICKS, [f"{100 * tick:g} %" for tick in _TICKS])
        axis.minorticks_off()
    axes.tick_params(axis="x", labelrotation=60)
    axes.grid(linewidth=0.3)
    axes.legend(fontsize="small", loc="upper right")


def _libraries() -> tuple[Any, Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from scipy.stats import norm
    except ImportError:
        raise UsageError(
            "the plot needs matplotlib and scipy",
            "pip install 'vouchbox[evaluation]'",
        ) from None
    return Figure, FigureCanvasAgg, norm
