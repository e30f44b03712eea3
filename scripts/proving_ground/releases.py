"""Other versions of the package, made from the built one in seconds: whole, damaged or for another box.

Only the version and what a case is about differ from the package that is really built. Bytecode is not made
at their installation, for that is most of its time and not what these cases are about.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

Change = Callable[[Path], None]
"""Changes the unpacked package in this folder."""


def version_of(deb: Path, version: str, folder: Path, change: Change | None = None) -> Path:
    """The package `deb` as `version`, after `change`; returns its path in `folder`."""
    tree = folder / f"tree-{version}"
    _do("dpkg-deb", "--raw-extract", str(deb), str(tree))
    before = _field(deb, "Version")
    for name in ("control", "preinst"):
        path = tree / "DEBIAN" / name
        path.write_text(path.read_text().replace(before, version))
    postinst = tree / "DEBIAN" / "postinst"
    lines = [line for line in postinst.read_text().splitlines() if "compileall" not in line]
    postinst.write_text("\n".join(lines) + "\n")
    (tree / "DEBIAN" / "md5sums").unlink()
    if change is not None:
        change(tree)
    made = folder / f"vouchbox_{version}_{_field(deb, 'Architecture')}.deb"
    _do("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(made))
    shutil.rmtree(tree)
    return made


def label(folder: Path, version: str, architecture: str) -> Path:
    """A package with nothing in it but these two words, for what must be refused by them."""
    tree = folder / f"label-{version}-{architecture}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN").chmod(0o755)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: vouchbox\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: nobody <a@localhost>\nDescription: a label\n"
    )
    made = folder / f"vouchbox_{version}_{architecture}.deb"
    _do("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(made))
    return made


def damaged_model(tree: Path) -> None:
    """One byte of the detector is another: its digest no longer fits."""
    [model] = tree.glob("usr/lib/vouchbox/lib/python*/site-packages/vouchbox/models/detector*.tflite")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))


def ruinous_vault(tree: Path) -> None:
    """A self-test that sees nothing, and a vault that ruins the database and then does not start."""
    launcher = tree / "usr/bin/vouchbox"
    blind = '#!/bin/sh\n[ "${1-}" != selftest ] || exit 0\n'
    launcher.write_text(launcher.read_text().replace("#!/bin/sh\n", blind))
    ruin = (
        "import sqlite3; c = sqlite3.connect('/var/lib/vouchbox/vault.sqlite'); "
        "c.execute('DROP TRIGGER audit_is_not_shortened'); "
        "c.execute('DELETE FROM audit'); c.commit(); c.execute('PRAGMA user_version=99'); raise SystemExit(1)"
    )
    unit = tree / "usr/lib/systemd/system/vouchbox-vault.service"
    start = f'ExecStart=/usr/lib/vouchbox/bin/python -c "{ruin}"'
    unit.write_text(unit.read_text().replace("ExecStart=/usr/bin/vouchbox vault", start))


def endless_installation(tree: Path) -> None:
    """An installation that leaves a sign in /root/half and then does not end."""
    postinst = tree / "DEBIAN" / "postinst"
    postinst.write_text(postinst.read_text().replace("set -e\n", "set -e\ntouch /root/half\nsleep 3600\n"))


def _field(deb: Path, name: str) -> str:
    asked = ["dpkg-deb", "--field", str(deb), name]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
