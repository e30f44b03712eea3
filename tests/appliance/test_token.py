"""The signing key in a token behind the vault's own unit, with a PIN that lies encrypted on the disk."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from joserfc import jws

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground.container import Container
from vouchbox.errors import KeyStoreError
from vouchbox.simulator.tokens import SoftHsm

pytestmark = pytest.mark.appliance

DROP = "/etc/systemd/system/vouchbox-vault.service.d"
STORE = "/var/lib/vouchbox/softhsm"
KEYS = "/etc/vouchbox/keys"
UNIT = "vouchbox-vault.service"


def furnish(box: Container) -> None:
    """A SoftHSM token in the box's state folder, with its PIN in a file; nothing is provisioned yet."""
    with tempfile.TemporaryDirectory(prefix="vb-") as folder:
        try:
            token = SoftHsm(Path(folder))
        except KeyStoreError as problem:
            pytest.skip(str(problem))
        module = box.tree / str(token.config.module).lstrip("/")
        module.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(token.config.module, module)
        shutil.copytree(token.tokens, box.tree / STORE.lstrip("/"))
    settings = f"directories.tokendir = {STORE}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (box.tree / "etc/vouchbox/softhsm2.conf").write_text(settings)
    keys = box.tree / KEYS.lstrip("/")
    keys.mkdir(mode=0o700)
    (keys / "token.pin").touch(0o600)
    (keys / "token.pin").write_text(token.pin)
    section = f'[vault.token]\nmodule = "{token.config.module}"\nlabel = "{token.config.label}"\n'
    section += '[vault.token.environment]\nSOFTHSM2_CONF = "/etc/vouchbox/softhsm2.conf"\n'
    with (box.tree / "etc/vouchbox/vouchbox.toml").open("a") as file:
        file.write(section)


def test_the_vault_signs_with_a_token_whose_pin_is_encrypted_to_this_machine(
    boot: Callable[[], Container],
) -> None:
    box = boot()
    furnish(box)
    box.run("vouchbox", "provision")
    box.run("chown", "-R", "vouchbox-vault", STORE)
    box.run("systemd-creds", "encrypt", "--name=token.pin", f"{KEYS}/token.pin", f"{KEYS}/token.pin.cred")
    box.run("rm", f"{KEYS}/token.pin")
    box.run("mkdir", "-p", DROP)
    box.run("cp", "/usr/share/doc/vouchbox/examples/encrypted-token-pin.conf", DROP)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", UNIT)
    assert box.show(UNIT, "ActiveState") == "active"
    (public,) = msgspec.json.decode(box.read("cat", f"{KEYS}/box.jwks.json"))["keys"]
    head = jws.extract_compact(box.read("cat", "/var/lib/vouchbox/audit-head.jws").encode())
    assert head.headers()["kid"] == public["kid"]
    assert "signing.jwk" not in box.read("ls", KEYS)

    drop = box.tree / DROP.lstrip("/") / "encrypted-token-pin.conf"
    kept = [line for line in drop.read_text().splitlines() if "=token.pin:" not in line]
    drop.write_text("\n".join(kept) + "\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "stop", UNIT)
    box.run("systemctl", "start", UNIT, check=False)
    box.run("systemctl", "stop", UNIT)
    assert "token.pin" in box.journal(UNIT), "without its line the vault has no PIN"
