"""`scripts/build_deb`: vouchbox_VERSION_arm64.deb and _amd64.deb, for Debian 12, 13 and Raspberry Pi OS."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

from deb_package.targets import MACHINES, SUITES, Machine, Suite
from deb_package.tree import fetch, furnish

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def main() -> None:
    """Read the options, build each package asked for, print where it lies."""
    reader = argparse.ArgumentParser(prog="build_deb", description=__doc__)
    reader.add_argument("--suite", action="append", choices=SUITES, help="default: all")
    reader.add_argument("--arch", action="append", choices=MACHINES, help="default: all")
    reader.add_argument("--out", type=Path, default=ROOT / "dist", help="default: dist/")
    reader.add_argument("--version", default=upstream_version(), help="default: of pyproject.toml")
    reader.add_argument(
        "--update-keys", type=Path, help="pin these keys of scripts/sign_release (default: none)"
    )
    reader.add_argument("--fast", action="store_true", help="do not compress: for tests")
    chosen = reader.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for suite in chosen.suite or SUITES:
        for arch in chosen.arch or MACHINES:
            version = f"{chosen.version}+{SUITES[suite].mark}"
            print(
                build(
                    SUITES[suite], MACHINES[arch], version, chosen.out, chosen.update_keys, fast=chosen.fast
                )
            )


def upstream_version() -> str:
    """The version in pyproject.toml."""
    found = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("build_deb: pyproject.toml names no version.")
    return found[1]


def build(
    suite: Suite, machine: Machine, version: str, out: Path, update_keys: Path | None, *, fast: bool
) -> Path:
    """One package; returns its path."""
    wheels = ROOT / ".cache" / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    fetch(ROOT, suite, machine, wheels)
    package = out / f"vouchbox_{version}_{machine.name}.deb"
    with tempfile.TemporaryDirectory(prefix="vouchbox-deb-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        settings = furnish(ROOT, tree, suite, machine, wheels, update_keys)
        _control(tree, suite, machine, version, settings)
        # gzip costs less time, xz less space; either is read by every dpkg.
        squeeze = ("-Znone",) if fast else ("-Zxz", "-z6")
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", *squeeze, "--build", str(tree), str(package)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "SOURCE_DATE_EPOCH": _moment()},
        )
    return package


def _control(tree: Path, suite: Suite, machine: Machine, version: str, settings: list[str]) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files) // 1024
    sums = "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in files
        if path.relative_to(tree).parts[0] != "etc"
    )
    known = {"@VERSION@": version, "@ARCH@": machine.name, "@PYTHON@": suite.python, "@SIZE@": str(size)}
    folder = tree / "DEBIAN"
    folder.mkdir(mode=0o755)
    (folder / "md5sums").write_text(sums)
    (folder / "conffiles").write_text("".join(f"{path}\n" for path in settings))
    for name in ("control", *SCRIPTS):
        text = (ROOT / "scripts" / "deb_package" / "maintainer" / name).read_text()
        for word, value in known.items():
            text = text.replace(word, value)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755 if name in SCRIPTS else 0o644)


def _moment() -> str:
    """The commit's time, so that one commit makes one package, byte for byte."""
    known = os.environ.get("SOURCE_DATE_EPOCH")
    if known:
        return known
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "0"


if __name__ == "__main__":
    main()
