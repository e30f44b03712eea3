"""A system with the package installed, made once a run, and boxes booted over it.

Several workers of a parallel run share the installed system (a file lock) and boot boxes of their own.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from proving_ground.base import base, missing  # noqa: E402
from proving_ground.box import install, package  # noqa: E402
from proving_ground.container import Container  # noqa: E402
from proving_ground.world import World  # noqa: E402

VERSION = "0.1.0"


@pytest.fixture(scope="session")
def can_boot() -> None:
    """Skips where no container can be booted."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def deb(can_boot: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for the base system."""
    folder = shared(tmp_path_factory) / "packages"
    return once(folder, lambda: package(folder, VERSION))


@pytest.fixture(scope="session")
def installed(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The layers of a system in which apt installed the package without a network."""
    folder = shared(tmp_path_factory) / "installed"
    return once(folder, lambda: install(deb, folder / "system")), base()


@pytest.fixture
def boot(installed: tuple[Path, ...], tmp_path: Path) -> Iterator[Callable[[], Container]]:
    """Boots a fresh system with the package for this test alone."""
    running: list[Container] = []

    def start() -> Container:
        running.append(Container(installed, tmp_path / f"box-{len(running)}").__enter__())
        return running[-1]

    yield start
    for container in running:
        container.close()


@pytest.fixture
def world(tmp_path: Path, can_boot: None, mosquitto: None) -> Iterator[World]:
    """A wire, a broker and a relying party."""
    with World(tmp_path / "world") as everyone:
        yield everyone


@pytest.fixture(scope="module")
def world_of_module(
    tmp_path_factory: pytest.TempPathFactory, can_boot: None, mosquitto: None
) -> Iterator[World]:
    """One for all tests of a module."""
    with World(tmp_path_factory.mktemp("world")) as everyone:
        yield everyone


@pytest.fixture
def box(world: World, installed: tuple[Path, ...], tmp_path: Path) -> Iterator[Container]:
    """A system with the package, at the end of the wire; nothing is configured yet."""
    with Container(installed, tmp_path / "box", world.box_namespace) as container:
        yield container


def shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that every worker of this run shares."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "appliance"
    folder.mkdir(exist_ok=True)
    return folder


def once(folder: Path, make: Callable[[], Path]) -> Path:
    """What `make` returns, made by the first worker that asks."""
    folder.mkdir(exist_ok=True)
    made = folder / ".made"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_text(str(make()))
    return Path(made.read_text())
