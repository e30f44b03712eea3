"""Kill -9 of the vault before and after every write of whole sessions, each in a process of its own.

A helper process has all modules loaded and forks a vault for each kill point; the vault counts its database
statements that write, whatever table they are for, and kills itself at one of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vouchbox import ipc
from vouchbox.errors import OutboxError, RoomGone
from vouchbox.messages import (
    AckArrived,
    CodePresented,
    ConsentAsked,
    ConsentGiven,
    Examine,
    LinkState,
    Message,
    ModelIdentity,
    Outgoing,
    Published,
    ReceiptIssued,
    RequestArrived,
    SourceKind,
    VaultToCounter,
    VaultToKiosk,
    VaultToUplink,
    VaultToVision,
    VisionReady,
    WithdrawalStanding,
    decoder,
)
from vouchbox.vault import audit, template
from vouchbox.vault.store import Store

HEARS = {
    "kiosk": VaultToKiosk,
    "vision": VaultToVision,
    "uplink": VaultToUplink,
    "counter": VaultToCounter,
}
MODEL = "ab" * 32
PATIENCE_S = 60.0
SHARES = 4
"""The kill points are dealt out to so many tests, which may run side by side."""

NURSERY = """
import os, signal, sys
from pathlib import Path
from vouchbox import config
from vouchbox.vault import daemon
from vouchbox.vault.store import Store

execute, count, at = Store.execute, 0, 0

def reached():
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)

def fragile(store, statement, values=()):
    if statement.lstrip().upper().startswith(("SELECT", "PRAGMA TABLE")):
        return execute(store, statement, values)
    reached()
    rows = execute(store, statement, values)
    reached()
    return rows

