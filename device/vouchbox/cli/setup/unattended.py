"""Setup from a file, without a question: first everything is checked, then it is written, then it is tried.

A file that is wrong, or a camera that does not work, changes nothing. What is tried at the end (broker, test
session) may fail without taking back what was written, and is tried again at the next run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vouchbox.cli.setup import after_use, configuration_file, identity, parties, setup_file, steps, tls
from vouchbox.cli.setup.configuration_file import Draft
from vouchbox.cli.setup.report import Report, State
from vouchbox.cli.setup.setup_file import SetupFile
from vouchbox.config import Config
from vouchbox.errors import BrokerError, VouchboxError

NETWORK_S = 90.0
"""How long after the boot a broker may stay out of reach before that is a fault."""

PAUSE_S = 3.0


def run(path: Path, source: Path, *, put_aside: bool, start: bool) -> Report:
    """Set up the box whose configuration is `path` from the file `source`.

    `put_aside`: the file lies on the boot partition and goes once everything worked; `start`: start the rooms
    anew. Raises the VouchboxError of what is wrong before anything is changed.
    """
    report = Report()
    given = setup_file.read(source)
    made = check(path, given)
    config = made.config
    steps.try_camera(report, config)

    steps.begin(path)
    steps.configure(report, made)
    steps.put_tls(config, given.tls)
    document = steps.make_keys(report, config, given.pin)
    steps.register(report, config, given.parties)

    patience_s = NETWORK_S if put_aside else 0.0
    attempt(report, "broker", lambda: _patiently(lambda: steps.try_broker(report, config), patience_s))
    attempt(report, "test session", lambda: steps.try_session(report, config, given.person, document))
    if start:
        attempt(report, "rooms", lambda: steps.start_rooms(report))
    if not report.failed:
        if put_aside:
            attempt(report, "setup file", lambda: _put_aside(report, given, config))
        elif given.secrets:
            names = ", ".join(str(name) for name in given.secrets)
            report.say(
                "setup file", State.WAITS, f"remove {names} when you need it no more: it holds a secret"
            )
        steps.end(path)
    report.summary(f"{config.box.audience}, ueid {document.get('ueid', '?')}")
    return report


def check(path: Path, given: SetupFile) -> Draft:
    """The configuration that `given` leads to, once all of it can be carried out; changes nothing."""
    made = configuration_file.draft(path, given.changes)
    steps.require_name(made.config)
    parties.check(made.config.vault.parties, given.parties)
    tls.check(made.config, given.tls)
    identity.require_possible(made.config, given.pin)
    return made


def _patiently(deed: Callable[[], None], patience_s: float) -> None:
    # At the first boot neither the network nor the clock need be there yet.
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return deed()
        except BrokerError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE_S)


def attempt(report: Report, step: str, deed: Callable[[], None]) -> None:
    """Do it; what goes wrong is told in the report."""
    try:
        deed()
    except VouchboxError as problem:
        report.say(step, State.FAILED, str(problem))


def _put_aside(report: Report, given: SetupFile, config: Config) -> None:
    names = ", ".join(str(path) for path in after_use.hand_out(given, config))
    told = " ".join(after_use.put_aside(given))
    report.say("setup file", State.DONE, f"{told} Public, for your relying parties and authority: {names}")
