"""Are the models the ones that the manifest states, and does an interpreter run them on this processor?"""

from __future__ import annotations

from collections.abc import Iterator

from vouchbox.config import Config
from vouchbox.doctor import trying
from vouchbox.doctor.finding import Finding, not_checked, of, ok
from vouchbox.doctor.machine import Account
from vouchbox.errors import ModelError
from vouchbox.vision import manifest

ROLES = ("detector", "landmarks", "embedding", "liveness")
SECONDS = 300.0
"""A Raspberry Pi 3 loads and runs all four in a few seconds; emulated machines are slower."""


def digests(config: Config) -> Iterator[Finding]:
    """One finding a role that is wrong, or one for all."""
    wrong = False
    try:
        known = manifest.load(config.vision.models)
    except ModelError as problem:
        yield of("models", problem)
        return
    for role in ROLES:
        try:
            known.read(role)
        except ModelError as problem:
            wrong = True
            yield of("models", problem)
    if not wrong:
        yield ok("models", f"{len(ROLES)} models have the digests of the manifest in {known.folder}")


def inference(config: Config, sound: bool, vision: Account | None) -> Iterator[Finding]:
    """Every interpreter constructed and run once, as the vision room's user; not tried with wrong files."""
    if not sound:
        yield not_checked("inference", "a model is wrong, so none was run", "put that right first")
        return
    settings = config.vision
    request = {
        "runtime": settings.runtime,
        "threads": settings.threads,
        "folder": None if settings.models is None else str(settings.models),
    }
    try:
        facts = trying.attempt("models", request, SECONDS, vision)
    except trying.TrialFailed as problem:
        yield of("inference", problem)
    except trying.TrialImpossible as problem:
        yield not_checked("inference", problem.what, problem.fix)
    else:
        yield ok("inference", f"{facts['runtime']} ran each of {facts['models']} models once")
