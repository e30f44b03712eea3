"""`vouchbox match`: do two opened templates belong to one person, at a stated false match rate?"""

from __future__ import annotations

import json
import sys

import click

from vouchbox.cli.verify import read_bytes
from vouchbox.errors import UsageError
from vouchbox.relying_party import templates
from vouchbox.vault import matching

NO_MATCH = 3


@click.command(epilog="Example: vouchbox match monday.clear tuesday.clear --fmr 0.0001")
@click.argument("first")
@click.argument("second")
@click.option("--fmr", type=click.FloatRange(0, 0.01, min_open=True), default=1e-4, show_default=True)
@click.option("--threshold", type=click.FloatRange(-1, 1), help="A cosine instead of --fmr.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def match(first: str, second: str, fmr: float, threshold: float | None, as_json: bool) -> None:
    """Compare two templates that `vouchbox open` has opened (one of them may be -, standard input).

    Exit code 0 for a match, 3 for no match, 1 when they can't be compared.
    """
    if first == second == "-":
        raise UsageError("standard input is one template only", "name a file for the other")
    a, b = templates.decode(read_bytes(first)), templates.decode(read_bytes(second))
    similarity = templates.similarity(a, b)
    limit = _threshold(a.model.hex(), fmr) if threshold is None else threshold
    same = similarity >= limit
    if as_json:
        facts = {"match": same, "similarity": round(similarity, 6), "threshold": limit}
        click.echo(json.dumps(facts if threshold is not None else {**facts, "fmr": fmr}))
    else:
        word = "Match" if same else "No match"
        click.echo(f"{word}: similarity {similarity:.3f}, threshold {limit:.3f}.")
    sys.exit(0 if same else NO_MATCH)


def _threshold(model: str, fmr: float) -> float:
    known = matching.load()
    limit = known.cosine(fmr) if known.model == model else None
    if limit is None:
        raise UsageError("no threshold is known for this model and rate", "give --threshold")
    return limit
