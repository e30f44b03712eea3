"""A release key as its maker has it, and a small real package to sign."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse"

Maker = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sign_release(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Runs scripts/sign_release as its maker does."""
    words = tmp_path_factory.mktemp("maker") / "passphrase"
    words.write_text(f"{PASSPHRASE}\n")

    def run(*arguments: str | Path, passphrase: Path = words) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "release_signing",
                "--passphrase-file",
                str(passphrase),
                *map(str, arguments),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def maker(sign_release: Maker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with release-key.pem and update-keys.jwks.json."""
    folder = tmp_path_factory.mktemp("keys")
    done = sign_release("--new-key", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def signed(sign_release: Maker, maker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package, with its signature beside it."""
    tree = tmp_path_factory.mktemp("package") / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: vouchbox\nVersion: 0.2.0+deb12\nArchitecture: arm64\nMaintainer: nobody <a@localhost>\n"
        "Description: a release\n"
    )
    package = tree.parent / "vouchbox_0.2.0+deb12_arm64.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(package)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    done = sign_release("--key", maker / "release-key.pem", package)
    assert done.returncode == 0, done.stderr
    return package
