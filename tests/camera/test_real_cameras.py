"""The adapters against a real V4L2 driver and the real picamera2, in the system that ./scripts/real_cameras
boots.

The kernel's test camera and libcamera's virtual pipeline both draw the same eight bars: white, yellow,
cyan, green, magenta, red, blue, black. A swapped colour or a wrong stride shows at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from vouchbox.camera.picamera2_source import BUFFERS, Picamera2Source
from vouchbox.camera.ring import FrameRing
from vouchbox.camera.source import FrameSource, Image
from vouchbox.camera.webcam import WebcamSource
from vouchbox.errors import CameraMissing, CameraUnplugged

REAL = os.environ.get("VOUCHBOX_CAMERAS", "").split(",")
webcam, picamera2 = (
    pytest.mark.skipif(name not in REAL, reason=f"needs the real {name}: ./scripts/real_cameras")
    for name in ("webcam", "picamera2")
)

BARS = "white", "yellow", "cyan", "green", "magenta", "red", "blue", "black"
COLOURS = {
    name: np.array([255 * (channel in name_channels) for channel in "rgb"])
    for name, name_channels in zip(BARS, ("rgb", "rg", "gb", "g", "rb", "r", "b", ""), strict=True)
}
NOBODY = 65534


def seen(frame: Image, row: int) -> tuple[str, ...]:
    """The names of the bars from left to right in one row, the nearest colour each; slivers at edges left
    out."""
    pixels = frame[row].astype(int)
    distance = np.stack([np.abs(pixels - colour).sum(axis=1) for colour in COLOURS.values()])
    names = [BARS[index] for index in distance.argmin(axis=0)]
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    return tuple(name for name, length in runs if length > frame.shape[1] / 32)


def turned(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same bars, the white one first: both cameras let them wander."""
    whole = names[:-1] if len(names) > len(BARS) and names[0] == names[-1] else names
    start = whole.index("white")
    return whole[start:] + whole[:start]


def picture_of(source: FrameSource) -> Image:
    """A frame, copied out of the ring: there is no person in it."""
    with FrameRing(source.open(), 1) as ring:
        for _ in range(3):
            source.capture(ring.slot(0))
        frame = ring.slot(0).copy()
    source.close()
    return frame


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(WebcamSource(0, width=640, height=480), marks=webcam, id="webcam"),
        pytest.param(Picamera2Source(width=640, height=480), marks=picamera2, id="picamera2"),
        pytest.param(Picamera2Source(width=160, height=120), marks=picamera2, id="picamera2-small"),
    ],
)
def test_every_colour_arrives_as_what_it_is_and_every_row_in_its_place(source: FrameSource) -> None:
    frame = picture_of(source)
    height = frame.shape[0]
    # vivid writes the time and its settings across the upper part.
    for row in (height * 3 // 4, height - 1):
        assert turned(seen(frame, row)) == BARS


@picamera2
def test_picamera2_keeps_few_buffers_and_gives_luma_of_the_size_it_says() -> None:
    source = Picamera2Source(width=640, height=480)
    opened = source.open()
    assert (opened.width, opened.height) == (640, 480)
    assert source._camera.camera_configuration()["buffer_count"] == BUFFERS
    with FrameRing(opened, 1) as ring:
        source.capture(ring.slot(0))
        assert source.small is not None
        assert source.small.shape == (240, 320)
        white, black = np.percentile(source.small, (98, 2))
        assert white > 200
        assert black < 40
    source.close()


@picamera2
def test_picamera2_delivers_for_longer_than_it_has_buffers() -> None:
    source = Picamera2Source(width=160, height=120)
    with FrameRing(source.open(), 1) as ring:
        stamps = [source.capture(ring.slot(0)) for _ in range(20 * BUFFERS)]
    source.close()
    assert all(stamp is not None for stamp in stamps)


@picamera2
def test_picamera2_opens_again_and_again() -> None:
    source = Picamera2Source(width=160, height=120)
    for _ in range(5):
        with FrameRing(source.open(), 1) as ring:
            assert source.capture(ring.slot(0)) is not None
        source.close()


@picamera2
def test_a_camera_that_is_in_use_is_called_that_and_opens_when_it_is_free() -> None:
    first, second = Picamera2Source(width=160, height=120), Picamera2Source(width=160, height=120)
    first.open()
    with pytest.raises(CameraMissing, match="another program uses the camera"):
        second.open()
    first.close()
    second.open()
    second.close()


def told(program: str) -> str:
    """What a user without any group is told."""
    whole = f"from vouchbox.errors import CameraMissing\n{program}\n"
    whole += "try:\n    source.open()\nexcept CameraMissing as problem:\n    print(problem)\n"
    command = [sys.executable, "-P", "-c", whole]
    done = subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False
    )
    assert done.stdout.count("\n") == 1, done.stderr
    return done.stdout


@picamera2
def test_a_user_who_may_not_use_the_cameras_memory_is_told_so(tmp_path: Path) -> None:
    heap = tmp_path / "heap"
    heap.touch(mode=0o600)
    said = told(
        "from vouchbox.camera.picamera2_source import Picamera2Source as Source\n"
        "import picamera2.dma_heap as heap, picamera2.allocators.dmaallocator as user\n"
        f"heap.heapNames, user.DmaHeap = [{str(heap)!r}], heap.DmaHeap\n"
        "source = Source()"
    )
    assert "/dev/dma_heap" in said
    assert "group video" in said


@webcam
def test_a_user_outside_the_group_video_is_told_so() -> None:
    said = told("from vouchbox.camera.webcam import WebcamSource\nsource = WebcamSource(0)")
    assert "group video" in said


@webcam
def test_a_camera_that_is_pulled_out_in_mid_session_is_named() -> None:
    source = WebcamSource(0, width=320, height=180)
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        try:
            # vivid's own control for that; the device is gone until the driver is loaded anew.
            subprocess.run(["v4l2-ctl", "-d", "/dev/video0", "--set-ctrl", "disconnect=1"], check=True)
            source.capture(ring.slot(0))  # one may have been taken before
            with pytest.raises(CameraUnplugged, match="no more frames"):
                source.capture(ring.slot(0))
        finally:
            source.close()
            subprocess.run(["modprobe", "--remove", "vivid"], check=True)
            subprocess.run(["modprobe", "vivid"], check=True)
            subprocess.run(["udevadm", "settle"], check=True)
