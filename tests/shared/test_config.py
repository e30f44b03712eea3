"""A wrong configuration names its key and starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from vouchbox.config import load
from vouchbox.errors import ConfigError
from vouchbox.reasons import SENTENCES, Reason

GOOD = '[box]\nsite = "berlin"\ndevice = "door-1"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "vouchbox.toml"
    path.write_text(text)
    return path


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.box.topic == "vouchbox/v1/berlin/door-1"
    assert config.socket("vision").name == "vision.sock"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "box"),
        ("[box]\nsite = 'a'\n", "device"),
        ("[box]\nsite = '../etc'\ndevice = 'a'\n", "site"),
        ("[box]\nsite = 'a/+/#'\ndevice = 'a'\n", "site"),
        (GOOD + "[camera]\nframe-rate = 0\n", "frame-rate"),
        (GOOD + "[camera]\nframerate = 15\n", "framerate"),
        (GOOD + "[vision]\nruntime = 'tensorrt'\n", "runtime"),
        (GOOD + "[uplink]\nport = 99999\n", "port"),
        ("not toml at all", "vouchbox.toml"),
        ("\x00\xff", "vouchbox.toml"),
    ],
)
def test_a_wrong_file_is_refused_and_the_key_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(written(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read"):
        load(tmp_path / "none.toml")


def test_every_reason_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


def test_of_a_units_credentials_the_configuration_knows_the_tls_key_alone(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD + "[uplink]\nkey = '/etc/vouchbox/tls/box.key'\n"))
    handed = config.with_credentials(Path("/run/credentials/room"))
    assert handed.uplink.key == Path("/run/credentials/room/box.key")
    assert handed.uplink.certificate == config.uplink.certificate
    assert handed.vault == config.vault, "the vault's keys are found by the vault"
    assert config.uplink.key == Path("/etc/vouchbox/tls/box.key")


def test_a_room_may_be_given_to_a_user_by_name_or_number(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD + "[vault.users]\nvision = 'vouchbox-vision'\nuplink = 994\n"))
    assert config.vault.users == {"vision": "vouchbox-vision", "uplink": 994}
    with pytest.raises(ConfigError, match="users"):
        load(written(tmp_path, GOOD + "[vault.users]\nvision = 'no such user'\n"))
