"""A canary in the frames: after a full session no run of its pixels is in any file, message or memory."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource
from vouchbox.messages import Action, Level
from vouchbox.relying_party.ledger import Ledger
from vouchbox.simulator.house import House
from vouchbox.simulator.visit import Visit, visit

OpenHouse = Callable[..., House]

ROOMS = ("vault", "kiosk", "uplink", "vision", "relying-party")
FILE_LIMIT = 64 * 1024 * 1024
RUN = slice(100, 140)
"""Columns of the noise that make one run: 40 pixels, as one plane (40 bytes) and as RGB (120 bytes)."""


def runs(clip: Path) -> set[bytes]:
    """Pieces of the noise exactly as the box's decoder delivers them. Being grey it is one and the same
    in RGB, BGR and (one byte a pixel) in luma and every plane."""
    source, pieces = ClipSource(clip, pace="fast"), set()
    opened = source.open()
    frame = np.zeros((opened.height, opened.width, 3), np.uint8)
    while source.capture(frame) is not None:
        for row in (60, 68):
            pieces.add(frame[row, RUN, 0].tobytes())
            pieces.add(frame[row, RUN].tobytes())
    source.close()
    return pieces


def disguised(pieces: Iterable[bytes]) -> set[bytes]:
    """The pieces as they are, in hex, and as they look inside base64 and base64url at any offset."""
    found: set[bytes] = set()
    for piece in pieces:
        found |= {piece, piece.hex().encode(), piece.hex().upper().encode()}
        for offset in range(3):
            whole = piece[offset : offset + (len(piece) - offset) // 3 * 3]
            found |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    return found


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


def in_memory(process: int, pieces: set[bytes]) -> int:
    """How many of `pieces` stand in the writable memory of `process`."""
    left = set(pieces)
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if region is None:
                continue
            low, high = (int(part, 16) for part in region.groups())
            try:
                memory.seek(low)
                data = memory.read(high - low)
            except (OSError, OverflowError):
                continue
            left -= {piece for piece in left if piece in data}
    return len(pieces) - len(left)


def temporary_files() -> set[Path]:
    return {path for folder in ("/dev/shm", "/tmp", "/var/tmp") for path in Path(folder).glob("*")}


@pytest.mark.mosquitto
def test_no_pixel_of_a_session_is_in_any_file_database_log_or_message(
    open_house: OpenHouse, clip: Path, tmp_path: Path
) -> None:
    needles = disguised(runs(clip))
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
