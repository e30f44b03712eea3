"""`vouchbox update` on an installed box: what is not signed for it changes nothing, what fails goes back."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from joserfc.jwk import OKPKey

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground import releases
from proving_ground.container import Container
from release_signing.__main__ import sign

pytestmark = pytest.mark.appliance

KEY = OKPKey.generate_key("Ed25519")
NOW = int(time.time())
OLD, NEW = "0.1.0+deb12", "0.2.0+deb12"
PINNED = "etc/vouchbox/update-keys.jwks.json"
INSTALLED = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "vouchbox")
EDITED = "??5?????? c /etc/vouchbox/vouchbox.toml"
"""What dpkg has to say: the settings were edited, and nothing else was."""
Boot = Callable[[], Container]


@pytest.fixture
def box(boot: Boot) -> Container:
    """A box with keys, a pinned release key, settings of its own and a running vault."""
    running = boot()
    (running.tree / "etc/dpkg/dpkg.cfg.d/hasty").write_text("force-unsafe-io\n")
    pin(running, KEY)
    running.run("systemctl", "mask", "--now", "vouchbox-vision.service")
    running.run("sed", "--in-place", "s/unnamed/berlin/", "/etc/vouchbox/vouchbox.toml")
    running.run("vouchbox", "provision")
    running.run("systemctl", "restart", "vouchbox.target")
    running.await_(lambda: active(running), "the vault runs")
    return running


def pin(box: Container, key: OKPKey) -> None:
    x = str(key.as_dict(private=False)["x"])
    public = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": key.thumbprint(), "alg": "Ed25519"}
    (box.tree / PINNED).write_bytes(msgspec.json.encode({"keys": [public]}))
    (box.tree / PINNED).chmod(0o644)


def active(box: Container) -> bool:
    return box.show("vouchbox-vault.service", "ActiveState") == "active"


def bring(box: Container, package: Path, signature: Path | None = None) -> str:
    """Put a package and its signature on the box; the name there."""
    there = box.tree / "root" / package.name
    shutil.copy(package, there)
    shutil.copy(signature or sign(package, KEY, NOW), there.with_name(f"{package.name}.jws"))
    return f"/root/{package.name}"


def log_of(box: Container) -> list[dict[str, object]]:
    return json.loads(box.read("vouchbox", "audit", "show", "--json"))


def facts(box: Container) -> dict[str, str]:
    """What no refusal may change."""
    return {
        "package": box.read(*INSTALLED),
        "vault": box.show("vouchbox-vault.service", "MainPID"),
        "files": box.read(
            "sh",
            "-c",
            "cd /usr/lib/vouchbox && find . -type f ! -path '*__pycache__*' | sort"
            " | xargs sha256sum | sha256sum",
        ),
        "settings": box.read("sha256sum", "/etc/vouchbox/vouchbox.toml"),
    }


def test_nothing_but_a_newer_release_that_a_pinned_key_signed_for_this_box_changes_anything(
    box: Container, tmp_path: Path
) -> None:
    good = releases.label(tmp_path, NEW, "amd64")
    signature = sign(good, KEY, NOW)
    text = signature.read_text().strip()

    def variant(name: str, data: bytes) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / good.name).write_bytes(data)
        return folder / good.name

    whole = good.read_bytes()
    altered = bytearray(whole)
    altered[-700] ^= 1
    forged = tmp_path / "forged.jws"
    forged.write_text(text[:-8] + ("A" * 8 if not text.endswith("A" * 8) else "B" * 8))
    foreign = variant("foreign", whole)
    sign(foreign, OKPKey.generate_key("Ed25519"), NOW)
    cases = (
        (good, forged, "the signature does not verify"),
        (foreign, foreign.with_name(f"{foreign.name}.jws"), "a key that is not pinned here"),
        (variant("altered", bytes(altered)), signature, "is not the file that was signed"),
        (variant("cut", whole[:-512]), signature, "is not the file that was signed"),
        (releases.label(tmp_path, "0.0.9+deb12", "amd64"), None, "is older than"),
        (releases.label(tmp_path, OLD, "amd64"), None, "is installed already"),
        (releases.label(tmp_path, NEW, "arm64"), None, "the release is for arm64"),
        (releases.label(tmp_path, "0.2.0+deb13", "amd64"), None, "the release is for trixie"),
    )
    before = facts(box)
    for package, signed_by, sentence in cases:
        done = box.run("vouchbox", "update", "--from", bring(box, package, signed_by), check=False)
        assert done.returncode == 1, sentence
        assert sentence in done.stderr
        # A shell that is entered from outside does not know its folder.
        said = [line for line in done.stderr.splitlines() if not line.startswith("sh: 0: getcwd")]
        assert len(said) == 1, said
    box.run("rm", f"/{PINNED}")
    unpinned = box.run("vouchbox", "update", "--from", bring(box, good, signature), check=False)
    assert "no key for updates is pinned on this box" in unpinned.stderr
    assert facts(box) == before
    assert box.read("ls", "/var/lib/vouchbox-update") == "lock"
    assert f"{OLD} runs" in box.run("vouchbox", "update").stderr


def test_a_signed_newer_release_is_installed_tests_itself_and_serves(
    box: Container, deb: Path, tmp_path: Path
) -> None:
    before = log_of(box)
    package = bring(box, releases.version_of(deb, NEW, tmp_path))
    done = box.run("vouchbox", "update", "--from", package)
    assert done.stderr.rstrip().splitlines()[-1].startswith(f"vouchbox: {NEW} runs now; {OLD} is kept")
    assert box.read(*INSTALLED) == f"installed {NEW}"
    assert active(box)
    assert log_of(box)[: len(before)] == before
    box.run("vouchbox", "audit", "verify")
    assert 'site = "berlin"' in box.read("cat", "/etc/vouchbox/vouchbox.toml")
    # The package of before is whole, with the settings as they shipped; no copy of the state is left.
    assert sorted(box.read("ls", "/var/lib/vouchbox-update").split()) == ["lock", "old.deb"]
    kept = "/var/lib/vouchbox-update/old.deb"
    assert box.read("dpkg-deb", "--field", kept, "Version") == OLD
    shipped = box.read("sh", "-c", f"dpkg-deb --fsys-tarfile {kept} | tar -xO ./etc/vouchbox/vouchbox.toml")
    assert 'site = "unnamed"' in shipped
    names = box.read("sh", "-c", f"dpkg-deb --contents {kept}")
    assert "python3.11/site-packages/numpy/__init__.py" in names
    assert "__pycache__" not in names
    assert "link to" not in names, "the settings and their pristine copy are two files"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (releases.damaged_model, "failed its self-test"),
        (releases.ruinous_vault, "the vault of 0.2.0+deb12 did not start"),
    ],
)
def test_a_release_that_fails_goes_back_to_the_old_one_with_the_database_as_it_was(
    box: Container, deb: Path, tmp_path: Path, change: releases.Change, why: str
) -> None:
    before, settings = log_of(box), facts(box)
    package = bring(box, releases.version_of(deb, NEW, tmp_path, change))
    done = box.run("vouchbox", "update", "--from", package, check=False)
    assert done.returncode == 1
    last = done.stderr.rstrip().splitlines()[-1]
    assert why in last
    assert f"{OLD} runs again, with its database as it was" in last
    assert box.read(*INSTALLED) == f"installed {OLD}"
    assert box.read("dpkg", "--verify", "vouchbox") == EDITED
    after = facts(box)
    assert (after["files"], after["settings"]) == (settings["files"], settings["settings"])
    box.await_(lambda: active(box), "the old vault runs")
    assert log_of(box)[: len(before)] == before
    box.run("vouchbox", "audit", "verify")
    assert sorted(box.read("ls", "/var/lib/vouchbox-update").split()) == ["lock", "old.deb"]
    # dpkg still knows the edited settings as edited: the next version will not overwrite them.
    recorded = box.read("dpkg-query", "--show", "--showformat=${Conffiles}", "vouchbox").split()
    edited = box.read("md5sum", "/etc/vouchbox/vouchbox.toml").split()[0]
    assert recorded[recorded.index("/etc/vouchbox/vouchbox.toml") + 1] != edited


@pytest.fixture
def reboot(installed: tuple[Path, ...], tmp_path: Path) -> Iterator[Callable[[Container], Container]]:
    """Cuts a container's power and boots it again from what is on its disk."""
    running: list[Container] = []

    def again(before: Container) -> Container:
        before.close()
        running.append(Container((before.upper, *installed), tmp_path / "again").__enter__())
        return running[-1]

    yield again
    for container in running:
        container.close()


