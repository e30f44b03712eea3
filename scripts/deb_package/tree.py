"""What the package puts where: a virtual environment under /usr/lib/vouchbox, the units, the configuration.

The wheels are unpacked here, not on the box: dpkg then owns and can verify each file, and installing needs
neither pip nor the network. The environment sees the system's packages, for libcamera and picamera2 come
from apt.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from deb_package.targets import Machine, Suite

HOME = "usr/lib/vouchbox"
UNITS = (
    "vouchbox.target",
    "vouchbox-vault.service",
    "vouchbox-vision.service",
    "vouchbox-uplink.service",
    "vouchbox-setup.service",
    "vouchbox-recover.service",
)
PORTRAITS = (("skimage", "data/astronaut.png"), ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"))
"""The simulated subject's two public-domain pictures; the packages around them (200 MB) stay out."""

_LAUNCHER = """#!/bin/sh
# -s and -P: nothing from a user's home and nothing from the working directory gets into a room.
if [ "${{1-}}" = update ] && [ -e /var/lib/vouchbox-update/unfinished ]; then
  # An update was cut off: the program may be half there, this script is whole.
  if [ "${{2-}}" = --recover ]; then does=recover; else does=status; fi
  exec /bin/sh /var/lib/vouchbox-update/change-package "$does"
fi
exec /{home}/bin/python -s -P -m vouchbox "$@"
"""
_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


def fetch(root: Path, suite: Suite, machine: Machine, wheels: Path) -> None:
    """Have every locked wheel of this suite and machine in `wheels`; what is missing is downloaded."""
    _pip(root, "download", *_which(suite, machine), "--dest", str(wheels), "--find-links", str(wheels))


def furnish(
    root: Path, tree: Path, suite: Suite, machine: Machine, wheels: Path, update_keys: Path | None = None
) -> list[str]:
    """Fill the empty folder `tree` with the package's files; returns its configuration files."""
    home = tree / HOME
    packages = home / "lib" / f"python{suite.python}" / "site-packages"
    packages.mkdir(parents=True)
    offline = ("--no-index", "--find-links", str(wheels))
    target = ("--target", str(packages), "--no-compile")
    # pip compares with the Python it runs on; the list was resolved for the suite's.
    _pip(root, "install", "--ignore-requires-python", *_which(suite, machine), *offline, *target)
    own = tree.parent / "own"
    _pip(root, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(own), ".")
    _pip(root, "install", "--no-deps", *target, *(str(wheel) for wheel in own.glob("*.whl")))
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for compiled in list(packages.rglob("__pycache__")):
        shutil.rmtree(compiled)  # some wheels bring one; the box makes its own
    _pictures(packages / "vouchbox" / "simulator" / "subject" / "pictures")
    _environment(home, suite)
    _write(tree / "usr" / "bin" / "vouchbox", _LAUNCHER.format(home=HOME), 0o755)
    _system(root, tree)
    settings = _settings(root, tree, update_keys)
    _documents(root, tree / "usr" / "share" / "doc" / "vouchbox")
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return settings


def _which(suite: Suite, machine: Machine) -> list[str]:
    version = ["--python-version", suite.python, "--implementation", "cp", *machine.platforms]
    locked = ["--require-hashes", "--no-deps", "--only-binary=:all:", "-r", suite.requirements]
    return [*version, *locked]


def _pip(root: Path, *arguments: str) -> None:
    subprocess.run([*_PIP, *arguments], cwd=root, check=True, stdout=subprocess.DEVNULL)


def _pictures(folder: Path) -> None:
    folder.mkdir()
    for package, place in PORTRAITS:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise SystemExit(f"build_deb: {package} is missing: run ./scripts/setup.")
        shutil.copyfile(Path(found.origin).parent / place, folder / Path(place).name)


def _environment(home: Path, suite: Suite) -> None:
    text = f"home = /usr/bin\ninclude-system-site-packages = true\nversion = {suite.python}\n"
    _write(home / "pyvenv.cfg", text)
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(f"/usr/bin/python{suite.python}")


def _system(root: Path, tree: Path) -> None:
    source, lib = root / "systemd", tree / "usr" / "lib"
    for unit in UNITS:
        _copy(source / unit, lib / "systemd" / "system" / unit)
    _copy(source / "sysusers.conf", lib / "sysusers.d" / "vouchbox.conf")
    _copy(source / "tmpfiles.conf", lib / "tmpfiles.d" / "vouchbox.conf")
    _copy(source / "60-vouchbox.rules", lib / "udev" / "rules.d" / "60-vouchbox.rules")
    _write(tree / HOME / "change-package", (source / "change-package").read_text(), 0o755)


def _settings(root: Path, tree: Path, update_keys: Path | None) -> list[str]:
    """The configuration files, and each as it shipped once more: a package that is made again from an
    installed one (vouchbox.update.packages) needs them unedited."""
    folder = Path("etc/vouchbox")
    shipped = {"vouchbox.toml": root / "systemd" / "vouchbox.toml"}
    if update_keys is not None:
        shipped["update-keys.jwks.json"] = update_keys
    for name, source in shipped.items():
        _copy(source, tree / folder / name)
        _copy(source, tree / HOME / "conffiles" / name)
    (tree / folder / "relying-parties").mkdir()
    return [f"/{folder / name}" for name in shipped]


def _documents(root: Path, folder: Path) -> None:
    _copy(root / "systemd" / "README.md", folder / "README.md")
    _copy(root / "SECURITY.md", folder / "SECURITY.md")
    _copy(root / "scripts" / "deb_package" / "copyright", folder / "copyright")
    examples = folder / "examples"
    for name in ("mosquitto.conf", "acl"):
        _copy(root / "device" / "vouchbox" / "uplink" / "broker" / name, examples / "broker" / name)
    for name in ("encrypted-keys.conf", "encrypted-token-pin.conf", "encrypted-tls-key.conf"):
        _copy(root / "systemd" / name, examples / name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
