"""A known pattern in the frames, and the search for it: in files, in text, and in the memory of a process.

The pattern is a band of grey noise above a public-domain portrait. What is searched is what the box's own
decoder makes of it, so that the clip itself does not count.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from vouchbox.camera.clip import ClipSource

_BAND = slice(48, 80)
"""Rows that hold the noise: whole blocks of the codec."""
_RUN = slice(100, 140)
"""Columns of one run: 40 pixels."""
_SEIZE, _CONTINUE, _DETACH = 0x4206, 7, 17
_TRACE_EXIT, _EXITS, _WALL = 0x40, 6, 0x40000000


def make_clip(path: Path, seconds: float = 5.0) -> Path:
    """A clip of a portrait that sways, under the band."""
    import skimage

    picture = cv2.imread(str(Path(skimage.__file__).parent / "data" / "astronaut.png"))
    assert picture is not None
    portrait = picture[10:210, 120:320]
    tile = np.random.default_rng(20_261_125).integers(0, 256, (8, 160), dtype=np.uint8)
    band = cv2.resize(tile, (640, 32), interpolation=cv2.INTER_CUBIC)
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 15.0, (640, 480))  # noqa: TID251 - public domain and noise
    for index in range(int(seconds * 15)):
        shift = np.array([[1.7, 0, 150 + 6 * np.sin(index / 5)], [0, 1.7, 100 + 2 * np.sin(index / 3)]])
        frame = cv2.warpAffine(portrait, shift, (640, 480), borderValue=(110, 120, 130))
        frame[_BAND] = band[:, :, None]
        writer.write(frame)
    writer.release()
    return path


def runs(clip: Path) -> set[bytes]:
    """Pieces of the noise as the box's decoder delivers them: one byte a pixel, and three."""
    source, pieces = ClipSource(clip, pace="fast"), set()
    opened = source.open()
    frame = np.zeros((opened.height, opened.width, 3), np.uint8)
    while source.capture(frame) is not None:
        for row in (60, 68):
            pieces |= {frame[row, _RUN, 0].tobytes(), frame[row, _RUN].tobytes()}
    source.close()
    return pieces


def disguised(pieces: Iterable[bytes]) -> list[bytes]:
    """The pieces as they are, in hex, and as they look inside base64 at any offset."""
    found: set[bytes] = set()
    for piece in pieces:
        found |= {piece, piece.hex().encode(), piece.hex().upper().encode()}
        for offset in range(3):
            whole = piece[offset : offset + (len(piece) - offset) // 3 * 3]
            found |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    return sorted(found)


def guilty(needles: list[bytes], folder: Path) -> list[Path]:
    """The files below `folder` that hold any needle."""
    search = re.compile(b"|".join(re.escape(needle) for needle in needles))
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and search.search(path.read_bytes())
    ]


def in_memory(process: int, pieces: set[bytes]) -> int:
    """How many of `pieces` stand in the writable memory of `process`."""
    left = set(pieces)
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if region is None:
                continue
            low, high = (int(part, 16) for part in region.groups())
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(low)
                data = memory.read(high - low)
                left -= {piece for piece in left if piece in data}
    return len(pieces) - len(left)


def at_its_end(process: int, order: Callable[[], object], look: Callable[[], int]) -> int:
    """What `look` finds in a process at the very end of its life: after its last own instruction, before the
    kernel takes its memory away. `order` tells it to end, without waiting. See ptrace(2), PTRACE_EVENT_EXIT.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def trace(request: int, data: int) -> None:
        if libc.ptrace(request, process, None, ctypes.c_void_p(data)) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    trace(_SEIZE, _TRACE_EXIT)
    order()
    while True:
        _, status = os.waitpid(process, _WALL)
        if not os.WIFSTOPPED(status):
            raise AssertionError("the process ended unseen")
        if status >> 8 == signal.SIGTRAP | _EXITS << 8:
            found = look()
            trace(_DETACH, 0)
            return found
        stopped = os.WSTOPSIG(status)
        trace(_CONTINUE, 0 if stopped == signal.SIGTRAP else stopped)
