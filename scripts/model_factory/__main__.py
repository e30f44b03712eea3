"""`scripts/build_models`: builds the models into models/, or with --check builds them anew beside it and says
whether they are equivalent to the committed files. Never changes a file when checking.
"""

from __future__ import annotations

import time

import click
from rich.console import Console

from .build import RECIPES, Built
from .equivalence import compare
from .manifest import MODELS, read, record_build


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("roles", nargs=-1, type=click.Choice(sorted(RECIPES)))
@click.option("--check", is_flag=True, help="Compare with the committed files, and change nothing.")
def main(roles: tuple[str, ...], check: bool) -> None:
    """Build the models (all, or the ROLES named) from their public sources.

    Examples: scripts/build_models embedding; scripts/build_models --check
    """
    console = Console()
    differing = []
    for role in roles or tuple(sorted(RECIPES)):
        began = time.monotonic()
        with console.status(f"building the {role} model"):
            built = RECIPES[role](console.print)
        seconds = time.monotonic() - began
        if not check:
            record_build(built.entry, built.data)
            console.print(f"{role}: {built.entry['file']}, {len(built.data)} bytes, {seconds:.0f} s")
            continue
        verdict = compare(role, committed(role), built)
        if not verdict.equivalent:
            differing.append(role)
        word = "equivalent" if verdict.equivalent else "NOT equivalent"
        console.print(f"{role}: {word} to the committed file ({verdict.reason}), {seconds:.0f} s")
    if differing:
        raise click.ClickException(f"a new build differs: {', '.join(differing)}; build and measure it again")


def committed(role: str) -> Built:
    """What models/ holds for a role."""
    entry = next((e for e in read() if e["role"] == role), None)
    if entry is None:
        raise click.ClickException(f"models/manifest.toml has no {role}: run scripts/build_models {role}")
    return Built((MODELS / entry["file"]).read_bytes(), entry)


if __name__ == "__main__":
    main()