def test_an_update_that_was_cut_off_says_so_and_the_next_start_goes_back(
    box: Container, deb: Path, tmp_path: Path, reboot: Callable[[Container], Container]
) -> None:
    before, settings = log_of(box), facts(box)
    package = bring(box, releases.version_of(deb, NEW, tmp_path, releases.endless_installation))
    box.run("systemd-run", "--quiet", "--unit", "update", "vouchbox", "update", "--from", package)
    while not (box.tree / "root/half").exists():
        assert box.show("update.service", "ActiveState") in ("active", "activating"), box.journal()[-3000:]
        time.sleep(0.2)
    under_way = box.run("vouchbox", "update", check=False)
    assert f"an update from {OLD} to {NEW} is under way (installing)" in under_way.stderr

    box.run("systemctl", "kill", "--signal=KILL", "update.service")
    box.await_(lambda: box.show("update.service", "ActiveState") != "active", "the update is dead")
    for attempt in (("update",), ("update", "--from", package)):
        told = box.run("vouchbox", *attempt, check=False)
        assert told.returncode == 1
        assert f"an update from {OLD} to {NEW} was cut off (installing)" in told.stderr
        assert "'vouchbox update --recover' puts 0.1.0+deb12 back" in told.stderr
    # Until it is decided which version runs, no room runs, whoever starts it.
    box.run("systemctl", "start", "vouchbox-vault.service")
    assert not active(box)

    after = reboot(box)
    after.await_(lambda: active(after), "the vault runs after the power cut")
    assert after.read(*INSTALLED) == f"installed {OLD}"
    assert after.read("dpkg", "--verify", "vouchbox") == EDITED
    assert facts(after)["files"] == settings["files"]
    assert f"{OLD} runs again, with its database as it was" in after.journal("vouchbox-recover.service")
    assert log_of(after)[: len(before)] == before
    after.run("vouchbox", "audit", "verify")
    assert "no update is unfinished" in after.run("vouchbox", "update").stderr
