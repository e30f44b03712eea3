"""Do the camera's packages, which come from apt, fit the environment that vouchbox runs in?

libcamera and picamera2 must be visible in it, and their compiled parts must fit its numpy. Each is imported
in a process of its own, for one that does not fit may take its process down.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vouchbox.config import Config
from vouchbox.doctor import trying
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok

CHECK = "camera-packages"
MODULES = ("libcamera", "simplejpeg", "picamera2")
"""In this order: picamera2 needs the two before it."""

SECONDS = 180.0
APT = "run `apt install --no-install-recommends python3-picamera2`"
_ABI = (
    "dtype size changed",
    "multiarray failed to import",
    "compiled using numpy",
    "_array_api not found",
    "incompatible abi",
)
"""What numpy, and code built for another numpy, say when they meet; in small letters."""


def hidden(environment: Path) -> bool:
    """Whether the virtual environment there hides the system's packages (pyvenv.cfg)."""
    try:
        lines = (environment / "pyvenv.cfg").read_text().lower().splitlines()
    except OSError:
        return False
    return "include-system-site-packages = true" not in [" ".join(line.split()) for line in lines]


def judge(failed: Mapping[str, Sequence[str]], environment: Path) -> Iterator[Finding]:
    """`failed` holds, for each module that can't be imported, its error's kind, words and missing module."""
    for module, (kind, words, absent) in failed.items():
        if any(sign in words.lower() for sign in _ABI):
            yield fault(
                CHECK,
                f"{module} was built for another numpy than the one in {environment}",
                f"install the package of this Debian, whose numpy fits: {_matching()}",
            )
            return
        if kind == "ModuleNotFoundError" and absent == module:
            yield (
                fault(
                    CHECK,
                    f"{module} is not visible, for the environment {environment} hides the system's packages",
                    f"make it with `python3 -m venv --system-site-packages`, and {APT}",
                )
                if hidden(environment)
                else fault(CHECK, f"{module} is not installed", APT)
            )
            return
        yield fault(
            CHECK,
            f"{module} can't be imported ({kind}{f', no {absent}' if absent else ''})",
            f"{APT} --reinstall",
        )
        return


def check(config: Config) -> Iterator[Finding]:
    """Only where the Pi camera is configured; nothing else needs them."""
    if not config.camera.source.startswith("picamera2"):
        return
    failed: dict[str, Sequence[str]] = {}
    for module in MODULES:
        try:
            facts = trying.attempt("modules", {"names": [module]}, SECONDS)
        except trying.TrialFailed as problem:
            yield of(CHECK, problem)
            return
        except trying.TrialImpossible as problem:
            yield not_checked(CHECK, problem.what, problem.fix)
            return
        failed |= facts["failed"]
        if failed:
            break
    yield from judge(failed, Path(sys.prefix))
    if not failed:
        yield ok(CHECK, f"{', '.join(MODULES)} can be imported and fit this numpy")


def _matching() -> str:
    return "+deb12 on Bookworm (numpy 1), +deb13 on Trixie (numpy 2)"
