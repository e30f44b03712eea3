"""`vouchbox provision` as an operator runs it: what it makes, and that nothing secret is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from vouchbox.simulator.tokens import SimulatedToken
from vouchbox.vault import keys, keys_public, provision


class Box:
    """A configured box without keys."""

    def __init__(self, folder: Path, token: SimulatedToken | None = None) -> None:
        self.folder = folder
        self.keys = folder / "keys"
        self.keys.mkdir(mode=0o700)
        self.path = folder / "vouchbox.toml"
        self.tls = folder / "tls"
        self.seen = ""
        text = f"""
[box]
site = "shop"
device = "door"
state = "{folder / "state"}"
[vault]
keys = "{self.keys}"
parties = "{folder / "parties"}"
[uplink]
key = "{self.tls / "box.key"}"
certificate = "{self.tls / "box.pem"}"
"""
        if token is not None:
            (self.keys / keys.PIN_FILE).touch(0o600)
            (self.keys / keys.PIN_FILE).write_text(token.pin)
            variables = "\n".join(f'{name} = "{value}"' for name, value in token.config.environment.items())
            text += (
                f'[vault.token]\nmodule = "{token.config.module}"\n[vault.token.environment]\n{variables}\n'
            )
        self.path.write_text(text)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Standard output of `vouchbox provision ...`; everything shown is kept in `seen`."""
        command = [sys.executable, "-m", "vouchbox", "provision", *arguments, "--config", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        self.seen += done.stdout + done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout

    def secrets(self) -> Iterator[str]:
        """Everything that lies in a secret file, in the pieces in which it might be shown."""
        for path in (*self.keys.iterdir(), *self.tls.glob("*.key")):
            if path.stat().st_mode & 0o077:
                continue
            text = path.read_text()
            if path.suffix == ".jwk":
                yield json.loads(text)["d"]
            elif path.suffix == ".key" and path.parent == self.tls:
                yield from (line for line in text.splitlines() if not line.startswith("-----"))
                number = load_pem_private_key(text.encode(), None).private_numbers()  # type: ignore[union-attr]
                yield f"{number.private_value:x}"  # type: ignore[union-attr]
            else:
                yield text.strip()


def test_nothing_secret_is_shown_by_any_command(tmp_path: Path) -> None:
    box = Box(tmp_path)
    document = json.loads(box.run())
    secrets = set(box.secrets())
    assert json.loads(box.run("show")) == document
    box.run("certificate-request")
    rotated = json.loads(box.run("rotate-key", "--overlap-days", "5"))
    assert [key.get("exp") is None for key in rotated["keys"]] == [True, False]
    assert rotated["keys"][1]["kid"] == document["keys"][0]["kid"]
    box.run(code=1)
    secrets |= set(box.secrets())
    assert len(secrets) >= 6, "both signing keys, the seal key, the template secret, the TLS key"
    assert not [secret for secret in secrets if secret in box.seen]


def test_with_a_token_no_command_shows_the_pin(tmp_path: Path, any_token: SimulatedToken) -> None:
    box = Box(tmp_path, any_token)
    box.run()
    any_token.flush()
    box.run("rotate-key")
    any_token.flush()
    box.run("show")
    assert any_token.pin in set(box.secrets())
    assert not [secret for secret in box.secrets() if secret in box.seen]
    names = {path.name for path in box.keys.iterdir()}
    assert keys_public.TOKEN_KEY_FILE in names
    assert not {keys.SIGNING_FILE, keys.SIGNING_PEM_FILE} & names


def test_a_wrong_pin_stops_provisioning_and_is_not_shown(tmp_path: Path, softhsm: SimulatedToken) -> None:
    box = Box(tmp_path, softhsm)
    (box.keys / keys.PIN_FILE).write_text("tell-tale-pin")
    box.run(code=1)
    assert "refused the PIN" in box.seen
    assert "tell-tale" not in box.seen
    assert {path.name for path in box.keys.iterdir()} == {keys.PIN_FILE}


def test_the_certificate_request_names_the_box_and_fits_its_key(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.run()
    request = x509.load_pem_x509_csr((box.tls / "box.csr").read_bytes())
    assert request.is_signature_valid
    (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "shop/door"
    key = load_pem_private_key((box.tls / "box.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == request.public_key()
    assert (box.tls / "box.key").stat().st_mode & 0o777 == 0o600
    before = (box.tls / "box.key").read_bytes()
    box.run("certificate-request")
    assert (box.tls / "box.key").read_bytes() == before


@pytest.mark.parametrize(
    "content", ["no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_damaged_tls_key_is_named_and_kept(tmp_path: Path, content: str) -> None:
    box = Box(tmp_path)
    box.run()
    (box.tls / "box.key").write_text(content)
    box.run("certificate-request", code=1)
    assert "box.key is no private key" in box.seen
    (box.tls / "box.key").chmod(0o644)
    box.run("certificate-request", code=1)
    assert "others may read" in box.seen
    assert (box.tls / "box.key").read_text() == content


def test_what_is_printed_is_what_is_stored(tmp_path: Path) -> None:
    box = Box(tmp_path)
    printed: dict[str, Any] = json.loads(box.run())
    assert json.loads((box.keys / provision.PUBLIC_FILE).read_text()) == printed
    printed = json.loads(box.run("rotate-key"))
    assert json.loads((box.keys / provision.PUBLIC_FILE).read_text()) == printed


def test_parties_are_registered_in_one_go_and_a_wrong_one_stops_everything(
    tmp_path: Path, party: Any
) -> None:
    box = Box(tmp_path)
    good, wrong = tmp_path / "pickup.toml", tmp_path / "wrong.toml"
    good.write_text(party.toml())
    wrong.write_text(party.toml().replace("purposes", "porpoises"))
    box.run("--party", str(good), "--party", str(wrong), code=2)
    assert list(box.keys.iterdir()) == []
    box.run("--party", str(good))
    assert (tmp_path / "parties" / "pickup.toml").read_text() == good.read_text()
