"""A USB webcam that hangs, is pulled out, lies about its size, or is not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vouchbox.camera import webcam
from vouchbox.camera.ring import FrameRing
from vouchbox.camera.source import FrameFormat
from vouchbox.camera.webcam import WebcamSource, open_v4l2, sensor_time
from vouchbox.errors import CameraMissing, CameraUnplugged

Drivers = Callable[..., Any]


def source_of(driver: Any, **wishes: Any) -> WebcamSource:
    return WebcamSource(0, connect=lambda number, width, height, rate: driver, **wishes)


def capture_many(source: WebcamSource, opened: FrameFormat) -> None:
    """More frames than are to come."""
    with FrameRing(opened, 1) as ring:
        for _ in range(8):
            source.capture(ring.slot(0))


def test_delivers_rgb_at_the_size_the_camera_really_has(fake_driver: Drivers) -> None:
    source = source_of(fake_driver(width=80, height=60), width=640, height=480)
    opened = source.open()
    assert (opened.width, opened.height, opened.frame_rate) == (80, 60, 30.0)
    with FrameRing(opened, 1) as ring:
        source.capture(ring.slot(0))
        red = ring.slot(0)[5, 30].copy()
    source.close()
    assert red[0] > 200
    assert red[1:].max() == 0


def test_the_newest_frame_wins_and_the_others_are_counted(fake_driver: Drivers) -> None:
    driver = fake_driver(frames=200)
    source = source_of(driver)
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        before = driver.taken
        while driver.taken < before + 10:
            time.sleep(0.002)
        stamp = source.capture(ring.slot(0))
    source.close()
    assert stamp is not None
    assert stamp.dropped >= 8
    assert stamp.index == 1


def test_a_pulled_out_camera_is_named_within_the_deadline(fake_driver: Drivers) -> None:
    source = source_of(fake_driver(frames=3), frame_deadline_s=0.3)
    opened = source.open()
    with pytest.raises(CameraUnplugged, match="cable"):
        capture_many(source, opened)
    source.close()


def test_a_driver_that_hangs_does_not_hang_the_session(fake_driver: Drivers) -> None:
    driver = fake_driver()
    source = source_of(driver, frame_deadline_s=0.2)
    opened = source.open()
    driver.hang.set()
    with pytest.raises(CameraUnplugged):
        capture_many(source, opened)
    source.close()
    assert not driver.released.is_set(), "the thread still sits in the driver"
    driver.wake.set()
    assert driver.released.wait(5), "it lets the camera go when the driver wakes"


def test_a_camera_without_a_single_frame_is_missing(fake_driver: Drivers) -> None:
    driver = fake_driver(frames=0)
    with pytest.raises(CameraMissing, match="delivers no frame"):
        source_of(driver, open_deadline_s=0.2).open()
    assert driver.released.wait(5)


def test_a_size_that_changes_is_fitted_into_the_frame(fake_driver: Drivers) -> None:
    driver = fake_driver(width=64, height=48)
    source = source_of(driver)
    with FrameRing(source.open(), 1) as ring:
        driver.size = (128, 48)
        for _ in range(6):
            source.capture(ring.slot(0))
        assert not ring.slot(0)[:10].any(), "black bars, no stretching"
        assert ring.slot(0)[24].any()
    source.close()


def test_a_frame_beyond_the_limit_is_not_taken(fake_driver: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webcam, "FRAME_BYTES_LIMIT", 1000)
    with pytest.raises(CameraMissing):
        source_of(fake_driver(), open_deadline_s=0.2).open()


@pytest.mark.parametrize(
    ("driver_ms", "now_ns", "expected"),
    [
        (5_000.0, 5_100_000_000, 5_000_000_000),
        (0.0, 5_100_000_000, 5_100_000_000),
        (9_000.0, 5_100_000_000, 5_100_000_000),
        (float("nan"), 7, 7),
    ],
    ids=["monotonic", "none", "another-clock", "nonsense"],
)
def test_the_drivers_time_counts_only_on_our_clock(driver_ms: float, now_ns: int, expected: int) -> None:
    assert sensor_time(driver_ms, now_ns) == expected


def test_a_missing_device_is_named() -> None:
    with pytest.raises(CameraMissing, match="/dev/video63"):
        open_v4l2(63, 640, 480, 15)
    with pytest.raises(CameraMissing, match="plug it in"):
        WebcamSource(63).open()


def test_small_pictures_are_asked_for_uncompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[int, float] = {}

    class Device:
        def __init__(self, number: int, backend: int) -> None:
            assert backend == webcam.cv2.CAP_V4L2

        def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
            return True

        def set(self, prop: int, value: float) -> bool:
            asked[prop] = value
            return True

    monkeypatch.setattr(webcam.Path, "exists", lambda self: True)
    monkeypatch.setattr(webcam.os, "access", lambda path, mode: True)
    monkeypatch.setattr(webcam.cv2, "VideoCapture", Device)
    for size, code in (((640, 480), b"YUYV"), ((1280, 720), b"MJPG")):
        open_v4l2(0, *size, 15)
        assert asked[webcam.cv2.CAP_PROP_FOURCC] == int.from_bytes(code, "little")
        assert asked[webcam.cv2.CAP_PROP_BUFFERSIZE] == 2


def test_nothing_of_a_frame_stays_when_it_is_closed(fake_driver: Drivers) -> None:
    source = source_of(fake_driver())
    source.open()
    capture = source._capture
    assert capture is not None
    source.capture(np.zeros((48, 64, 3), np.uint8))
    source.close()
    assert all(memory.wiped for memory in capture._memories)
