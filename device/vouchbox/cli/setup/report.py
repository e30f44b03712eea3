"""What setup says: a line for each step as it happens, and a summary at the end. No secret stands in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


class State(StrEnum):
    """How a step ended."""

    DONE = "done"
    KEPT = "kept"
    WAITS = "waits"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass
class Report:
    """The steps so far, by name; a step that is repeated replaces its line."""

    steps: dict[str, tuple[State, str]] = field(default_factory=dict)

    def say(self, step: str, state: State, text: str) -> None:
        """Note how a step ended and write it."""
        self.steps[step] = state, text
        click.echo(f"{step}: {text}")

    @property
    def failed(self) -> bool:
        """Whether any step failed."""
        return any(state is State.FAILED for state, _ in self.steps.values())

    def summary(self, box: str) -> None:
        """Write every step again, with what is left to do."""
        click.echo(f"\nThis box is {box}.")
        rows = Table(show_header=False, box=None, pad_edge=False)
        for step, (state, text) in self.steps.items():
            rows.add_row(step, state.value, Text(text))
        Console(highlight=False).print(rows)
        if self.failed:
            click.echo("Not everything works yet: correct what failed and run `vouchbox setup` again.")