Store.execute = fragile
for line in sys.stdin:
    at = int(line)
    child = os.fork()
    if child == 0:
        daemon.run(config.load(Path(sys.argv[1])))
        print(count, flush=True)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class Nursery:
    """Forks vaults for the configuration of a closed world."""

    def __init__(self, world: Any, folder: Path) -> None:
        box, vault = world.config.box, world.config.vault
        path = folder / "box.toml"
        path.write_text(
            f'[box]\nsite = "shop"\ndevice = "door"\nrun = "{box.run}"\nstate = "{box.state}"\n'
            f'[vault]\nkeys = "{vault.keys}"\nparties = "{vault.parties}"\n'
            f'[vision]\nmodels = "{world.config.vision.models}"\n'
        )
        self._helper = subprocess.Popen(
            [sys.executable, "-c", NURSERY, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.child = 0

    def bear(self, at: int) -> None:
        """A vault that dies at its write number `at`."""
        assert self._helper.stdin is not None
        self._helper.stdin.write(f"{at}\n")
        self._helper.stdin.flush()
        self.child = int(self._line())

    def bury(self) -> int:
        """Wait for the end of the vault; the number of its writes when it ended by itself, else 0."""
        line = self._line()
        if line == "gone":
            return 0
        assert self._line() == "gone"
        return int(line)

    def close(self) -> None:
        self._helper.kill()
        self._helper.wait()
        for pipe in (self._helper.stdin, self._helper.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self) -> str:
        assert self._helper.stdout is not None
        return self._helper.stdout.readline().strip()


class Play:
    """The three rooms of one run. Every method raises RoomGone when the vault died."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.channels: dict[str, ipc.Channel] = {}
        self.heard: list[Message] = []

    def join(self) -> None:
        for room, hears in HEARS.items():
            self.channels[room] = self._knock(room, hears)
        models = (ModelIdentity("embedding", MODEL),)
        self.channels["vision"].send(VisionReady("0.1.0", "litert", models, SourceKind.SENSOR, True))
        self.channels["uplink"].send(LinkState(connected=True))
        while b'"healthy":true' not in getattr(self.next("uplink"), "payload", b""):
            pass

    def next(self, room: str, kind: type[Message] = Message) -> Any:
        patience = time.monotonic() + PATIENCE_S
        while time.monotonic() < patience:
            message = self.channels[room].receive(1.0)
            if message is not None:
                self.heard.append(message)
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"the {room} never heard a {kind.__name__}")

    def session(self, party: Any, exam: Any, face: bytes) -> None:
        """Enrol, take both messages for the broker, acknowledge them as the relying party, and withdraw."""
        session = self.ask(party)
        self.channels["kiosk"].send(ConsentGiven(session, True))
        prompts = self.next("vision", Examine).prompts
        self.channels["vision"].send(exam(session, prompts, embedding=face))
        digests = []
        for _ in range(2):
            row = self.next("uplink", Outgoing)
            digests.append(hashlib.sha256(row.payload).hexdigest())
            said = Published(row.row, 0, row.topic, len(row.payload), digests[-1])
            self.channels["uplink"].send(said)
        self.channels["uplink"].send(AckArrived(party.ack(*digests)))
        self.channels["counter"].send(CodePresented(self.next("kiosk", ReceiptIssued).code))
        self.next("counter", WithdrawalStanding)
        while not self.next("uplink", Outgoing).topic.endswith("/withdrawal"):
            pass

    def ask(self, party: Any) -> str:
        """Bring a request to enrol; the session about which the kiosk is asked."""
        now = int(time.time())
        self.channels["uplink"].send(RequestArrived(party.request(action="enroll", iat=now, exp=now + 300)))
        session: str = self.next("kiosk", ConsentAsked).session
        return session

    def close(self) -> None:
        for channel in self.channels.values():
            channel.close()

    def _knock(self, room: Any, hears: Any) -> ipc.Channel:
        patience = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ipc.connect(self._world.config.socket(room), decoder(hears), peer="vault")
            except RoomGone:
                if not Path(f"/proc/{self._world.child()}").exists() or time.monotonic() > patience:
                    raise
                time.sleep(0.01)


@pytest.fixture
def killed(make_world: Any, party: Any, tmp_path: Path) -> Iterator[Any]:
    world = make_world(party)
    world.close()
    nursery = Nursery(world, tmp_path)
    world.child = lambda: nursery.child
    yield world, nursery
    nursery.close()


def run(world: Any, nursery: Nursery, at: int, party: Any, exam: Any, face: bytes) -> tuple[int, Play]:
    """One vault from its birth to its death at write `at`, or to the end of two sessions; its writes."""
    shutil.rmtree(world.config.box.state)
    shutil.rmtree(world.config.box.run, ignore_errors=True)
    nursery.bear(at)
    play = Play(world)
    try:
        play.join()
        play.session(party, exam, face)
        os.kill(nursery.child, signal.SIGTERM)
    except RoomGone:
        pass
    finally:
        play.close()
    return nursery.bury(), play


def recover(world: Any, nursery: Nursery, at: int) -> int:
    """A vault that starts over what the last one left and dies at write `at`; its writes, 0 when it died."""
    (world.config.box.run / "kiosk.sock").unlink(missing_ok=True)
    nursery.bear(at)
    patience = time.monotonic() + PATIENCE_S
    door = world.config.box.run / "kiosk.sock"
    while not door.exists() and lives(nursery.child) and time.monotonic() < patience:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(nursery.child, signal.SIGTERM)
    return nursery.bury()


def lives(process: int) -> bool:
    """Whether that process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def inspect(world: Any, play: Play, party: Any, face: bytes, at: int) -> None:
    """What must hold after the restart, wherever the vault died."""
    world.clock.now = time.time()
    world._start()
    store = world.vault._store
    assert audit.verify(store) is None, at
    log = [(entry.event, json.loads(entry.detail)) for entry in audit.read(store)]
    accepted = [detail["session"] for event, detail in log if event == "request"]
    concluded = [detail["session"] for event, detail in log if event == "verdict"]
    assert sorted(concluded) == sorted(accepted), at
    assert len(accepted) <= 1, at
    assert store.execute("SELECT count(*) FROM session") == [(0,)], at
    # Nobody was asked, and no camera opened, before that was on the disk.
    asked = [message.session for message in play.heard if isinstance(message, ConsentAsked)]
    assert set(asked) <= set(accepted), at
    opened = [message.session for message in play.heard if isinstance(message, Examine)]
    assert set(opened) <= {detail["session"] for event, detail in log if event == "consent"}, at
    outcomes = [detail["outcome"] for event, detail in log if event == "verdict"]
    waiting = dict(store.execute("SELECT content_type, count(*) FROM outbox GROUP BY 1"))
    gone = sum(event == "delivery" for event, _ in log)
    # A withdrawal is taken once and owed to the party. It drops a template that nobody has acknowledged yet.
    withdrawn = [detail for event, detail in log if event == "withdrawal"]
    assert len(withdrawn) <= len([o for o in outcomes if o == "live"]), at
    told = [message for message in play.heard if isinstance(message, WithdrawalStanding)]
    assert len(told) <= len(withdrawn), at
    owed = {(): 0, ("inconclusive",): 1, ("live",): 2}[tuple(outcomes)] + len(withdrawn)
    dropped = owed - sum(waiting.values()) - gone
    assert dropped in ((0, 1) if withdrawn else (0,)), at
    assert not dropped or not any("template" in str(kind) for kind in waiting), at
    by = template.rotation(world.vault._ring.template_secret, party.id, 1)
    clear = template.protect(face, bytes.fromhex(MODEL), by).values
    for path in world.config.box.state.iterdir():
        data = path.read_bytes()
        assert clear[:16] not in data, at
        assert face[:16] not in data, at
    world.close()


@pytest.mark.parametrize("share", range(SHARES))
def test_kill_nine_at_any_write_leaves_no_session_or_exactly_one_verdict_and_no_template_in_clear(
    killed: Any, party: Any, exam: Any, embedding: Any, share: int
) -> None:
    world, nursery = killed
    face = embedding(1)
    writes, play = run(world, nursery, 0, party, exam, face)
    assert writes > 40
    inspect(world, play, party, face, 0)
    for at in range(1 + share, writes + 1, SHARES):
        survived, play = run(world, nursery, at, party, exam, face)
        assert survived == 0 or survived < at, "the vault outlived its kill point"
        inspect(world, play, party, face, at)


def test_kill_nine_at_any_write_of_the_recovery_still_leaves_exactly_one_verdict(
    killed: Any, party: Any, exam: Any, embedding: Any
) -> None:
    world, nursery = killed
    face = embedding(1)
    shutil.rmtree(world.config.box.state)
    nursery.bear(0)
    play = Play(world)
    play.join()
    play.ask(party)
    os.kill(nursery.child, signal.SIGKILL)
    play.close()
    assert nursery.bury() == 0
    assert has_sessions(world)
    at = 1
    while recover(world, nursery, at) == 0:
        assert has_sessions(world) or verdicts(world) == 1, at
        at += 1
    assert at > 5
    inspect(world, Play(world), party, face, at)


def has_sessions(world: Any) -> bool:
    return count(world, "SELECT count(*) FROM session") > 0


def verdicts(world: Any) -> int:
    return count(world, "SELECT count(*) FROM audit WHERE event = 'verdict'")


def count(world: Any, statement: str) -> int:
    """Asked of the files as the dead vault left them, in a copy: a reader may not mend them."""
    with tempfile.TemporaryDirectory() as folder:
        for path in world.config.box.state.glob("vault.sqlite*"):
            shutil.copy(path, folder)
        store = Store(Path(folder))
        try:
            return int(str(store.execute(statement)[0][0]))
        except OutboxError:
            return 0
        finally:
            store.close()
