"""`vouchbox setup --from FILE`: one file makes a box that works; a wrong one changes nothing."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox import config as configuration
from vouchbox.cli.setup import after_use, setup_file, steps, unattended
from vouchbox.errors import ConfigError, VouchboxError
from vouchbox.simulator.broker import Broker
from vouchbox.simulator.tokens import SoftHsm
from vouchbox.uplink.identity import tls_context
from vouchbox.vault import keys, registry
from vouchbox.vault.provision import PUBLIC_FILE

NO_SESSION = 'session = "none"'


@pytest.mark.mosquitto
def test_one_file_makes_a_box_that_works_and_a_second_run_keeps_all_of_it(
    box: Any, broker: Broker, everything: str, portraits: None
) -> None:
    box.answers(port=broker.port, setup=everything)
    said = box.run("--from", str(box.file))
    config = configuration.load(box.path)
    assert config.box.audience == "vouchbox:shop/door"
    assert "# My own remark stays." in box.path.read_text()
    keys.load(config.vault.keys)
    tls_context(config.uplink)
    assert config.uplink.key.stat().st_mode & 0o777 == 0o600
    assert set(registry.load(config.vault.parties)) == {"pickup-counter"}
    assert "takes this box's certificate" in said
    assert "live, before a simulated source" in said
    assert "signed and verified" in said
    assert not (config.box.state / "vault.sqlite").exists(), "the test session is not the box's"
    assert f"remove {box.brought / 'box.key'}" in said, "the operator's own file is not touched, but told of"
    assert (box.brought / "box.key").exists()
    assert not [line for line in (box.brought / "box.key").read_text().splitlines()[1:-1] if line in said]

    before = box.snapshot()
    box.answers(port=broker.port, setup=f"{everything}\n{NO_SESSION}")
    again = box.run("--from", str(box.file))
    assert box.snapshot() == before
    assert "there already" in again


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"more": "prot = 3"}, "prot"),
        ({"port": 70_000}, "port"),
        ({"source": "webcam:x"}, "names no camera"),
        ({"source": "webcam:63"}, "camera"),
        ({"source": "simulated:nobody"}, "nobody"),
        ({"source": "clip:/nowhere.mp4"}, "clip"),
        ({"setup": 'relying-parties = ["none.toml"]'}, "none.toml"),
        ({"setup": 'relying-parties = ["ca.pem"]'}, "ca.pem"),
        ({"setup": 'relying-parties = ["pickup.toml", "pickup.toml"]'}, "two files"),
        ({"setup": 'certificate = "none.pem"\nkey = "box.key"'}, "none.pem"),
        ({"setup": 'certificate = "box.pem"\nkey = "ca.pem"\nca = "ca.pem"'}, "can't use the key"),
        ({"setup": 'ca = "box.key"\ncertificate = "box.pem"\nkey = "box.key"'}, "CA file"),
        ({"setup": 'key = "box.key"'}, "without its certificate"),
        ({"setup": 'token-pin = "1234"'}, "no token"),
        ({"setup": "unknown = 1"}, "unknown"),
        ({"setup": 'device-from = "serial"'}, "device-from"),
        ({"more": "[kiosk]\nx = 1"}, "kiosk"),
        ({"more": "not toml"}, "no TOML"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_file_gives_one_sentence_and_changes_nothing(
    box: Any, wrong: dict[str, Any], sentence: str
) -> None:
    box.answers(**wrong)
    before = box.snapshot()
    with pytest.raises(VouchboxError, match=sentence) as problem:
        unattended.run(box.path, box.file, put_aside=False, start=False)
    assert str(problem.value).count("\n") == 0
    assert box.snapshot() == before
    assert sorted(box.etc.iterdir()) == [box.path]


def test_a_certificate_for_another_box_is_refused_before_anything_is_changed(
    box: Any, everything: str
) -> None:
    box.answers(setup=everything, more="")
    box.file.write_text(box.file.read_text().replace('"door"', '"window"'))
    before = box.snapshot()
    with pytest.raises(VouchboxError, match="is for shop/door, and this box is shop/window"):
        unattended.run(box.path, box.file, put_aside=False, start=False)
    assert box.snapshot() == before


def test_a_box_without_a_name_is_not_set_up(box: Any) -> None:
    box.file.write_text('[camera]\nsource = "simulated:collins"\n')
    assert "no name yet" in box.run("--from", str(box.file), code=2)


def test_without_a_terminal_and_without_a_file_nothing_is_asked(box: Any) -> None:
    assert "--from" in box.run(code=2)


def test_a_key_or_a_registration_that_is_there_is_never_replaced(
    box: Any, everything: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    box.answers(setup=f"{everything}\n{NO_SESSION}")
    (box.etc / "tls").mkdir()
    (box.etc / "tls" / "box.key").write_text("mine")
    with pytest.raises(ConfigError, match="another TLS key"):
        unattended.run(box.path, box.file, put_aside=False, start=False)
    (box.etc / "tls" / "box.key").unlink()
    (box.etc / "parties").mkdir()
    text = (box.brought / "pickup.toml").read_text()
    (box.etc / "parties" / "pickup-counter.toml").write_text(text + "# mine\n")
    with pytest.raises(ConfigError, match="--replace"):
        unattended.run(box.path, box.file, put_aside=False, start=False)
    assert not (box.etc / "keys").exists()


def test_without_a_certificate_the_box_makes_its_own_key_and_asks_for_one(
    box: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    box.answers(setup=f'ca = "ca.pem"\n{NO_SESSION}')
    report = unattended.run(box.path, box.file, put_aside=False, start=False)
    assert not report.failed
    assert f"have {box.etc / 'tls' / 'box.csr'} signed" in capsys.readouterr().out
    assert (box.etc / "tls" / "box.key").stat().st_mode & 0o777 == 0o600


def test_a_broker_that_is_away_is_told_and_takes_nothing_back(
    box: Any, everything: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    box.answers(setup=f"{everything}\n{NO_SESSION}")
    report = unattended.run(box.path, box.file, put_aside=False, start=False)
    assert report.failed
    assert "nothing answers at localhost:1" in capsys.readouterr().out
    assert (box.etc / steps.UNDER_WAY).exists(), "the next start tries again"
    keys.load(box.keys)


def test_a_new_name_renews_the_public_document_and_keeps_every_key(
    box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    box.answers(setup=NO_SESSION)
    unattended.run(box.path, box.file, put_aside=False, start=False)
    before = {path.name: path.read_bytes() for path in box.keys.iterdir()}
    box.file.write_text(box.file.read_text().replace('"door"', '"window"'))
    unattended.run(box.path, box.file, put_aside=False, start=False)
    after = {path.name: path.read_bytes() for path in box.keys.iterdir()}
    assert b"vouchbox:shop/window" in after.pop(PUBLIC_FILE)
    assert before.pop(PUBLIC_FILE)
    assert after == before


def test_a_power_cut_at_any_write_leaves_nothing_half_written_and_the_next_run_ends_the_setup(
    tmp_path: Path, new_box: Callable[[Path], Any], everything: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    monkeypatch.setattr(steps, "try_broker", lambda *_: None)
    for cut in itertools.count(1):
        (tmp_path / str(cut)).mkdir()
        box = new_box(tmp_path / str(cut))
        box.answers(setup=f"{everything}\n{NO_SESSION}")
        if not _run_until(box, cut):
            break
        configuration.load(box.path)
        there = keys.load(box.keys).identity if box.keys.exists() else None
        if (box.etc / "parties").exists():
            registry.load(box.etc / "parties")
        for name in ("ca.pem", "box.pem", "box.key"):
            written = box.etc / "tls" / name
            assert not written.exists() or written.read_bytes() == (box.brought / name).read_bytes()
        assert (box.etc / steps.UNDER_WAY).exists(), "the unit of the first boot goes on"

        assert not _run_until(box, 0)
        made = keys.load(box.keys).identity
        assert there is None or made == there, "an identity that was there was kept"
        assert set(registry.load(box.etc / "parties")) == {"pickup-counter"}
        tls_context(configuration.load(box.path).uplink)
        assert {path.name for path in box.etc.iterdir() if ".old" not in path.name} == {
            "vouchbox.toml",
            "keys",
            "parties",
            "tls",
        }
    assert cut > 15, "there must be writes to cut"


def _run_until(box: Any, cut: int) -> bool:
    """Run setup in a process that dies at its `cut`-th fsync (0: never); whether it died."""
    child = os.fork()
    if child == 0:
        real, left = os.fsync, itertools.count(1)

        def fsync(handle: int) -> None:
            if next(left) == cut:
                os._exit(9)
            real(handle)

        os.fsync = fsync
        code = 1
        try:
            unattended.run(box.path, box.file, put_aside=False, start=False)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_on_the_boot_partition_a_file_with_secrets_is_wiped_and_one_without_is_renamed(
    box: Any, everything: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    monkeypatch.setattr(steps, "try_broker", lambda *_: None)
    box.answers(setup=f"{everything}\n{NO_SESSION}")
    secret = (box.brought / "box.key").read_bytes()
    # A second name of the same blocks shows what is on the disk afterwards.
    (box.folder / "blocks").hardlink_to(box.brought / "box.key")
    unattended.run(box.path, box.file, put_aside=True, start=False)
    assert not (box.brought / "box.key").exists()
    assert (box.folder / "blocks").read_bytes() == bytes(len(secret))
    assert (box.etc / "tls" / "box.key").read_bytes() == secret
    assert {path.name for path in box.brought.iterdir()} == {
        "vouchbox-setup.toml.done",
        "door.jwks.json",
        "pickup.toml",
        "ca.pem",
        "box.pem",
    }


def test_a_pin_goes_to_the_vault_and_not_to_the_journal(
    box: Any,
    softhsm: SoftHsm,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    variables = "\n".join(f'{name} = "{value}"' for name, value in softhsm.config.environment.items())
    token = f'[vault.token]\nmodule = "{softhsm.config.module}"\n[vault.token.environment]\n{variables}'
    box.answers(setup=f'{NO_SESSION}\ntoken-pin = "{softhsm.pin}"', more=token)
    unattended.run(box.path, box.file, put_aside=True, start=False)
    assert (box.keys / keys.PIN_FILE).stat().st_mode & 0o777 == 0o600
    keys.load(box.keys, configuration.load(box.path).vault.token).signer.close()
    assert not box.file.exists()
    said = capsys.readouterr().out
    assert "overwritten and removed" in said
    assert softhsm.pin not in said


def test_what_is_public_of_a_box_lies_on_the_boot_partition_for_who_collects_it(
    box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    box.answers(setup=NO_SESSION)
    unattended.run(box.path, box.file, put_aside=True, start=False)
    assert (box.brought / "door.jwks.json").read_bytes() == (box.keys / PUBLIC_FILE).read_bytes()
    assert (box.brought / "door.csr").read_bytes() == (box.etc / "tls" / "box.csr").read_bytes()
    secrets = [path.read_bytes() for path in box.keys.iterdir() if path.stat().st_mode & 0o077 == 0]
    assert len(secrets) == 3
    shown = b"".join(path.read_bytes() for path in box.brought.iterdir() if path.name != "box.key")
    assert not [secret for secret in secrets if secret.strip() in shown]


def test_a_partition_that_can_not_be_written_is_named_with_what_lies_there_in_the_open(
    box: Any, everything: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    box.answers(setup=everything)
    monkeypatch.setattr(after_use, "wipe", refuse)
    with pytest.raises(ConfigError, match=r"box\.key can't be removed .*whoever holds the card"):
        after_use.put_aside(setup_file.read(box.file))


def test_a_boot_file_is_used_by_itself_once_and_never_on_a_box_that_is_set_up(
    box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from vouchbox.cli.setup import command

    monkeypatch.setattr(steps, "try_camera", lambda *_: None)
    monkeypatch.setattr(setup_file, "find", lambda: box.file if box.file.exists() else None)

    def run() -> Any:
        return CliRunner().invoke(command.setup, ["--config", str(box.path), "--no-start"])

    box.answers(setup=NO_SESSION)
    assert run().exit_code == 0
    assert not box.file.exists()
    before = box.snapshot()
    box.answers(setup=NO_SESSION)
    box.file.write_text(box.file.read_text().replace('"shop"', '"elsewhere"'))
    refused = run()
    assert "set up already" in str(refused.exception)
    assert box.snapshot() == before


@pytest.mark.parametrize(
    ("number", "name"),
    [("10000000deadBEEF\0", "box-deadbeef"), ("7\0", "box-7"), ("\0", None), ("a_b!", None)],
)
def test_a_device_can_be_named_by_the_boards_own_number(
    tmp_path: Path, number: str, name: str | None
) -> None:
    (tmp_path / "serial-number").write_text(number)
    if name is None:
        with pytest.raises(ConfigError, match="name"):
            setup_file.device_name("serial", tmp_path / "serial-number")
    else:
        assert setup_file.device_name("serial", tmp_path / "serial-number") == name
    with pytest.raises(ConfigError, match="no serial number"):
        setup_file.device_name("serial", tmp_path / "none")
