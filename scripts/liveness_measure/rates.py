"""Counts with their confidence: how often something happened, and how sure one can be of the rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vouchbox.evaluation.rates import clopper_pearson


@dataclass
class Tally:
    """How often each answer was given; `wrong` names the answers that count against the tests."""

    wrong: frozenset[str]
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, answer: str) -> None:
        """Count one."""
        self.answers[answer] += 1

    def numbers(self) -> dict[str, object]:
        """For JSON and the table: the counts, and the rate of wrong answers with its interval."""
        tries = sum(self.answers.values())
        hits = sum(count for answer, count in self.answers.items() if answer in self.wrong)
        low, high = clopper_pearson(hits, tries)
        return {
            "answers": dict(sorted(self.answers.items())),
            "wrong": hits,
            "of": tries,
            "rate": round(hits / tries, 5) if tries else None,
            "interval95": [round(low, 5), round(high, 5)],
        }
