"""The README names every command and no other, and each of its links leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vouchbox.cli import COMMANDS
from vouchbox.cli import vouchbox as vouchbox_command

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_that_the_readme_names_exists_and_the_other_way_round() -> None:
    in_code = re.findall(r"`(?:\.venv/bin/)?vouchbox ([a-z-]+)", README)
    in_blocks = re.findall(r"^    (?:\.venv/bin/)?vouchbox ([a-z-]+)", README, flags=re.MULTILINE)
    assert set(in_code + in_blocks) == set(COMMANDS)


def test_every_subcommand_of_relying_party_is_named_and_exists() -> None:
    group = vouchbox_command.get_command(click.Context(vouchbox_command), "relying-party")
    assert isinstance(group, click.Group)
    row = next(line for line in README.splitlines() if line.startswith("| `vouchbox relying-party`"))
    assert set(re.findall(r"`([a-z]+)`", row)) == set(group.commands)


def test_every_relative_link_of_the_readme_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in README.splitlines()
        if line.startswith("#")
    }
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists() if path else anchor in headings, link


def test_every_script_that_the_readmes_name_exists_and_every_script_is_listed() -> None:
    for name in re.findall(r"scripts/([a-z_]+)", README):
        assert (ROOT / "scripts" / name).exists(), name
    listed = set(re.findall(r"^\| `([a-z_]+)`", (ROOT / "scripts/README.md").read_text(), flags=re.MULTILINE))
    present = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()} - {"README.md"}
    assert listed == present
