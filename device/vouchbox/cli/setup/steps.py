"""What setup does in each step, once it knows the answers; each may be repeated, and tells the report.

Nothing here asks. A step that goes wrong raises; what it would have written is then not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vouchbox.cli.setup import (
    camera,
    configuration_file,
    identity,
    lasting,
    parties,
    rooms,
    session,
    tls,
)
from vouchbox.cli.setup.configuration_file import Draft
from vouchbox.cli.setup.report import Report, State
from vouchbox.cli.setup.setup_file import Person
from vouchbox.cli.setup.tls import TlsFiles
from vouchbox.config import Config
from vouchbox.errors import ConfigError, NoVerdict
from vouchbox.messages import Outcome
from vouchbox.reasons import SENTENCES, Reason
from vouchbox.uplink import visit
from vouchbox.vault import keys_file

UNNAMED = "unnamed"
"""The site in the configuration that ships."""

UNDER_WAY = "setup-under-way"
"""A file of this name beside the configuration: setup began to write and is not at its end yet. While it is
there, the unit of the first boot goes on."""


def require_name(config: Config) -> None:
    """Raises ConfigError for a box that still has the name it was shipped with."""
    if config.box.site == UNNAMED:
        raise ConfigError("the box has no name yet", "set [box] site and device")


def begin(path: Path) -> None:
    """Mark that setup writes from now on; raises ConfigError where nothing can be written."""
    try:
        lasting.require(path)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        (path.parent / UNDER_WAY).touch()
        keys_file.sync_folder(path.parent)
    except OSError as problem:
        raise ConfigError(f"can't write to {path.parent} ({problem.strerror})", "run this as root") from None


def end(path: Path) -> None:
    """Setup is at its end."""
    (path.parent / UNDER_WAY).unlink(missing_ok=True)


def try_camera(report: Report, config: Config) -> None:
    """See frames move; raises CameraError or UsageError."""
    camera.require_source(config.camera.source)
    seen, name = camera.try_source(config), config.camera.source
    report.say(
        "camera",
        State.DONE,
        f"{name} works: {seen.width} x {seen.height}, {seen.rate:g} frames a second, none was stored",
    )


def configure(report: Report, made: Draft) -> None:
    """Write the configuration, or find that nothing changes."""
    changed = ", ".join(made.differences)
    kept = configuration_file.write(made)
    if made.text == made.before:
        report.say("configuration", State.KEPT, f"{made.path} says all this already")
    else:
        before = f"; the file before is {kept.name}" if kept else ""
        report.say("configuration", State.DONE, f"{made.path} is written ({changed}){before}")


def make_keys(report: Report, config: Config, pin: str = "") -> dict[str, Any]:
    """Make or keep the identity; returns the public document."""
    made = identity.make(config, pin)
    where = config.vault.keys
    state, word = (State.DONE, "made in") if made.made else (State.KEPT, "there already, in")
    report.say("keys", state, f"{word} {where}; this box is ueid {made.document.get('ueid', '?')}")
    return made.document


def register(report: Report, config: Config, files: tuple[Path, ...]) -> None:
    """Register the parties in `files`, and tell who may ask this box."""
    parties.register(config.vault.parties, files)
    known = parties.known(config.vault.parties)
    if known:
        names = ", ".join(f"{party.id} ({party.name})" for party in known)
        report.say("relying party", State.DONE if files else State.KEPT, f"{names} may ask this box")
    else:
        text = "nobody may ask this box yet; add one with `vouchbox relying-party add FILE`"
        report.say("relying party", State.WAITS, text)


def put_tls(config: Config, given: TlsFiles) -> None:
    """Put the TLS files in their place; make the box's own key and request where there is no certificate."""
    tls.put(config, given)
    if not config.uplink.certificate.exists():
        identity.request_certificate(config)


def try_broker(report: Report, config: Config) -> None:
    """Connect with this box's certificate; raises BrokerError."""
    where = f"{config.uplink.host}:{config.uplink.port}"
    ready = tls.check(config, TlsFiles())
    if ready is None:
        request = config.uplink.key.with_suffix(".csr")
        text = f"have {request} signed by your broker's authority and put it to {config.uplink.certificate}"
        report.say("broker", State.WAITS, text)
        return
    visit.pay(ready)
    report.say("broker", State.DONE, f"{where} takes this box's certificate")


def try_session(report: Report, config: Config, person: Person, document: dict[str, Any]) -> None:
    """One test session; raises NoVerdict with the reasons when its outcome is not `live`."""
    if person == "none":
        report.say("test session", State.SKIPPED, "none was wanted")
        return
    if why := session.require_readable(config):
        report.say("test session", State.SKIPPED, f"not possible from here: {why}")
        return
    said = session.run(config, person, document).verdict.said
    if said.reasons == (Reason.TIMEOUT,):  # the first models ever read from a slow card take their time
        said = session.run(config, person, document).verdict.said
    if said.outcome is Outcome.DECLINED:
        report.say("test session", State.SKIPPED, "the person declined, and the camera stayed closed")
        return
    if said.outcome is not Outcome.LIVE:
        words = " ".join(SENTENCES[reason] for reason in said.reasons) or "No reason was given."
        raise NoVerdict(f"the test session ended as {said.outcome.value}", words.rstrip("."))
    kind = said.source.kind.value if said.source else "no camera"
    text = f"live, before a {kind} source; {said.frames} frames, wiped; the verdict is signed and verified"
    report.say("test session", State.DONE, text)


def start_rooms(report: Report) -> None:
    """Start the rooms anew with what was set up; raises RoomGone."""
    if not rooms.managed():
        report.say("rooms", State.SKIPPED, "systemd does not manage a box here")
        return
    states = rooms.restart()
    report.say("rooms", State.DONE, ", ".join(f"{room} {state}" for room, state in states.items()))
