"""The package: what is in it, and what installing, upgrading, removing and purging it leave behind."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from deb_package.targets import MACHINES, SUITES
from proving_ground.container import Container

pytestmark = pytest.mark.appliance

ROOT = Path(__file__).resolve().parents[2]
VERSION = "0.1.0+deb12"

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


def locked(path: Path) -> dict[str, str]:
    """Package to version."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\]+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_a_box_gets_the_very_versions_that_were_tested(suite: object) -> None:
    requirements = ROOT / suite.requirements  # type: ignore[attr-defined]
    name = requirements.stem.removeprefix("box-")
    box, tested = locked(requirements), locked(requirements.with_name(f"{name}-dev.txt"))
    assert box
    assert box.items() <= tested.items()


@needs_dpkg
def test_a_package_for_a_pi_is_built_here_and_holds_only_its_own_machines_code(tmp_path: Path) -> None:
    suite, machine = SUITES["trixie"], MACHINES["arm64"]
    pinned = tmp_path / "keys.json"
    pinned.write_text('{"keys": []}\n')
    options = ("--suite", suite.name, "--arch", machine.name, "--fast", "--out", str(tmp_path))
    options += ("--update-keys", str(pinned))
    done = subprocess.run(
        [sys.executable, "-m", "deb_package", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    deb = Path(done.stdout.split()[-1])
    assert re.fullmatch(r"vouchbox_[0-9.]+\+deb13_arm64\.deb", deb.name)
    field = dict(
        line.split(": ", 1)
        for line in subprocess.run(
            ["dpkg-deb", "--field", str(deb)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if re.match(r"[A-Z]", line)
    )
    assert field["Architecture"] == "arm64"
    assert "python3.13" in field["Depends"]

    tree = tmp_path / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], check=True)
    settings = (tree / "DEBIAN" / "conffiles").read_text().split()
    assert settings == ["/etc/vouchbox/vouchbox.toml", "/etc/vouchbox/update-keys.jwks.json"]
    for path in (tree / name.lstrip("/") for name in settings):
        # An update makes the package again with its settings as they shipped.
        assert (tree / "usr/lib/vouchbox/conffiles" / path.name).read_bytes() == path.read_bytes()
    assert (tree / "etc/vouchbox/update-keys.jwks.json").read_bytes() == pinned.read_bytes()
    packages = tree / "usr" / "lib" / "vouchbox" / "lib" / "python3.13" / "site-packages"
    code = [path for path in packages.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert len(code) > 10
    machines = {struct.unpack_from("<H", path.read_bytes(), 18)[0] for path in code}
    assert machines == {machine.elf}
    tags = {found[1] for path in code if (found := re.search(r"\.cpython-(\d+)", path.name))}
    assert tags == {"313"}
    there = {path.name.rsplit(".dist-info")[0].lower() for path in packages.glob("*.dist-info")}
    wanted = {
        f"{name.replace('-', '_')}-{version}" for name, version in locked(ROOT / suite.requirements).items()
    }
    assert wanted <= there
    assert (packages / "vouchbox" / "models" / "manifest.toml").is_file()
    assert (packages / "vouchbox" / "simulator" / "subject" / "pictures" / "astronaut.png").is_file()
    assert (tree / "usr" / "lib" / "vouchbox" / "bin" / "python").readlink() == Path("/usr/bin/python3.13")
    assert "include-system-site-packages = true" in (tree / "usr/lib/vouchbox/pyvenv.cfg").read_text()


def test_what_apt_installed_is_whole_owned_by_root_and_understood_by_systemd(
    boot: Callable[[], Container],
) -> None:
    box = boot()
    assert box.read("dpkg", "--verify", "vouchbox") == ""
    assert box.read("vouchbox", "--version") == "vouchbox, version 0.1.0"
    assert box.run("sh", "-c", "command -v pip pip3 gcc cc", check=False).stdout == ""
    loose = "find /usr/lib/vouchbox /usr/bin/vouchbox /etc/vouchbox ( ! -user root -o -perm /022 ) ! -type l"
    assert box.read(*loose.split()) == ""
    units = box.read("sh", "-c", "ls /usr/lib/systemd/system/vouchbox*").split()
    assert len(units) == 6
    checked = box.run("systemd-analyze", "verify", "--man=no", *units)
    assert checked.stdout + checked.stderr == ""
    for unit in ("vouchbox.target", "vouchbox-setup.service"):
        assert box.read("systemctl", "is-enabled", unit) == "enabled"
    assert box.show("vouchbox-setup.service", "ConditionResult") == "no", "there is no setup file"
    # Without an identity no room starts, and nothing fails.
    assert box.read("systemctl", "list-units", "--failed", "--no-legend") == ""
    assert box.show("vouchbox-vault.service", "ConditionResult") == "no"
    assert box.read("stat", "-c", "%a %U %G", "/run/vouchbox") == "750 vouchbox-vault vouchbox"
    assert box.read("stat", "-c", "%a %U", "/var/lib/vouchbox") == "700 vouchbox-vault"
    assert box.read("stat", "-c", "%a %U", "/var/lib/vouchbox-update") == "700 root"
    # Bytecode is there, for no room may write any.
    assert box.run("find", "/usr/lib/vouchbox/lib", "-name", "daemon.*.pyc").stdout.strip()


@needs_dpkg
def test_settings_keys_and_state_survive_an_upgrade_and_a_removal_but_not_a_purge(
    boot: Callable[[], Container], deb: Path, tmp_path: Path
) -> None:
    box = boot()
    for version in ("0.2.0+deb12", "0.0.9+deb12"):
        shutil.copy(renumbered(deb, version, tmp_path), box.tree / "root")
    newer, older = (f"/root/vouchbox_{version}_amd64.deb" for version in ("0.2.0+deb12", "0.0.9+deb12"))
    mine = "/etc/vouchbox/vouchbox.toml"
    box.run("sed", "--in-place", "s/unnamed/berlin/", mine)
    box.run("vouchbox", "provision")
    box.run("systemctl", "restart", "vouchbox.target")
    box.run("touch", "/etc/vouchbox/relying-parties/shop.toml.off")
    keys = box.read("sh", "-c", "sha256sum /etc/vouchbox/keys/*")
    installed = ("dpkg-query", "--show", "--showformat=${Version}", "vouchbox")

    refused = box.run("dpkg", "--install", older, check=False)
    assert refused.returncode != 0
    assert "is older" in refused.stderr
    assert box.read(*installed) == VERSION
    assert box.read("dpkg-query", "--show", "--showformat=${db:Status-Status}", "vouchbox") == "installed"
    assert box.show("vouchbox-vault.service", "ActiveState") == "active", (
        "the refused one left the box running"
    )

    mine_stays = ("-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Options::=--force-unsafe-io")
    box.run("apt-get", "install", "--yes", *mine_stays, newer)
    assert box.read(*installed) == "0.2.0+deb12"
    assert 'site = "berlin"' in box.read("cat", mine)
    assert box.read("sh", "-c", "sha256sum /etc/vouchbox/keys/*") == keys
    assert not box.run(
        "sh", "-c", "ls -d /usr/lib/vouchbox/lib/python3.11/site-packages/numpy", check=False
    ).stdout

    box.run("dpkg", "--install", older, VOUCHBOX_ROLLBACK="yes")
    assert box.read(*installed) == "0.0.9+deb12"

    box.run("apt-get", "remove", "--yes", "vouchbox")
    assert box.read("sh", "-c", "sha256sum /etc/vouchbox/keys/*") == keys
    assert 'site = "berlin"' in box.read("cat", mine)
    assert box.read("ls", "/var/lib/vouchbox").split() == ["audit-head.jws", "vault.lock", "vault.sqlite"]
    assert box.run("ls", "-d", "/usr/lib/vouchbox", "/run/vouchbox", check=False).stdout == ""
    assert box.read("systemctl", "list-units", "--no-legend", "vouchbox*") == ""

    box.run("apt-get", "purge", "--yes", "vouchbox")
    for gone in (
        "/etc/vouchbox",
        "/var/lib/vouchbox",
        "/var/lib/vouchbox-update",
        "/etc/systemd/system/multi-user.target.wants/vouchbox.target",
        "/etc/systemd/system/multi-user.target.wants/vouchbox-setup.service",
    ):
        assert box.run("ls", "-d", gone, check=False).returncode != 0
    assert "vouchbox-vault" in box.read("cat", "/etc/passwd"), "a file of theirs may lie elsewhere"


def renumbered(deb: Path, version: str, folder: Path) -> Path:
    """The same package under another version, without its large libraries: its scripts are the matter."""
    tree = folder / version
    tree.mkdir()
    subprocess.run(["dpkg-deb", "--control", str(deb), str(tree / "DEBIAN")], check=True)
    whole = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, check=True
    ).stdout
    kept = ["./etc", "./usr/bin", "./usr/lib/systemd", "./usr/lib/sysusers.d", "./usr/lib/tmpfiles.d"]
    home = "./usr/lib/vouchbox"
    kept += [f"{home}/pyvenv.cfg", f"{home}/bin", f"{home}/lib/python3.11/site-packages/vouchbox"]
    subprocess.run(["tar", "--extract", "--directory", str(tree), *kept], input=whole, check=True)
    (tree / "etc" / "vouchbox" / "vouchbox.toml").write_text(
        "# another default\n[box]\nsite = 'x'\ndevice = 'y'\n"
    )
    for name in ("control", "preinst", "postinst", "prerm", "postrm"):
        path = tree / "DEBIAN" / name
        path.write_text(path.read_text().replace(VERSION, version))
    (tree / "DEBIAN" / "md5sums").unlink()
    made = folder / f"vouchbox_{version}_amd64.deb"
    build = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(made)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return made
