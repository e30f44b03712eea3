"""The Pi camera's adapter against a fake picamera2 (a real one needs a Pi): deadlines, wiping, sentences."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import numpy as np
import pytest

from vouchbox.camera.picamera2_source import BUFFERS, Picamera2Source, refused
from vouchbox.camera.ring import FrameRing
from vouchbox.errors import CameraMissing, CameraUnplugged


def test_delivers_rgb_with_the_sensors_own_time(picamera2: Any) -> None:
    source = Picamera2Source(width=320, height=240, frame_rate=15)
    opened = source.open()
    assert (opened.width, opened.height) == (320, 240)
    assert opened.frame_rate == pytest.approx(15, abs=0.01)
    with FrameRing(opened, 2) as ring:
        stamps = [source.capture(ring.slot(index)) for index in range(2)]
        red = ring.slot(0)[10, 100].copy()
    source.close()
    assert red[0] > 200
    assert red[1:].max() == 0
    assert [stamp.timestamp_ns for stamp in stamps if stamp] == [1_000_000_000, 1_066_667_000]


def test_converts_nv12_where_the_camera_has_no_rgb_and_overwrites_it_all_the_same(
    picamera2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "delivers", "NV12")
    source = Picamera2Source(width=320, height=240)
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        red, green, blue = (ring.slot(0)[place].astype(int) for place in ((10, 100), (10, 250), (200, 100)))
    source.close()
    assert red[0] > 200 > 40 > red[1:].max()
    assert green[1] > 200 > 40 > green[::2].max()
    assert blue[2] > 200 > 40 > blue[:2].max()
    assert picamera2.latest.taken_back == [True]


def test_refuses_a_camera_whose_format_is_unknown_and_lets_it_go(
    picamera2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "delivers", "MJPEG")
    with pytest.raises(CameraMissing, match="MJPEG"):
        Picamera2Source(width=320, height=240).open()
    assert picamera2.latest.closed


def test_gives_the_small_luma_picture_of_the_same_moment(picamera2: Any) -> None:
    source = Picamera2Source(width=1280, height=720)
    opened = source.open()
    with FrameRing(opened, 1) as ring:
        source.capture(ring.slot(0))
        assert source.small is not None
        assert source.small.shape == (180, 320)
        assert (source.small == 77).all()
    source.close()
    assert source.small is None


def test_uses_few_buffers_and_returns_each_overwritten(picamera2: Any) -> None:
    source = Picamera2Source(width=160, height=120)
    with FrameRing(source.open(), 1) as ring:
        for _ in range(7):
            source.capture(ring.slot(0))
    source.close()
    assert picamera2.latest.configuration["buffer_count"] == BUFFERS <= 4
    assert picamera2.latest.taken_back == [True] * 7
    assert picamera2.latest.closed


def test_counts_the_frames_that_the_sensor_took_and_nobody_fetched(picamera2: Any) -> None:
    source = Picamera2Source(width=160, height=120)
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        picamera2.latest.skip = 3
        stamp = source.capture(ring.slot(0))
    source.close()
    assert stamp is not None
    assert stamp.dropped == 3


def test_a_dead_camera_is_named_and_its_wait_cancelled(picamera2: Any) -> None:
    source = Picamera2Source(width=160, height=120)
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        picamera2.latest.unplugged = True
        with pytest.raises(CameraUnplugged, match="ribbon"):
            source.capture(ring.slot(0))
    assert picamera2.latest.cancelled == 1
    source.close()


def test_no_camera_on_the_ribbon_is_missing(picamera2: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "cameras", 0)
    with pytest.raises(CameraMissing, match="ribbon cable"):
        Picamera2Source().open()


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        (PermissionError(13, "Permission denied"), "group video"),
        (RuntimeError("Could not open any dmaHeap device"), "60-dma-heap.rules"),
        (OSError(12, "Cannot allocate memory"), "cma-256"),
        (RuntimeError("Failed to acquire camera: Device or resource busy"), "another program"),
        (RuntimeError("Camera __init__ sequence did not complete."), "ribbon cable"),
    ],
)
def test_tells_what_to_do_about_each_way_a_pi_refuses(
    picamera2: Any, monkeypatch: pytest.MonkeyPatch, problem: Exception, word: str
) -> None:
    assert word in str(refused(problem))
    monkeypatch.setattr(picamera2, "refuses", problem)
    with pytest.raises(CameraMissing, match=word):
        Picamera2Source().open()


def test_what_libcamera_said_counts_where_picamera2_hides_it_behind_its_own_error() -> None:
    hidden = RuntimeError("Camera __init__ sequence did not complete.")
    hidden.__cause__ = RuntimeError("Failed to acquire camera: Device or resource busy")
    assert "another program" in str(refused(hidden))
    hidden.__cause__ = PermissionError(13, "Permission denied")
    assert "group video" in str(refused(hidden))


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        (ModuleNotFoundError("No module named 'picamera2'", name="picamera2"), "apt install"),
        (ModuleNotFoundError("No module named 'libcamera'", name="libcamera"), "--system-site-packages"),
        (ValueError("numpy.dtype size changed, may indicate binary incompatibility"), "numpy<2"),
    ],
    ids=["not-installed", "no-libcamera-in-the-venv", "wrong-numpy"],
)
def test_tells_the_ways_apart_in_which_picamera2_is_absent(
    monkeypatch: pytest.MonkeyPatch, problem: Exception, word: str
) -> None:
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    real = builtins.__import__

    def refuse(name: str) -> Any:
        if name == "picamera2":
            raise problem
        return real(name)

    monkeypatch.setattr("vouchbox.camera.picamera2_source.importlib.import_module", refuse)
    with pytest.raises(CameraMissing, match=word):
        Picamera2Source().open()


def test_an_error_in_the_copy_still_returns_the_buffer(picamera2: Any) -> None:
    source = Picamera2Source(width=160, height=120)
    source.open()
    with pytest.raises(CameraUnplugged, match="picture size"):
        source.capture(np.zeros((10, 10, 3), np.uint8))
    assert len(picamera2.latest.taken_back) == 1
    source.close()
