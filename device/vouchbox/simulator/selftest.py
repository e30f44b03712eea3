"""Is this installation fit to serve? Settings, models, a copy of the state, and one whole simulated session.

What a new version runs before it may take over (`vouchbox update`), and anyone at any time. It touches
neither the box's keys nor its real state: the session has keys, rooms and a relying party of its own in a
folder that is removed, and no network, for this process takes the uplink's place. Nothing that it makes can
be taken for a verdict of the box.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vouchbox import config as configuration
from vouchbox.config import Config
from vouchbox.errors import NoVerdict
from vouchbox.ipc import Channel, connect
from vouchbox.messages import (
    Action,
    Level,
    LinkState,
    Outcome,
    Outgoing,
    Published,
    RequestArrived,
    VaultToUplink,
    decoder,
)
from vouchbox.reasons import Reason
from vouchbox.relying_party import boxes, evidence, keys, requests, templates
from vouchbox.relying_party.evidence import Verdict
from vouchbox.relying_party.formats import to_base64url
from vouchbox.simulator.house_files import DEVICE, Scene, box_file
from vouchbox.simulator.processes import JOINED, Room
from vouchbox.simulator.registration import PARTY, PURPOSE, registration
from vouchbox.vault import audit, registry, signed_head
from vouchbox.vault.provision import PUBLIC_FILE, create_identity
from vouchbox.vault.store import Store
from vouchbox.vision.models import Models

SUBJECT = "collins"
START_S = 300.0
"""Rooms that have not joined by then won't."""
SESSION_S = 600.0
"""A session that takes longer has failed, also on a slow Pi; it takes some seconds."""

ATTEMPTS = 3
"""A session that ran out of time tells that the machine was busy, not that the version is wrong."""

Report = Callable[[str], None]


def run(config: Config, state: Path | None, report: Report) -> None:
    """All of it; `report` gets a line for each part that is in order, and the first that is not raises its
    VouchboxError. `state` is a copy of the box's state folder, which is brought up to date on the way."""
    if config.vault.parties.is_dir():
        report(f"{len(registry.load(config.vault.parties))} registrations can be read")
    models = Models.load(config.vision.models, config.vision.runtime)
    report(f"{len(models.identities)} models load with their digests, on {models.runtime.label}")
    del models
    if state is not None:
        report(f"the database opens, and its log of {check_state(config, state)} entries is whole")
    report(f"a simulated session ended {session(config)}, verified by its relying party")


def check_state(config: Config, state: Path) -> int:
    """Open the database in `state`, bring it up to date, and check its log against what the box vouched for;
    returns the log's entries. Raises OutboxError, AuditError or NoVerdict."""
    store = Store(state)
    try:
        broken = audit.verify(store)
        if broken is not None:
            raise NoVerdict(f"entry {broken} of the log does not fit", "run `vouchbox audit verify`")
        statement = signed_head.last(state)
        public = config.vault.keys / PUBLIC_FILE
        if statement is not None and public.exists():
            document = msgspec.json.decode(public.read_bytes(), type=dict[str, Any])
            head = signed_head.verify(statement, document["keys"], config.box.audience)
            signed_head.compare(store, head.entries, head.head)
        return audit.head(store)[0]
    finally:
        store.close()


def session(config: Config) -> str:
    """One session at level active that enrols a simulated person; returns its outcome, which is `live`.

    Raises NoVerdict when it ends otherwise or not at all, VerdictInvalid, SealError or RoomGone.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="vouchbox-selftest-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        party, box = _furnish(folder, config)
        inner = configuration.load(folder / "vouchbox.toml")
        line = stack.enter_context(_rooms(folder, inner))
        old: set[bytes] = set()
        for _ in range(ATTEMPTS):
            asked = requests.ask(
                party,
                PARTY,
                box,
                purpose=PURPOSE,
                action=Action.ENROLL,
                level=Level.ACTIVE,
                now=time.time(),
                lifetime_s=requests.LIFETIME_LIMIT_S,
            )
            line.send(RequestArrived(asked.payload))
            sent = _receive(line, {}, "verdict", old)
            known = {box.audience: box}
            verdict = evidence.verify(sent["verdict"], known, PARTY, time.time(), nonce=asked.nonce)
            if verdict.said.reasons != (Reason.TIMEOUT,):
                break
            old.add(sent["verdict"])  # offered again, for nobody has acknowledged it
        if verdict.said.template is not None:
            sent = _receive(line, sent, "template", old)
        return _judge(sent, verdict, party).value


def _furnish(folder: Path, config: Config) -> tuple[keys.PartyKeys, boxes.Box]:
    for name in ("run", "state", "parties"):
        (folder / name).mkdir(mode=0o700)
    path = folder / "vouchbox.toml"
    path.write_text(box_file(folder, Scene(f"simulated:{SUBJECT}"), config.vision.runtime, 1))
    inner = configuration.load(path)
    create_identity(inner.vault.keys, audience=inner.box.audience)
    party = keys.generate(folder / "party")
    text = registration(PARTY, verification_key=party.public_jwk, seal_key=to_base64url(party.public_seal))
    (folder / "parties" / f"{PARTY}.toml").write_text(text)
    known = boxes.load(inner.vault.keys / PUBLIC_FILE)
    return party, known[inner.box.audience]


@contextlib.contextmanager
def _rooms(folder: Path, config: Config) -> Iterator[Channel]:
    """Vault, kiosk and vision as processes; gives the uplink's end of the line to the vault."""
    with contextlib.ExitStack() as stack:
        settings = ["--config", str(folder / "vouchbox.toml")]

        def start(name: str, *more: str) -> Room:
            room = Room(name, [name, *settings, *more], folder)
            stack.callback(room.stop)
            return room

        vault = start("vault")
        vault.wait_for(config.socket("counter"), START_S)
        kiosk, vision = start("kiosk", "--answer", "accept"), start("vision")
        for room in (kiosk, vision):
            room.wait_until(partial(vault.says, JOINED[room.name]), "joined the vault", START_S)
        line = stack.enter_context(connect(config.socket("uplink"), decoder(VaultToUplink), peer="vault"))
        line.send(LinkState(connected=True))
        yield line


def _receive(line: Channel, sent: dict[str, bytes], wanted: str, old: set[bytes]) -> dict[str, bytes]:
    """`sent` and what leaves the box, without `old`, until `wanted` is there: last word of topic, payload."""
    deadline = time.monotonic() + SESSION_S
    while wanted not in sent:
        message = line.receive(1.0)
        if isinstance(message, Outgoing):
            digest = hashlib.sha256(message.payload).hexdigest()
            line.send(Published(message.row, 0, message.topic, len(message.payload), digest))
            if message.payload not in old:
                sent = {**sent, message.topic.rpartition("/")[2]: message.payload}
        if time.monotonic() > deadline:
            raise NoVerdict(f"the simulated session gave no {wanted}", "see `vouchbox doctor`")
    return sent


def _judge(sent: dict[str, bytes], verdict: Verdict, party: keys.PartyKeys) -> Outcome:
    if verdict.outcome is not Outcome.LIVE:
        reasons = ", ".join(reason.value for reason in verdict.said.reasons) or "no reason"
        raise NoVerdict(
            f"the simulated session of {DEVICE} ended {verdict.outcome.value} ({reasons})",
            "see `vouchbox doctor`",
        )
    if "template" not in sent:
        raise NoVerdict("the simulated session gave no template", "see `vouchbox doctor`")
    templates.decode(templates.unseal(templates.check(sent["template"], verdict), party.seal))
    return verdict.outcome
