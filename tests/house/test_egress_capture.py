"""The egress ledger against the wire: a whole house in a network namespace of its own, every packet captured.

The TLS keys of this one house are logged by a module that only this test puts before Python's own, so that
tshark can read what the box published. The ledger must name exactly that, message by message; and besides the
broker's connections nothing may have been sent.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(os.geteuid() != 0, reason="a capture needs root"),
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed"),
]

KEYLOG = """
import ssl

_new = ssl.SSLContext.__new__


def _logged(cls, *arguments, **options):
    context = _new(cls, *arguments, **options)
    context.keylog_filename = {path!r}
    return context


ssl.SSLContext.__new__ = _logged
"""

STORY = """
import json, subprocess, sys, time
from pathlib import Path
from vouchbox.messages import Action, Level
from vouchbox.simulator.house import House, Scene
from vouchbox.simulator.visit import visit

capture, told = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
dump = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-w", str(capture)], stderr=subprocess.DEVNULL)
while not capture.exists() or not capture.stat().st_size:
    assert dump.poll() is None, "dumpcap ended"
    time.sleep(0.05)

def closed(house):
    return [d for d in house.departures() if d.answer == "taken" and d.size == len(b'{"state":"offline"}')]

def connections(house):
    return house.room("uplink").log.read_text().count("connected to")

def back(house, before):
    house.room("uplink").wait_until(lambda: connections(house) > before, "come back")

def story(house):
    visit(house, Action.ENROLL, Level.ACTIVE)
    visit(house, Action.MATCH, Level.ACTIVE)
    house.change(answer="decline")
    visit(house, Action.CHECK, Level.ACTIVE)
    before = connections(house)
    house.restart("uplink")
    back(house, before)
    before = connections(house)
    house.broker.kill()
    house.broker.start()
    house.change(answer="accept")
    back(house, before)
    visit(house, Action.CHECK, Level.ACTIVE)
    farewells = len(closed(house))
    house.room("uplink").stop()
    deadline = time.monotonic() + 30
    while len(closed(house)) == farewells and time.monotonic() < deadline:
        time.sleep(0.1)
    told.write_text(json.dumps({
        "port": house.broker.port,
        "ledger": [[d.topic, d.size, d.sha256, d.answer] for d in house.departures()],
        "client": f"vouchbox.{house.config.box.site}.{house.config.box.device}",
    }))
    for name in ("vision", "kiosk", "vault", "relying-party"):
        house.room(name).stop()

try:
    with House(Scene("simulated:collins", "fast")) as house:
        story(house)
    time.sleep(1)
finally:
    dump.terminate()
    dump.wait()
"""


def dissect(capture: Path, keys: Path, port: int, wanted: str, *fields: str) -> list[dict[str, list[str]]]:
    """The `fields` of every frame that matches the display filter `wanted`, as tshark reads them."""
    command = ["tshark", "-r", str(capture), "-o", f"tls.keylog_file:{keys}", "-T", "json"]
    command += ["-d", f"tcp.port=={port},tls", "-d", f"tls.port=={port},mqtt", "-Y", wanted]
    for field in fields:
        command += ["-e", field]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    return [packet["_source"]["layers"] for packet in json.loads(read.stdout or "[]")]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the house told, and the capture of all its packets with the keys."""
    pytest.importorskip("skimage", reason="the simulated subject needs the extra `simulator`")
    folder = tmp_path_factory.mktemp("wire")
    (folder / "sitecustomize.py").write_text(KEYLOG.format(path=str(folder / "keys.log")))
    inside = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    if inside.returncode:
        pytest.skip("no network namespace can be made here")
    command = [sys.executable, "-c", STORY, str(folder / "wire.pcapng"), str(folder / "told.json")]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    run = subprocess.run(
        ["unshare", "--net", *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads((folder / "told.json").read_text()), folder / "wire.pcapng", folder / "keys.log"


def published(wire: Any) -> list[tuple[str, int, str]]:
    """Topic, bytes and SHA-256 of every PUBLISH that the box sent, in the order of the wire."""
    import hashlib

    told, capture, keys = wire
    greetings = dissect(capture, keys, told["port"], "mqtt.msgtype == 1", "tcp.stream", "mqtt.clientid")
    own = {one["tcp.stream"][0] for one in greetings if told["client"] in one["mqtt.clientid"]}
    assert own, "the box never greeted the broker"
    found = []
    wanted = f"mqtt.msgtype == 3 && tcp.dstport == {told['port']}"
    for one in dissect(capture, keys, told["port"], wanted, "tcp.stream", "mqtt.topic", "mqtt.msg"):
        if one["tcp.stream"][0] in own:
            assert len(one["mqtt.topic"]) == len(one["mqtt.msg"])
            for topic, message in zip(one["mqtt.topic"], one["mqtt.msg"], strict=True):
                payload = bytes.fromhex(message.replace(":", ""))
                found.append((topic, len(payload), hashlib.sha256(payload).hexdigest()))
    return found


def test_the_egress_ledger_is_what_the_wire_carried_message_by_message(wire: Any) -> None:
    told, _, _ = wire
    ledger = [(topic, size, digest) for topic, size, digest, _ in told["ledger"]]
    carried = published(wire)
    assert {topic.rsplit("/", 1)[-1] for topic, _, _ in carried} >= {"verdict", "template", "status"}
    assert Counter(carried) == Counter(ledger)
    assert {answer for *_, answer in told["ledger"]} <= {"taken", "unanswered"}


def test_nothing_was_sent_but_to_the_broker(wire: Any) -> None:
    told, capture, keys = wire
    port = told["port"]
    assert dissect(capture, keys, port, f"tcp.port == {port} && tcp.len > 1", "frame.number")
    # paho-mqtt wakes its own loop through a loopback connection to itself, one byte at a time.
    assert dissect(capture, keys, port, f"!(tcp.port == {port}) && !(tcp.len <= 1)", "frame.number") == []


def test_every_connection_of_the_house_was_read(wire: Any) -> None:
    told, capture, keys = wire
    port = told["port"]
    streams = {
        one["tcp.stream"][0] for one in dissect(capture, keys, port, "tls.handshake.type == 1", "tcp.stream")
    }
    read = {one["tcp.stream"][0] for one in dissect(capture, keys, port, "mqtt.msgtype == 1", "tcp.stream")}
    assert streams == read
