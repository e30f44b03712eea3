"""Rubbish on the request topic, as fast as a broker delivers it: the real vault, its real log on stderr."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vouchbox import ipc
from vouchbox.cli.log_limit import BURST, KINDS, TOTAL
from vouchbox.errors import RoomGone
from vouchbox.messages import LinkState, RequestArrived, StatusDocument, VaultToUplink, decoder

PATIENCE_S = 60.0
FLOOD = 3000


def configured(world: Any, folder: Path) -> Path:
    box, vault = world.config.box, world.config.vault
    path = folder / "box.toml"
    path.write_text(
        f'[box]\nsite = "shop"\ndevice = "door"\nrun = "{box.run}"\nstate = "{box.state}"\n'
        f'[vault]\nkeys = "{vault.keys}"\nparties = "{vault.parties}"\n'
        f'[vision]\nmodels = "{world.config.vision.models}"\n'
    )
    return path


def connected(world: Any) -> ipc.Channel:
    patience = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ipc.connect(world.config.socket("uplink"), decoder(VaultToUplink), peer="vault")
        except RoomGone:
            if time.monotonic() > patience:
                raise
            time.sleep(0.05)


def test_a_flood_of_bad_requests_is_counted_whole_and_does_not_flood_the_log(
    make_world: Any, party: Any, tmp_path: Path
) -> None:
    world = make_world(party)
    world.close()
    command = [sys.executable, "-m", "vouchbox", "vault", "--config", str(configured(world, tmp_path))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as vault:
        try:
            with connected(world) as uplink:
                uplink.send(LinkState(connected=True))
                for number in range(FLOOD):
                    uplink.send(RequestArrived(b"rubbish-%d" % number))
            # A new uplink is told the state of all that came before.
            with connected(world) as uplink:
                uplink.send(LinkState(connected=True))
                status = uplink.receive(PATIENCE_S)
        finally:
            vault.terminate()
        _, said = vault.communicate(timeout=PATIENCE_S)
    assert isinstance(status, StatusDocument)
    counted = sum(int(n) for n in re.findall(rb'"request-[a-z-]+":(\d+)', status.payload))
    assert counted == FLOOD
    lines = said.splitlines()
    ignored = [line for line in lines if line.startswith("vouchbox.vault: a request was ignored")]
    left_out = re.findall(r"(\d+) more lines like this were left out: a request was ignored", said)
    assert len(ignored) == BURST
    assert len(lines) < TOTAL + KINDS
    assert len(ignored) + sum(map(int, left_out)) == FLOOD
    assert "rubbish-" not in said
