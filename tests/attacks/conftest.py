"""For the stories here: the vault and its rooms of tests/vault, the relying party of tests/relying_party."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vouchbox.messages import ConsentAsked, Examine, Outgoing
from vouchbox.vault import formats

TESTS = Path(__file__).resolve().parent.parent


def _fixtures_of(room: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{room}_fixtures", TESTS / room / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_vault = _fixtures_of("vault")
_relying_party = _fixtures_of("relying_party")

party, parties, app_party = _vault.party, _vault.parties, _vault.app_party
clock, exam, embedding, make_world, world = (
    _vault.clock,
    _vault.exam,
    _vault.embedding,
    _vault.make_world,
    _vault.world,
)
vault_box = _relying_party.vault_box
_pair = _relying_party.World


@pytest.fixture
def counter(vault_box: Any, tmp_path: Path) -> Iterator[Any]:
    """One box and one relying party that know each other (tests/relying_party/conftest.py)."""
    made = _relying_party.keys.generate(tmp_path / "party-keys")
    vault_box.register(_relying_party.keys.registration(made, _relying_party.PARTY, "Example Pickup"))
    with _relying_party.Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield _pair(vault_box, made, tmp_path, ledger)


class Watched:
    """What the vault's rooms heard, for a story to judge by."""

    def __init__(self, world: Any) -> None:
        self._world = world

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """The claims of every verdict that left, oldest first."""
        rows = {
            r.row: r for r in self._world.of("uplink", Outgoing) if r.content_type == "application/eat+jwt"
        }
        return [json.loads(formats.from_base64url(r.payload.split(b".")[1].decode())) for r in rows.values()]

    @property
    def last(self) -> tuple[str, list[str]]:
        """Outcome and reasons of the last verdict."""
        said = self.verdicts[-1]["vouchbox"]
        return said["outcome"], said["reasons"]

    @property
    def asked(self) -> int:
        """How often a person was shown a notice."""
        return len(self._world.of("kiosk", ConsentAsked))

    @property
    def opened(self) -> int:
        """How often the camera was opened."""
        return len(self._world.of("vision", Examine))


@pytest.fixture
def watch() -> Any:
    """Watch a world: `watch(world).opened` and so on."""
    return Watched


@pytest.fixture
def open_world(make_world: Any) -> Any:
    """A vault with these parties, all rooms at its doors, the broker reached."""

    def make(*parties: Any) -> Any:
        made = make_world(*parties)
        made.connect()
        return made

    return make
