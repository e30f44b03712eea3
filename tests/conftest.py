"""Fixtures that every room's tests share."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
import pytest

from vouchbox.errors import BrokerError, KeyStoreError
from vouchbox.simulator.broker import Mosquitto, find_mosquitto
from vouchbox.simulator.tokens import TOKENS, SimulatedToken, SoftHsm, Tpm

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


def make_token(kind: str, folder: Path) -> SimulatedToken:
    """A fresh token of that kind; skips where its programs are not installed."""
    try:
        return TOKENS[kind](folder)
    except KeyStoreError as problem:
        if "install" not in problem.fix:
            raise
        pytest.skip(str(problem))


@pytest.fixture
def token_maker() -> Callable[[str, Path], SimulatedToken]:
    """Makes a token in a folder; the caller closes it. Skips where its programs are not installed."""
    return make_token


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[SimulatedToken]:
    """A token for one test; its library forgets it afterwards."""
    with make_token(kind, folder) as token:
        yield token
        library = pkcs11._loaded.get(str(token.config.module))
        if library is not None and library.initialized:
            library.finalize()


@pytest.fixture
def softhsm(short_tmp: Path) -> Iterator[SoftHsm]:
    """An empty SoftHSM token."""
    with opened("softhsm", short_tmp) as token:
        assert isinstance(token, SoftHsm)
        yield token


@pytest.fixture
def tpm(short_tmp: Path) -> Iterator[Tpm]:
    """An empty TPM behind tpm2-pkcs11."""
    with opened("tpm", short_tmp) as token:
        assert isinstance(token, Tpm)
        yield token


@pytest.fixture(params=list(TOKENS))
def any_token(request: pytest.FixtureRequest, short_tmp: Path) -> Iterator[SimulatedToken]:
    """Each kind of token in turn."""
    with opened(request.param, short_tmp) as token:
        yield token


@pytest.fixture
def short_tmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket (108 bytes)."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="vb-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def mosquitto() -> Mosquitto:
    """Skips where there is no broker program."""
    try:
        return find_mosquitto()
    except BrokerError as problem:
        pytest.skip(str(problem))
