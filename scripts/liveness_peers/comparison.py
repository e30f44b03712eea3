"""From scores to tables: for every kind, species and source, each network beside the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from liveness_peers.judging import Scores
from vouchbox.evaluation.manifest import Kind, Presentation
from vouchbox.evaluation.report import BPCER_LIMIT, Errors, errors

FEWEST = 5
"""A source with fewer presentations of a class than this gets no line of its own."""

Row = tuple[Presentation, Scores]


def groups(rows: Sequence[Row]) -> Iterator[tuple[Kind, str, list[Row]]]:
    """(kind, what, rows): everything of a kind; each species against all its bona fide; each source (the top
    folder of the path) that has both classes."""
    for kind in Kind:
        of_kind = [row for row in rows if row[0].kind is kind]
        if not of_kind:
            continue
        yield kind, "all", of_kind
        for species in sorted({p.species for p, _ in of_kind if p.species}):
            yield kind, species, _those(of_kind, lambda p, s=species: p.species in ("", s))
        for source in sorted({source_of(p) for p, _ in of_kind}):
            chosen = _those(of_kind, lambda p, s=source: source_of(p) == s)
            good = sum(p.bona_fide for p, _ in chosen)
            if min(good, len(chosen) - good) >= FEWEST and len(chosen) < len(of_kind):
                yield kind, f"source {source}", chosen


def source_of(presentation: Presentation) -> str:
    """The top folder of the path as the manifest writes it."""
    return presentation.name.split("/", 1)[0] if "/" in presentation.name else ""


def compared(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, Any]]:
    """One entry for each group, with the figures of each network."""
    found = []
    for kind, what, chosen in groups(rows):
        figures = {name: _errors(chosen, name) for name in names}
        found.append(
            {
                "kind": kind.value,
                "what": what,
                "bona_fide": sum(p.bona_fide for p, _ in chosen),
                "attacks": sum(not p.bona_fide for p, _ in chosen),
                "seen_in_training_of_ours": sum(p.seen for p, _ in chosen),
                "networks": {name: msgspec.to_builtins(_without_curve(e)) for name, e in figures.items()},
            }
        )
    return found


def markdown(entries: Sequence[dict[str, Any]], table: Sequence[dict[str, Any]]) -> str:
    """Two tables: the networks themselves; and AUC with APCER at BPCER <= 5 % for every group."""
    names = [entry["name"] for entry in entries]
    lines = ["| network | sees | bytes | CPU ms a look, one thread |", "|---|---|---|---|"]
    lines += [f"| {e['name']} | {e['note']} | {e['bytes']:,} | {e['milliseconds']:.2f} |" for e in entries]
    lines += [
        "",
        f"AUC; APCER (95 % interval) at BPCER <= {BPCER_LIMIT:.0%}; then both at its own threshold.",
        "",
        f"| kind | species or source | bona fide / attacks | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for group in table:
        cells = [_cell(group["networks"][name]) for name in names]
        what = group["what"].replace("|", "\\|")
        counts = f"{group['bona_fide']} / {group['attacks']}"
        if seen := group["seen_in_training_of_ours"]:
            counts += f" ({seen} trained ours)"
        lines.append("| " + " | ".join([group["kind"], what, counts, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cell(figures: dict[str, Any]) -> str:
    limited, shipped = figures["at_bpcer_limit"], figures["shipped"]
    if figures["auc"] is None or limited is None:
        return "-"
    rate = limited["apcer"]
    own = f"{shipped['apcer']['rate']:.1%}, {shipped['bpcer']['rate']:.1%}"
    interval = f"{100 * rate['low']:.1f}-{100 * rate['high']:.1f}"
    silent = figures["no_score"]
    note = f"; {silent} without a score" if silent else ""
    return f"{figures['auc']:.4f}; {rate['rate']:.1%} ({interval}); {own}{note}"


class _Figures(Errors, frozen=True):
    no_score: int = 0


def _errors(rows: Sequence[Row], name: str) -> _Figures:
    labelled = [(p.species, scores[name].score) for p, scores in rows]
    whole = errors(labelled, rows[0][1][name].threshold)
    values = {field: getattr(whole, field) for field in whole.__struct_fields__}
    return _Figures(**values, no_score=sum(score is None for _, score in labelled))


def _without_curve(figures: _Figures) -> _Figures:
    return msgspec.structs.replace(figures, det=())


def _those(rows: Sequence[Row], chosen: Callable[[Presentation], bool]) -> list[Row]:
    return [row for row in rows if chosen(row[0])]
