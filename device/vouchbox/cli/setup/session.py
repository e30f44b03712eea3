"""The step `session`: one whole session with this box's own camera, models and keys, in a house of its own.

Vault, vision and kiosk run as processes over a folder in memory; setup takes the place of the uplink and of a
relying party that exists for this session only. So nothing leaves the machine, and neither the outbox nor the
audit log of the box learns of it. The verdict is verified as a relying party would.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vouchbox import ipc
from vouchbox.cli.setup import child
from vouchbox.cli.setup.configuration_file import edited, flat
from vouchbox.cli.setup.setup_file import Person
from vouchbox.config import Config
from vouchbox.errors import KeyStoreError, NoVerdict
from vouchbox.messages import Action, Level, LinkState, Outgoing, RequestArrived, VaultToUplink, decoder
from vouchbox.relying_party import boxes, evidence, requests
from vouchbox.relying_party import keys as party_keys
from vouchbox.relying_party.evidence import Verdict
from vouchbox.simulator.processes import JOINED, Room
from vouchbox.simulator.registration import registration
from vouchbox.vault import keys

PARTY, PURPOSE = "setup-test", "test"
SIMULATED = "simulated:collins"
LONGEST_S = 150.0
"""A session with consent, capture and verdict ends well within this."""

NOTICE: Mapping[str, str | int | list[str]] = {
    "schema-version": "vouchbox-notice-1",
    "language": "en",
    "controller": "whoever sets up this box",
    "address": "at this box",
    "contact": "ask whoever sets up this box",
    "lawful-basis": "your consent (GDPR, articles 6(1)(a) and 9(2)(a))",
    "pii-types": ["face, seen for five seconds and not kept"],
    "measured": "whether a live person is here",
    "leaves-the-box": "nothing: the verdict is checked here and forgotten",
    "template-readers": "nobody",
    "recipients": ["nobody"],
    "processors": ["none"],
    "storage-location": "nowhere",
    "regions": ["none"],
    "retention": "not kept",
    "jurisdiction": "where this box stands",
    "other-uses": "none",
    "withdrawal": "nothing is kept that could be withdrawn",
    "alternative": "decline; the box is set up all the same",
    "policy": "https://setup.invalid/",
    "validity-days": 1,
}


@dataclass(frozen=True, slots=True)
class Session:
    """What came of the test session: the verified verdict, and how long it took."""

    verdict: Verdict
    seconds: float


def require_keys(config: Config) -> None:
    """Raises KeyStoreError when the keys can't be read here, for example because they are encrypted."""
    keys.load(config.vault.keys, config.vault.token).signer.close()


def run(config: Config, person: Person, document: dict[str, Any]) -> Session:
    """One session of level active (passive with a clip); `document` is the box's public one.

    With `camera` the notice stands in this terminal and the person before the camera answers there. Raises
    NoVerdict, RoomGone, KeyStoreError or VerdictInvalid.
    """
    require_keys(config)
    child.allow_locked_memory()
    with _folder() as folder:
        house, asked = _furnish(folder, config, person, document)
        level = asked.level
        began = time.monotonic()
        with contextlib.ExitStack() as rooms:
            _start(rooms, folder, house, person)
            with ipc.connect(house.socket("uplink"), decoder(VaultToUplink), peer="vault") as channel:
                channel.send(LinkState(connected=True, detail="setup"))
                channel.send(RequestArrived(asked.payload))
                token = _verdict(channel)
        known = {house.box.audience: boxes.parse(msgspec.json.encode(document), "box.jwks.json")}
        verdict = evidence.verify(token, known, PARTY, time.time(), nonce=asked.nonce)
        if verdict.said.level is not level:
            raise NoVerdict(
                "the box judged at another level than it was asked for", "report this as a defect"
            )
        return Session(verdict, time.monotonic() - began)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # In memory where there is such a place: what a session writes shall not reach the card.
    run = Path("/run")
    place = run if os.access(run, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="vouchbox-setup-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(
    folder: Path, config: Config, person: Person, document: dict[str, Any]
) -> tuple[Config, requests.Asked]:
    for name in ("run", "state", "parties"):
        (folder / name).mkdir(mode=0o700)
    user = child.vision_user(config)
    if user is not None:
        for path in (folder, folder / "run"):
            os.chown(path, 0, user.house)
            path.chmod(0o750)
    party = party_keys.generate(folder / "party")
    text = registration(
        PARTY,
        verification_key=party.public_jwk,
        name="Test of this box",
        purposes={PURPOSE: "to see that this box works"},
        actions=("check",),
        notice=NOTICE,
    )
    (folder / "parties" / f"{PARTY}.toml").write_text(text)
    house = _config(folder, config, person, user)
    settings = edited("", flat(_plain(house)), "the test's configuration")
    (folder / "vouchbox.toml").write_text(settings)
    (folder / "vouchbox.toml").chmod(0o644)
    box = boxes.parse(msgspec.json.encode(document), "box.jwks.json")
    level = Level.PASSIVE if house.camera.source.startswith("clip:") else Level.ACTIVE
    asked = requests.ask(
        party, PARTY, box, purpose=PURPOSE, action=Action.CHECK, level=level, now=time.time()
    )
    return house, asked


def _config(folder: Path, config: Config, person: Person, user: child.RoomUser | None) -> Config:
    camera = config.camera
    if person == "simulated":
        camera = msgspec.structs.replace(camera, source=SIMULATED, pace="fast")
    users: dict[Any, int | str] = {} if user is None else {"vision": user.uid}
    return msgspec.structs.replace(
        config,
        box=msgspec.structs.replace(config.box, run=folder / "run", state=folder / "state"),
        camera=camera,
        vault=msgspec.structs.replace(config.vault, parties=folder / "parties", users=users, fleet=None),
    )


def _plain(value: Any) -> Any:
    # For TOML: no None, paths as text.
    if isinstance(value, msgspec.Struct):
        keyed = zip(value.__struct_encode_fields__, msgspec.structs.astuple(value), strict=True)
        return {name: _plain(member) for name, member in keyed if member is not None and member != {}}
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return str(value) if isinstance(value, Path) else value


def _start(rooms: contextlib.ExitStack, folder: Path, house: Config, person: Person) -> None:
    settings = ["--config", str(folder / "vouchbox.toml")]
    user = child.vision_user(house)
    group = ("setpriv", f"--regid={user.house}", "--clear-groups") if user else ()
    vault = rooms.enter_context(Room("vault", ["vault", *settings], folder, prefix=group))
    vault.wait_for(house.socket("counter"))
    answer = "ask" if person == "camera" else "accept"
    kiosk = Room("kiosk", ["kiosk", *settings, "--answer", answer], folder, terminal=person == "camera")
    rooms.enter_context(kiosk)
    vision = Room("vision", ["vision", *settings], folder, prefix=user.prefix if user else ())
    rooms.enter_context(vision)
    for room in (kiosk, vision):
        room.wait_until(partial(vault.says, JOINED[room.name]), "joined", LONGEST_S)


def _verdict(channel: ipc.Channel) -> bytes:
    deadline = time.monotonic() + LONGEST_S
    while (left := deadline - time.monotonic()) > 0:
        message = channel.receive(left)
        if isinstance(message, Outgoing) and message.topic.endswith("/verdict"):
            return message.payload
    raise NoVerdict("no verdict came in time", "look into the journal, and try again")


def require_readable(config: Config) -> str:
    """Why no test session is possible with these keys; empty when one is."""
    try:
        require_keys(config)
    except KeyStoreError as problem:
        return str(problem)
    return ""
