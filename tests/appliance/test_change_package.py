"""The exchange of packages, cut off wherever power may fail: real dpkg, a real system, small packages.

No systemd runs here and nothing of the program: whether `selftest` passes is said by each small package.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from proving_ground.base import base, missing  # noqa: E402

pytestmark = pytest.mark.appliance

OLD, NEW = "0.1.0+deb12", "0.2.0+deb12"
FOLDER, STATE = "var/lib/vouchbox-update", "var/lib/vouchbox"
SCRIPT = f"/{FOLDER}/change-package"
CONTROL = """Package: vouchbox
Version: {version}
Architecture: all
Maintainer: nobody <a@localhost>
Description: a small one
"""
EDITED = "??5?????? c /etc/vouchbox/vouchbox.toml\n"
CUT = "kill -9 $(cat /cut.pid) $PPID\n"
"""What a package does that lets the power fail: the script and dpkg end at once."""


@dataclass
class Ground:
    """A system in `tree`, with the old package, a state, and the folder of an update."""

    tree: Path
    folder: Path

    def package(self, version: str, selftest: str = "exit 0", postinst: str = "") -> Path:
        """A package whose `vouchbox selftest` and postinst do this."""
        tree = self.folder / f"package-{version}"
        shutil.rmtree(tree, ignore_errors=True)
        files = {
            "DEBIAN/control": CONTROL.format(version=version),
            "DEBIAN/conffiles": "/etc/vouchbox/vouchbox.toml\n",
            "DEBIAN/preinst": (ROOT / "scripts/deb_package/maintainer/preinst")
            .read_text()
            .replace("@VERSION@", version),
            "DEBIAN/postinst": f"#!/bin/sh\n{postinst}",
            "etc/vouchbox/vouchbox.toml": f"# default of {version}\n",
            "usr/bin/vouchbox": f"#!/bin/sh\necho tested {version} > /tested\n{selftest}\n",
            "usr/lib/vouchbox/which": version,
        }
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if "bin/" in name or name.startswith("DEBIAN/p") else 0o644)
        (tree / "DEBIAN").chmod(0o755)
        made = self.folder / f"{version}.deb"
        build = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(made)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        return made

    def prepare(self, new: Path) -> None:
        """What `vouchbox update` leaves to the script."""
        folder = self.tree / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(new, folder / "new.deb")
        shutil.copy(self.folder / f"{OLD}.deb", folder / "old.deb")
        shutil.copy(ROOT / "systemd/change-package", folder)
        (folder / "lock").touch()

    def does(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The script; descriptor 9 is the lock, as `vouchbox update` leaves it."""
        line = f'echo $$ > /cut.pid; exec 9>> /{FOLDER}/lock; exec sh {SCRIPT} "$@"'
        return self.run("sh", "-c", line, "sh", *words)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command on that system."""
        return subprocess.run(
            ["chroot", str(self.tree), *command],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    def runs(self) -> str:
        """The version that is whole: for dpkg and on the disk."""
        said = self.run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "vouchbox")
        # dpkg knows that the settings are edited, and that nothing else is.
        assert self.run("dpkg", "--verify", "vouchbox").stdout == EDITED
        version = (self.tree / "usr/lib/vouchbox/which").read_text()
        assert said.stdout == f"installed {version}"
        return version

    def state(self) -> dict[str, str]:
        """The files of the state folder."""
        folder = self.tree / STATE
        return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}

    def left(self) -> set[str]:
        """What is in the folder of the update."""
        return {path.name for path in (self.tree / FOLDER).iterdir()}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    if reason := missing():
        pytest.skip(reason)
    for name in ("upper", "work", "tree"):
        (tmp_path / name).mkdir()
    tree = tmp_path / "tree"
    options = f"lowerdir={base()},upperdir={tmp_path / 'upper'},workdir={tmp_path / 'work'}"
    with contextlib.ExitStack() as stack:
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(tree)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(tree)], check=True)
        if not (tree / "dev/null").exists():
            os.mknod(tree / "dev/null", 0o020666, os.makedev(1, 3))
        made = Ground(tree, tmp_path)
        shutil.copy(made.package(OLD), tree / "root")
        assert made.run("dpkg", "--install", f"/root/{OLD}.deb").returncode == 0
        (tree / "etc/vouchbox/vouchbox.toml").write_text("# mine\n")
        (tree / STATE / "deep").mkdir(parents=True)
        (tree / STATE / "vault.sqlite").write_text("rows")
        (tree / STATE / "deep" / "head").write_text("head")
        (tree / STATE / "vault.lock").touch()
        yield made


BEFORE = {"vault.sqlite": "rows", "deep/head": "head", "vault.lock": ""}
RUIN = f"echo ruined > /{STATE}/vault.sqlite; echo more > /{STATE}/more\n"


def test_a_version_that_passes_stays_and_leaves_no_copy_of_the_state(ground: Ground) -> None:
    migrate = 'cat "$3/vault.sqlite" > /seen; echo migrated > "$3/vault.sqlite"'
    ground.prepare(ground.package(NEW, migrate))
    done = ground.does("apply")
    assert done.returncode == 0, done.stderr
    assert f"{NEW} runs now" in done.stderr
    assert ground.runs() == NEW
    assert (ground.tree / "tested").read_text() == f"tested {NEW}\n"
    assert (ground.tree / "seen").read_text() == "rows", "it tries itself on a copy of the state"
    assert ground.state() == BEFORE
    assert ground.left() == {"lock", "old.deb"}
    assert (ground.tree / "etc/vouchbox/vouchbox.toml").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("selftest", "postinst", "why"),
    [
        (
            "echo 'vouchbox: a model is damaged: get another.' >&2; exit 1",
            "",
            "a model is damaged: get another",
        ),
        (f"{RUIN}exit 3", "", "failed its self-test"),
        ("exit 0", f"{RUIN}exit 1\n", "could not be installed"),
    ],
)
def test_a_version_that_fails_goes_and_the_state_comes_back(
    ground: Ground, selftest: str, postinst: str, why: str
) -> None:
    ground.prepare(ground.package(NEW, selftest, postinst))
    done = ground.does("apply")
    assert done.returncode == 1
    assert why in done.stderr
    assert f"{OLD} runs again, with its database as it was" in done.stderr
    assert ground.runs() == OLD
    assert ground.state() == BEFORE
    assert ground.left() == {"lock", "old.deb"}
    assert (ground.tree / "etc/vouchbox/vouchbox.toml").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("selftest", "postinst"), [("exit 0", f"{RUIN}{CUT}"), (f"{RUIN}{CUT}", "")], ids=["unpacking", "testing"]
)
def test_a_power_cut_before_the_new_version_passed_leads_back(
    ground: Ground, selftest: str, postinst: str
) -> None:
    ground.prepare(ground.package(NEW, selftest, postinst))
    assert ground.does("apply").returncode == -9
    assert {"unfinished", "hold", "state", "old.deb"} <= ground.left()
    told = ground.does("status")
    assert told.returncode == 1
    assert f"from {OLD} to {NEW} was cut off (installing)" in told.stderr
    assert f"'vouchbox update --recover' puts {OLD} back" in told.stderr

    done = ground.does("recover", "--boot")
    assert done.returncode == 0, done.stderr
    assert f"{OLD} runs again, with its database as it was" in done.stderr
    assert ground.runs() == OLD
    assert ground.state() == BEFORE
    assert ground.left() == {"lock", "old.deb"}


def test_a_power_cut_on_the_way_back_leads_back_all_the_same(ground: Ground) -> None:
    cut_once = f"if [ -e /cut-back ]; then rm /cut-back; {CUT}fi\n"
    old = ground.package(OLD, postinst=cut_once)
    ground.prepare(ground.package(NEW, f"{RUIN}exit 1"))
    shutil.copy(old, ground.tree / FOLDER / "old.deb")
    (ground.tree / "cut-back").touch()
    assert ground.does("apply").returncode == -9
    assert "(rolling-back)" in ground.does("status").stderr
    assert ground.does("recover").returncode == 0
    assert ground.runs() == OLD
    assert ground.state() == BEFORE
    assert ground.left() == {"lock", "old.deb"}


@pytest.mark.parametrize("stage", ["preparing", "starting", "tidying"])
def test_a_power_cut_before_or_after_the_change_loses_nothing_and_wipes_the_copies(
    ground: Ground, stage: str
) -> None:
    ground.prepare(ground.package(NEW))
    folder = ground.tree / FOLDER
    for copy in ("state", "trial"):
        (folder / copy).mkdir()
        (folder / copy / "vault.sqlite").write_text("an old copy")
    (folder / "hold").touch()
    (folder / "unfinished").write_text(f"stage={stage}\nfrom={OLD}\nto={NEW}\n")
    assert f"was cut off ({stage})" in ground.does("status").stderr
    done = ground.does("recover", "--boot")
    assert done.returncode == 0
    assert f"{OLD} runs" in done.stderr, "the version that dpkg has, here the old one"
    assert ground.state() == BEFORE, "what was accepted since is kept"
    assert ground.left() == {"lock", "old.deb"}


def test_while_an_update_is_under_way_nothing_recovers_it(ground: Ground) -> None:
    ground.prepare(ground.package(NEW))
    (ground.tree / FOLDER / "unfinished").write_text(f"stage=installing\nfrom={OLD}\nto={NEW}\n")
    busy = f'exec 9>> /{FOLDER}/lock; flock 9; sh {SCRIPT} "$1" 9>&-'
    for word in ("recover", "status"):
        done = ground.run("sh", "-c", busy, "sh", word)
        assert done.returncode == 1
        assert "under way" in done.stderr
    assert "unfinished" in ground.left()
    assert ground.runs() == OLD


def test_a_state_that_something_still_works_on_is_left_alone(ground: Ground) -> None:
    ground.prepare(ground.package(NEW))
    script = ground.tree / FOLDER / "change-package"
    script.write_text(script.read_text().replace("--wait 30", "--wait 1"))
    busy = f"exec 7< /{STATE}/vault.lock; flock 7; exec 9>> /{FOLDER}/lock; sh {SCRIPT} apply 7<&-"
    done = ground.run("sh", "-c", busy)
    assert done.returncode == 1
    assert "something works in /var/lib/vouchbox" in done.stderr
    assert ground.runs() == OLD
    assert ground.left() == {"lock", "old.deb"}
