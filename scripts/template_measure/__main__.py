"""Measures on LFW what protection costs and what it hides, with the models and the code that the box runs.

    scripts/measure_templates [--seed N] [--keys N] [--json FILE]

Prints tables. Embeddings and templates exist in memory only; landmarks are kept in .cache/ between runs.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model_factory import verification
from model_factory.measure_embedding import PAIRS_EACH, ROOT, embed, lfw_pictures, person_of
from vouchbox.vault import template
from vouchbox.vision.manifest import load
from vouchbox.vision.runtime import choose

from . import unlinkability
from .unlinkability import Floats

RESAMPLES = 2000
console = Console(stderr=True)


def protected(embeddings: NDArray[np.float32], model: bytes, by: template.Rotation) -> tuple[Floats, Floats]:
    """The int8 values [n, 128] and the scales [n] of the templates, by the vault's own function."""
    made = [template.protect(row.astype("<f4").tobytes(), model, by) for row in embeddings]
    values = np.array([np.frombuffer(one.values, np.int8) for one in made], np.float64)
    return values, np.array([one.scale for one in made])


def accuracy(clear: NDArray[np.float32], values: Floats, persons: list[str], seed: int) -> dict[str, Any]:
    """Accuracy on the same pairs and folds before and after, and the interval of the difference (paired)."""
    pairs = verification.draw_pairs(persons, PAIRS_EACH, seed)
    unit = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float64)
    result: dict[str, Any] = {"pairs": 2 * PAIRS_EACH}
    sides = {}
    for name, rows in (("before", clear.astype(np.float64)), ("after", unit)):
        same, different = (
            (rows[chosen[:, 0]] * rows[chosen[:, 1]]).sum(axis=1) for chosen in (pairs.same, pairs.different)
        )
        right, total = verification.fold_accuracy(same, different, seed)
        sides[name] = np.concatenate((same, different))
        result[name] = {
            "right": right,
            "accuracy": right / total,
            "interval95": verification.wilson_interval(right, total),
        }
    change = np.abs(sides["after"] - sides["before"])
    result["cosine_change"] = {"mean": float(change.mean()), "largest": float(change.max())}
    result["difference_points"] = 100 * (result["after"]["accuracy"] - result["before"]["accuracy"])
    result["difference_interval95_points"] = _difference(sides, pairs.same.shape[0], seed)
    return result


def _difference(sides: dict[str, Floats], same: int, seed: int) -> list[float]:
    # Paired bootstrap over pairs, each side judged at its own best threshold of the whole.
    truth = np.arange(sides["before"].size) < same
    right = {name: (s >= verification._best_threshold(s, truth)) == truth for name, s in sides.items()}
    gain = right["after"].astype(float) - right["before"].astype(float)
    rng = np.random.default_rng(seed)
    means = [gain[rng.integers(0, gain.size, gain.size)].mean() for _ in range(RESAMPLES)]
    return [100 * float(np.percentile(means, q)) for q in (2.5, 97.5)]


