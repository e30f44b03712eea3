"""A release counts only when a pinned key signed it, and only on the box that it is for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from vouchbox.errors import ConfigError, UpdateRefused
from vouchbox.update import packages, preparing, release
from vouchbox.update.release import Installed, Release

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")

BOX = Installed("0.1.0+deb12", "arm64", "bookworm")
CLAIMS = {
    "package": "vouchbox",
    "version": "0.2.0+deb12",
    "architecture": "arm64",
    "suite": "bookworm",
    "size": 1000,
    "sha256": "0" * 64,
    "iat": 1_790_000_000,
}
KEY = OKPKey.generate_key("Ed25519")
PINNED = {KEY.thumbprint(): KEY}


def token(claims: object = CLAIMS, key: Any = KEY, alg: str = "Ed25519", **header: str) -> bytes:
    members = {"alg": alg, "typ": release.RELEASE_TYPE, "kid": KEY.thumbprint()} | header
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(members, payload, key, algorithms=[alg]).encode()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UpdateRefused) as caught:
        call()
    return caught.value.reason


def test_what_the_maker_signed_verifies_with_what_the_box_pins(maker: Path, signed: Path) -> None:
    keys = preparing.pinned(maker / "update-keys.jwks.json")
    found = preparing.judge(signed.with_name(f"{signed.name}.jws"), keys, BOX)
    assert (found.version, found.architecture, found.suite) == ("0.2.0+deb12", "arm64", "bookworm")
    taken = signed.with_name("taken.deb")
    preparing.take(signed, taken, found)
    preparing.require_same(taken, found)
    assert taken.read_bytes() == signed.read_bytes()


def test_forged_foreign_and_confused_signatures_are_refused() -> None:
    foreign = OKPKey.generate_key("Ed25519")
    good = token()
    assert release.verify(good, PINNED).version == "0.2.0+deb12"
    head, body, signature = good.split(b".")
    other_body = token({**CLAIMS, "version": "9.0.0+deb12"}, foreign).split(b".")[1]
    public = str(KEY.as_dict(private=False)["x"]).encode()
    cases = {
        "another body": (b".".join([head, other_body, signature]), "signature"),
        "a foreign key under our name": (token(key=foreign), "signature"),
        "a foreign key under its own": (token(key=foreign, kid=foreign.thumbprint()), "unknown-key"),
        "the public key as a shared secret": (
            token(key=OctKey.import_key(public), alg="HS256"),
            "wrong-type",
        ),
        "no algorithm": (_header({"alg": "none"}) + b"." + body + b".", "wrong-type"),
        "another type": (token(typ="vouchbox-request+jwt"), "wrong-type"),
        "one header more": (token(cty="x"), "wrong-type"),
        "cut off": (good[:-3], "signature"),
        "half": (good[: len(good) // 2], "malformed"),
        "empty": (b"", "malformed"),
        "too long": (good + b" " * release.SIGNATURE_LIMIT, "malformed"),
        "a claim less": (token({k: v for k, v in CLAIMS.items() if k != "sha256"}), "malformed"),
        "a wrong claim": (token({**CLAIMS, "size": -1}), "malformed"),
        "a path for a version": (token({**CLAIMS, "version": "1/../../x"}), "malformed"),
        "no claims": (token(b"\xff"), "malformed"),
    }
    for name, (data, reason) in cases.items():
        assert refusal(lambda data=data: release.verify(data, PINNED)) == reason, name


def _header(members: dict[str, str]) -> bytes:
    from joserfc.util import urlsafe_b64encode

    full = {"typ": release.RELEASE_TYPE, "kid": KEY.thumbprint(), **members}
    return urlsafe_b64encode(json.dumps(full).encode())


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_of_a_signature_file_passes(place: int, change: int) -> None:
    good = bytearray(token())
    good[place % len(good)] ^= change
    try:
        found = release.verify(bytes(good), PINNED)
    except UpdateRefused:
        return
    # base64url has bits at its ends that mean nothing; whatever passes says the very same.
    assert found == release.verify(token(), PINNED)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"package": "vouchbox-evil"}, "package"),
        ({"architecture": "amd64"}, "architecture"),
        ({"suite": "trixie", "version": "0.2.0+deb13"}, "suite"),
        ({"version": "0.1.0+deb12"}, "installed"),
        ({"version": "0.0.9+deb12"}, "older"),
        ({"version": "0.1.0~rc1+deb12"}, "older"),
    ],
)
def test_a_release_for_another_box_or_from_before_is_refused(changed: dict[str, str], reason: str) -> None:
    found = release.verify(token(CLAIMS | changed), PINNED)
    assert refusal(lambda: release.require_for(found, BOX, packages.is_older)) == reason


def test_only_a_newer_release_for_this_very_box_is_fit() -> None:
    for version in ("0.1.1+deb12", "0.2.0+deb12", "0.10.0+deb12", "1.0.0~rc1+deb12"):
        fit = release.verify(token(CLAIMS | {"version": version}), PINNED)
        release.require_for(fit, BOX, packages.is_older)


def wanted(signed: Path, maker: Path) -> Release:
    keys = preparing.pinned(maker / "update-keys.jwks.json")
    return preparing.judge(signed.with_name(f"{signed.name}.jws"), keys, BOX)


def test_an_altered_cut_off_or_longer_file_is_refused_before_anything_reads_it(
    maker: Path, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanted(signed, maker)
    monkeypatch.setattr(packages, "control", lambda _: pytest.fail("an unverified package was parsed"))
    whole = signed.read_bytes()
    altered = bytearray(whole)
    altered[-1] ^= 1
    for name, data in {
        "altered": bytes(altered),
        "cut": whole[:-1],
        "longer": whole + b"x",
        "none": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        taken = tmp_path / "new.deb"
        call = lambda name=name, taken=taken: preparing.take(tmp_path / name, taken, found)  # noqa: E731
        assert refusal(call) == "digest"
        assert not taken.exists()


def test_a_package_that_calls_itself_otherwise_than_its_release_is_refused(
    signed: Path, tmp_path: Path
) -> None:
    said = Release("vouchbox", "0.3.0+deb12", "arm64", "bookworm", 1, "0" * 64, 0)
    copy = Path(shutil.copy(signed, tmp_path))
    assert refusal(lambda: preparing.require_same(copy, said)) == "package"
    assert not copy.exists()


def test_without_a_pinned_key_every_update_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: preparing.pinned(tmp_path / "none.json")) == "no-key"


def test_a_key_file_that_is_private_loose_or_broken_is_refused(maker: Path, tmp_path: Path) -> None:
    text = (maker / "update-keys.jwks.json").read_text()
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="others may write"):
        preparing.pinned(path)
    path.chmod(0o644)
    preparing.pinned(path)
    members = json.loads(text)["keys"][0]
    for wrong in (
        {"keys": [{**members, "d": members["x"]}]},
        {"keys": []},
        {"keys": [members, members]},
        {"keys": [{**members, "kid": "mine"}]},
        {"keys": [{**members, "crv": "X25519"}]},
        {"keys": [members] * 5},
        [members],
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ConfigError, match="no set of public Ed25519 keys"):
            preparing.pinned(path)


def test_the_maker_overwrites_no_key_and_signs_nothing_with_a_wrong_passphrase_or_a_strange_package(
    sign_release: Callable[..., Any], maker: Path, signed: Path, tmp_path: Path
) -> None:
    before = (maker / "release-key.pem").read_bytes()
    assert b"ENCRYPTED" in before
    assert (maker / "release-key.pem").stat().st_mode & 0o777 == 0o600
    assert sign_release("--new-key", maker).returncode != 0
    assert (maker / "release-key.pem").read_bytes() == before
    (tmp_path / "wrong").write_text("not the passphrase\n")
    copy = Path(shutil.copy(signed, tmp_path))
    refused = sign_release("--key", maker / "release-key.pem", copy, passphrase=tmp_path / "wrong")
    assert refused.returncode != 0
    (tmp_path / "strange.deb").write_bytes(b"no package")
    assert sign_release("--key", maker / "release-key.pem", tmp_path / "strange.deb").returncode != 0
    assert list(tmp_path.glob("*.jws")) == []
