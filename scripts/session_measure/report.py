"""Counts sessions: the fused decision by species, and what each test alone, or all but one, lets through.

Pure: records in, figures and Markdown out. Every rate comes with its counts and a 95 % interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from session_measure.holding import Record
from session_measure.plan import BONA_FIDE, CUED, GROUPS
from vouchbox.evaluation.rates import clopper_pearson
from vouchbox.messages import Outcome, TestName

Check = Callable[[Record], bool]


def _live(record: Record) -> bool:
    return record.outcome is Outcome.LIVE


def _alone(name: TestName) -> Check:
    return lambda record: record.succeeded(name)


def _without(name: TestName) -> Check:
    return lambda record: all(record.succeeded(other) for other in TestName if other is not name)


CHECKS: dict[str, Check] = {
    "fused": _live,
    **{f"{name} alone": _alone(name) for name in TestName},
    **{f"all but {name}": _without(name) for name in TestName},
}
"""What lets a presentation through. `fused` also asks quality; the others look at the tests only."""


def figures(records: Iterable[Record]) -> dict[str, Any]:
    """For JSON: by group the outcomes, the answers of each test, and how many each check lets through."""
    grouped: dict[str, list[Record]] = {group: [] for group in GROUPS}
    for record in records:
        grouped[record.group].append(record)
    return {group: _group(held) for group, held in grouped.items() if held}


def _group(held: list[Record]) -> dict[str, Any]:
    return {
        "sessions": len(held),
        "outcomes": dict(Counter(str(record.outcome) for record in held).most_common()),
        "tests": {
            name: dict(Counter(str(record.tests[name][0]) for record in held).most_common())
            for name in TestName
        },
        "passes": {what: _rate(sum(map(check, held)), len(held)) for what, check in CHECKS.items()},
        "reasons": dict(Counter(reason for record in held for reason in record.reasons).most_common()),
        "live_by_portrait": {
            portrait: [sum(_live(r) for r in held if r.portrait == portrait), count]
            for portrait, count in sorted(Counter(record.portrait for record in held).items())
        },
        "not_live" if held[0].group == BONA_FIDE else "live": [
            f"{r.number} {r.portrait}?{r.subject} {','.join(r.prompts)}: {','.join(r.reasons)}"
            for r in sorted(held, key=lambda r: r.number)
            if _live(r) != (r.group == BONA_FIDE)
        ],
    }


def _rate(hits: int, tries: int) -> dict[str, Any]:
    low, high = clopper_pearson(hits, tries)
    return {"count": hits, "of": tries, "interval95": [round(low, 5), round(high, 5)]}


def markdown(found: dict[str, Any]) -> str:
    """Three tables: the fused decision, then the ablations."""
    lines = [
        "| presentation | sessions | live | 95 % | attack-suspected | inconclusive |",
        "|---|---|---|---|---|---|",
    ]
    for group, numbers in found.items():
        fused = numbers["passes"]["fused"]
        low, high = fused["interval95"]
        said = numbers["outcomes"]
        lines.append(
            f"| {group} | {fused['of']} | {fused['count']} | {100 * low:.1f} to {100 * high:.1f} % "
            f"| {said.get('attack-suspected', 0)} | {said.get('inconclusive', 0)} |"
        )
    for title, kind in (
        ("What one test alone lets through", "alone"),
        ("What the other three let through", "but"),
    ):
        checks = [what for what in CHECKS if what.endswith(kind) or what.startswith(f"all {kind}")]
        heads = [what.replace(" alone", "").replace("all but", "without") for what in checks]
        lines += [
            "",
            f"{title}:",
            "",
            f"| presentation | {' | '.join(heads)} |",
            "|---" * (len(heads) + 1) + "|",
        ]
        for group, numbers in found.items():
            cells = [
                f"{numbers['passes'][what]['count']} of {numbers['passes'][what]['of']}" for what in checks
            ]
            lines.append(f"| {group} | {' | '.join(cells)} |")
    lines += ["", "Answers of each test (success / fail / not run):", ""]
    lines += [f"| presentation | {' | '.join(TestName)} |", "|---" * (len(TestName) + 1) + "|"]
    for group, numbers in found.items():
        cells = [
            " / ".join(
                str(numbers["tests"][name].get(status, 0)) for status in ("success", "fail", "not-run")
            )
            for name in TestName
        ]
        lines.append(f"| {group} | {' | '.join(cells)} |")
    if any(group in CUED for group in found):
        lines += [
            "",
            "Cued: an operator plays, on the screen, a film of whatever movement the prompt asks for.",
        ]
    return "\n".join(lines) + "\n"
