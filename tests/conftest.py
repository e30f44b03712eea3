"""Fixtures that every room's tests share."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real clips; skips where it is absent."""
    folder = Path(os.environ.get("VOUCHBOX_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "liveness.csv").is_file():
        pytest.skip(f"real clips are not at {folder} (set VOUCHBOX_DATA)")
    return folder


@pytest.fixture(scope="session")
def real_videos(real_data: Path) -> list[dict[str, str]]:
    """The rows of liveness.csv that are videos, `path` made absolute."""
    with (real_data / "liveness.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "video"]
    for row in rows:
        row["path"] = str(real_data / row["path"])
    return rows


@pytest.fixture
def short_tmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket (108 bytes)."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="vb-") as name:
        yield Path(name)
