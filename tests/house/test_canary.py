"""A canary in the frames: after a full session no run of its pixels is in any file, message or memory."""

from __future__ import annotations

import base64
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from vouchbox.messages import Action, Level
from vouchbox.relying_party.ledger import Ledger
from vouchbox.simulator.house import House
from vouchbox.simulator.visit import Visit, visit

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground.canary import disguised, in_memory, runs

OpenHouse = Callable[..., House]

ROOMS = ("vault", "kiosk", "uplink", "vision", "relying-party")
FILE_LIMIT = 64 * 1024 * 1024


def files_with(needles: set[bytes], files: Iterable[Path]) -> list[Path]:
    """Those of `files` that hold any needle."""
    guilty = []
    for path in files:
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > FILE_LIMIT:
                continue
            data = path.read_bytes()
        except OSError:
            continue
        if any(needle in data for needle in needles):
            guilty.append(path)
    return guilty


def temporary_files() -> set[Path]:
    return {path for folder in ("/dev/shm", "/tmp", "/var/tmp") for path in Path(folder).glob("*")}


@pytest.mark.mosquitto
def test_no_pixel_of_a_session_is_in_any_file_database_log_or_message(
    open_house: OpenHouse, clip: Path, tmp_path: Path
) -> None:
    needles = set(disguised(runs(clip)))
    before = temporary_files()
    house = open_house(f"clip:{clip}")
    seen = visit(house, Action.ENROLL, Level.PASSIVE)
    assert seen.verdict.said.frames > 60
    assert seen.verdict.said.wiped
    house.restart("vision")  # buffers of its log and of the C library are on the disk now
    house.broker.stop()  # the broker writes down what it holds when it ends in good order
    kept = [path for folder in (house.folder, house.broker.folder) for path in folder.rglob("*")]
    names = {path.name for path in kept}
    assert {"vision.log", "vault.log", "ledger.sqlite", "mosquitto.db"} <= names
    fresh = [path for path in temporary_files() - before if "pytest" not in path.name]
    assert files_with(needles, kept) == []
    assert files_with(needles, fresh) == []

    with Ledger(house.settings.party.ledger) as ledger:
        tokens = [ledger.verdict(seen.verdict.jti)]
    for token in tokens:
        assert token is not None
        for part in token.split(b"."):
            clear = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
            assert not [needle for needle in needles if needle in clear]

    for number, needle in enumerate(sorted(needles)):
        planted = tmp_path / f"planted-{number}"
        planted.write_bytes(os.urandom(1000) + needle + os.urandom(1000))
        assert files_with(needles, [planted]) == [planted], "the search must find what is there"


@pytest.mark.mosquitto
@pytest.mark.skipif(os.geteuid() != 0, reason="reading another process that is not dumpable takes root")
def test_no_pixel_of_a_session_is_left_in_the_memory_of_any_room(open_house: OpenHouse, clip: Path) -> None:
    pieces = runs(clip)
    house = open_house(f"clip:{clip}", pace="real")
    answers: list[Visit] = []
    session = threading.Thread(
        target=lambda: answers.append(visit(house, Action.CHECK, Level.PASSIVE)), daemon=True
    )
    session.start()
    during = 0
    while session.is_alive() and not during:
        during = in_memory(house.room("vision").pid, pieces)
    elsewhere = {name: in_memory(house.room(name).pid, pieces) for name in ROOMS if name != "vision"}
    session.join()
    assert during > 0, "the search must find frames while the session runs"
    assert answers
    assert answers[0].verdict.said.wiped
    after = {name: in_memory(house.room(name).pid, pieces) for name in ROOMS}
    assert elsewhere == dict.fromkeys(elsewhere, 0)
    assert after == dict.fromkeys(ROOMS, 0)