def linkability(
    embeddings: NDArray[np.float32], persons: list[str], model: bytes, keys: int, seed: int
) -> dict[str, Any]:
    """D_sys of each linkage function over `keys` pairs of keys: mean, lowest, highest, and chance."""
    rng = np.random.default_rng(seed)
    pictures: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(persons):
        pictures[person].append(index)
    several = [name for name in sorted(pictures) if len(pictures[name]) > 1]
    chosen = np.array([rng.choice(pictures[name], 2, replace=False) for name in several])
    first, second = chosen[:, 0], chosen[:, 1]
    others = np.concatenate([np.roll(second, shift) for shift in range(1, 11)])
    crowd = np.tile(first, 10)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(name: str, mated: Floats, non_mated: Floats) -> None:
        found[name].append(
            (unlinkability.d_sys(mated, non_mated), unlinkability.chance(mated, non_mated, rng))
        )

    clear = embeddings.astype(np.float64)
    add(
        "no protection, cosine",
        unlinkability.cosine(clear[first], clear[second]),
        unlinkability.cosine(clear[crowd], clear[others]),
    )
    half = len(embeddings) // 2
    for number in track(range(keys), "pairs of keys", console=console):
        secret = rng.bytes(template.SECRET_BYTES)
        # Even numbers: two parties of one fleet. Odd numbers: two epochs of one party.
        here = template.rotation(secret, "a", 1)
        there = template.rotation(secret, "b", 1) if number % 2 == 0 else template.rotation(secret, "a", 2)
        a, scale_a = protected(embeddings, model, here)
        b, scale_b = protected(embeddings, model, there)
        add("cosine", unlinkability.cosine(a[first], b[second]), unlinkability.cosine(a[crowd], b[others]))
        add(
            "magnitude of the cosine",
            np.abs(unlinkability.cosine(a[first], b[second])),
            np.abs(unlinkability.cosine(a[crowd], b[others])),
        )
        add(
            "sorted values",
            unlinkability.ordered(a[first], b[second]),
            unlinkability.ordered(a[crowd], b[others]),
        )
        add(
            "difference of the scales",
            np.abs(scale_a[first] - scale_b[second]),
            np.abs(scale_a[crowd] - scale_b[others]),
        )
        for name, rows_a, rows_b in (
            ("axes of all templates, same pictures at both", np.arange(len(a)), np.arange(len(b))),
            ("axes of all templates, other pictures at each", np.arange(half), np.arange(half, 2 * half)),
            ("axes of 200 templates each", rng.choice(len(a), 200, False), rng.choice(len(b), 200, False)),
        ):
            add(
                name,
                unlinkability.aligned(a[first], b[second], a[rows_a], b[rows_b]),
                unlinkability.aligned(a[crowd], b[others], a[rows_a], b[rows_b]),
            )
    return {
        "mated_pairs": len(first),
        "non_mated_pairs": len(others),
        "templates": len(embeddings),
        "d_sys": {
            name: {
                "key_pairs": len(values),
                "mean": float(np.mean([value for value, _ in values])),
                "interval95": [float(np.percentile([value for value, _ in values], q)) for q in (2.5, 97.5)],
                "chance": float(np.mean([by_chance for _, by_chance in values])),
            }
            for name, values in found.items()
        },
    }


def show(figures: dict[str, Any]) -> None:
    """The figures as two tables."""
    printer = Console(width=120)
    before, after = figures["accuracy"]["before"], figures["accuracy"]["after"]
    rows = Table("LFW pairs", "right", "of", "accuracy", "95 % interval")
    for name, one in (("before protection", before), ("after protection", after)):
        low, high = one["interval95"]
        rows.add_row(
            name, str(one["right"]), str(figures["accuracy"]["pairs"]), f"{100 * one['accuracy']:.2f} %",
            f"{100 * low:.2f} .. {100 * high:.2f} %",
        )  # fmt: skip
    printer.print(rows)
    rows = Table("linkage function", "D_sys, mean", "95 % of key pairs", "by chance", "key pairs")
    for name, one in figures["linkability"]["d_sys"].items():
        low, high = one["interval95"]
        rows.add_row(
            name,
            f"{one['mean']:.3f}",
            f"{low:.3f} .. {high:.3f}",
            f"{one['chance']:.3f}",
            str(one["key_pairs"]),
        )
    printer.print(rows)


@click.command()
@click.option("--seed", default=2026, show_default=True, help="Draws pairs, folds, pictures and keys.")
@click.option("--keys", default=20, show_default=True, help="Pairs of keys (two parties, two epochs).")
@click.option(
    "--json", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here."
)
def main(seed: int, keys: int, target: Path | None) -> None:
    """Measure accuracy before and after protection, and linkability by D_sys, on LFW.

    \b
    Example: scripts/measure_templates --json /tmp/templates.json
    """
    data = Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data"))
    pictures = lfw_pictures(data)
    models, runtime = load(ROOT / "models"), choose("litert")
    (rows,), seen = embed(pictures, models, [models], runtime, "faces")
    kept = np.flatnonzero(np.array(seen))
    embeddings, persons = rows[kept], [person_of(pictures[k]) for k in kept]
    model = bytes.fromhex(models.entry("embedding").sha256)
    secret = np.random.default_rng(seed).bytes(template.SECRET_BYTES)
    values, _ = protected(embeddings, model, template.rotation(secret, "a", 1))
    figures = {
        "data": "LFW, deep-funnelled 160x160 centre crops",
        "pictures": len(pictures),
        "no_face": len(pictures) - len(kept),
        "persons": len(set(persons)),
        "seed": seed,
        "runtime": runtime.label,
        "accuracy": accuracy(embeddings, values, persons, seed),
        "linkability": linkability(embeddings, persons, model, keys, seed),
    }
    show(figures)
    if target is not None:
        target.write_text(json.dumps(figures, indent=1) + "\n")


main(prog_name="measure_templates")
