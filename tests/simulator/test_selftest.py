"""The self-test passes on a whole installation, and each thing that is wrong with one fails it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.errors import AuditError, ConfigError, ModelError, NoVerdict, OutboxError
from vouchbox.simulator import selftest
from vouchbox.vault import audit, provision, signed_head
from vouchbox.vault import keys as vault_keys
from vouchbox.vault.store import Store

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def box(tmp_path: Path) -> Config:
    """A box with keys, and a state whose log has three entries and was vouched for."""
    path = tmp_path / "vouchbox.toml"
    path.write_text(
        f'[box]\nsite = "berlin"\ndevice = "door-1"\nstate = "{tmp_path / "state"}"\n'
        f'[vault]\nkeys = "{tmp_path / "keys"}"\nparties = "{tmp_path / "parties"}"\n'
    )
    config = configuration.load(path)
    (tmp_path / "parties").mkdir()
    provision.create_identity(config.vault.keys, audience=config.box.audience)
    provision.publish(config.vault.keys, audience=config.box.audience)
    store = Store(config.box.state)
    with store.transaction():
        for number in range(3):
            audit.append(store, audit.Event.STARTED, 1_790_000_000 + number, {"version": "0.1.0"})
    ring = vault_keys.load(config.vault.keys)
    statement = signed_head.sign(store, ring.signer, config.box.audience, 1_790_000_003)
    signed_head.keep(config.box.state, statement)
    store.close()
    return config


def test_a_whole_installation_passes_and_says_what_it_looked_at(box: Config, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the portrait travels inside scikit-image")
    copy = tmp_path / "copy"
    shutil.copytree(box.box.state, copy)
    before = {path.name: path.read_bytes() for path in box.box.state.iterdir()}
    said: list[str] = []
    selftest.run(box, copy, said.append)
    assert said[0] == "0 registrations can be read"
    assert said[1].startswith("4 models load with their digests, on ")
    assert said[2] == "the database opens, and its log of 3 entries is whole"
    assert said[3] == "a simulated session ended live, verified by its relying party"
    assert {path.name: path.read_bytes() for path in box.box.state.iterdir()} == before


def test_a_picture_held_before_the_camera_fails_it(box: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage", reason="the portrait travels inside scikit-image")
    monkeypatch.setattr(selftest, "SUBJECT", "print:collins")
    with pytest.raises(NoVerdict, match="the simulated session"):
        selftest.session(box)


def test_a_damaged_model_or_registration_fails_it(box: Config, tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path / "models")
    model = tmp_path / "models" / "detector.tflite"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    path = tmp_path / "vouchbox.toml"
    path.write_text(f'{path.read_text()}[vision]\nmodels = "{tmp_path / "models"}"\n')
    said: list[str] = []
    with pytest.raises(ModelError):
        selftest.run(configuration.load(path), None, said.append)
    assert len(said) == 1
    (box.vault.parties / "shop.toml").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"shop\.toml"):
        selftest.run(box, None, said.append)


def test_a_state_that_was_changed_cut_off_or_is_of_a_later_version_fails_it(box: Config) -> None:
    def changed(*statements: str) -> None:
        store = Store(box.box.state)
        for statement in statements:
            store.execute(statement)
        store.close()

    assert selftest.check_state(box, box.box.state) == 3
    changed("DROP TRIGGER audit_is_not_shortened", "DELETE FROM audit WHERE entry = 3")
    with pytest.raises(AuditError, match="vouched for"):
        selftest.check_state(box, box.box.state)
    changed("DROP TRIGGER audit_is_not_edited", "UPDATE audit SET detail = '{}' WHERE entry = 2")
    with pytest.raises(NoVerdict, match="entry 2"):
        selftest.check_state(box, box.box.state)
    changed("PRAGMA user_version = 99")
    with pytest.raises(OutboxError, match="later version"):
        selftest.check_state(box, box.box.state)
