"""Options that many commands take alike, declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

BOX_FILE = Path("/etc/vouchbox/vouchbox.toml")
"""Where the package keeps a box's configuration."""


def config_option(
    told: str = "The box's configuration.", default: Path = BOX_FILE
) -> Callable[[Command], Command]:
    """`--config PATH`, which the command takes as `path`."""
    return click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        default=default,
        show_default=True,
        help=told,
    )
