"""Kill the vault at each write and at work: never two verdicts, never a lost one, never a live one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from vouchbox import ipc
from vouchbox.messages import (
    ConsentAsked,
    ConsentGiven,
    Examine,
    ModelIdentity,
    RequestArrived,
    SourceKind,
    StatusDocument,
    VaultToKiosk,
    VaultToUplink,
    VaultToVision,
    VisionReady,
    decoder,
)
from vouchbox.vault import template
from vouchbox.vault.store import Row, Store, Value

WRITES = ("INSERT", "DELETE", "COMMIT")

SERVE = """
import sys
from pathlib import Path
from vouchbox import config
from vouchbox.vault import daemon
daemon.run(config.load(Path(sys.argv[1])))
"""


class PowerCut(BaseException):
    """Nothing after this is executed."""


@pytest.mark.parametrize("at", range(1, 25))
def test_a_power_cut_at_any_write_leaves_no_session_or_exactly_one_verdict(
    make_world: Any, party: Any, exam: Any, embedding: Any, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    execute, count = Store.execute, 0

    def fragile(store: Store, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        nonlocal count
        count += statement.startswith(WRITES)
        if count >= at:
            raise PowerCut
        return execute(store, statement, values)

    monkeypatch.setattr(Store, "execute", fragile)
    cut = False
    try:
        world.ask(party.request(action="enroll"))
        session = world.of("kiosk", ConsentAsked)[-1].session
        world.say("kiosk", ConsentGiven(session, True))
        prompts = world.of("vision", Examine)[-1].prompts
        world.say("vision", exam(session, prompts, embedding=embedding(1)))
    except PowerCut:
        cut = True
    monkeypatch.setattr(Store, "execute", execute)
    world.restart()
    store = world.vault._store
    accepted = store.execute("SELECT count(*) FROM audit WHERE event = 'request'")
    verdicts = store.execute("SELECT count(*) FROM outbox WHERE content_type = 'application/eat+jwt'")
    templates = store.execute("SELECT count(*) FROM outbox WHERE topic LIKE '%/template'")
    assert verdicts == accepted
    assert store.execute("SELECT count(*) FROM session") == [(0,)]
    assert templates == [(0 if cut else 1,)]
    by = template.rotation(world.vault._ring.template_secret, party.id, 1)
    clear = template.protect(embedding(1), bytes.fromhex("ab" * 32), by).values
    for path in world.config.box.state.iterdir():
        assert clear[:32] not in path.read_bytes()


@pytest.fixture
def process(make_world: Any, party: Any, tmp_path: Path) -> Any:
    """A vault in a process of its own, in the folder of a world that is closed."""
    world = make_world(party)
    world.close()
    box, vault = world.config.box, world.config.vault
    (tmp_path / "box.toml").write_text(
        f'[box]\nsite = "shop"\ndevice = "door"\nrun = "{box.run}"\nstate = "{box.state}"\n'
        f'[vault]\nkeys = "{vault.keys}"\nparties = "{vault.parties}"\n'
        f'[vision]\nmodels = "{world.config.vision.models}"\n'
    )
    running = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path / "box.toml")])
    patience = time.monotonic() + 30
    while not (box.run / "kiosk.sock").exists():
        assert time.monotonic() < patience
        assert running.poll() is None
        time.sleep(0.02)
    yield world, running
    running.kill()
    running.wait()


def test_sigterm_ends_the_vault_in_good_order(process: Any) -> None:
    world, running = process
    running.terminate()
    assert running.wait(timeout=20) == 0
    assert not list(world.config.box.run.iterdir())


def test_kill_nine_in_a_session_ends_in_one_interrupted_verdict(process: Any, party: Any) -> None:
    world, running = process
    now = int(time.time())

    def knock(room: Any, hears: Any) -> ipc.Channel:
        return ipc.connect(world.config.socket(room), decoder(hears), peer="vault")

    kiosk, vision, uplink = (
        knock("kiosk", VaultToKiosk),
        knock("vision", VaultToVision),
        knock("uplink", VaultToUplink),
    )
    models = (ModelIdentity("embedding", "ab" * 32),)
    vision.send(VisionReady("0.1.0", "litert", models, SourceKind.SENSOR, True))
    healthy = False
    while not healthy:
        status = uplink.receive(20)
        assert isinstance(status, StatusDocument)
        healthy = b'"healthy":true' in status.payload
    uplink.send(RequestArrived(party.request(iat=now, exp=now + 300)))
    assert isinstance(kiosk.receive(20), ConsentAsked)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    for channel in (kiosk, vision, uplink):
        channel.close()
    world.restart()
    [(detail,)] = world.vault._store.execute("SELECT detail FROM audit WHERE event = 'verdict'")
    assert '"interrupted"' in str(detail)
    assert world.vault._outbox.waiting() == 1
