"""Synthetic clips, a webcam and a Pi camera that misbehave on demand, and every source for the contract."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.picamera2_source import Picamera2Source
from vouchbox.camera.source import FrameSource
from vouchbox.camera.webcam import WebcamSource
from vouchbox.config import Camera

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".webm": "VP80", ".mpg": "mpg1", ".mov": "mp4v"}


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """An RGB test card: red top left, green top right, blue below, and a bar that moves."""
    card = np.zeros((height, width, 3), np.uint8)
    card[: height // 2, : width // 2, 0] = 220
    card[: height // 2, width // 2 :, 1] = 220
    card[height // 2 :, :, 2] = 220
    card[:, 4 * index % width : 4 * index % width + 4] = 120
    return card


def write_clip(path: Path, count: int = 8, rate: float = 25.0, width: int = 64, height: int = 48) -> Path:
    """A clip of synthetic test cards."""
    code = int.from_bytes(CODECS[path.suffix].encode(), "little")
    writer = cv2.VideoWriter(str(path), code, rate, (width, height))  # noqa: TID251 - synthetic test cards
    assert writer.isOpened()
    for index in range(count):
        writer.write(picture(index, width, height)[:, :, ::-1].copy())
    writer.release()
    return path


def write_gif(
    path: Path, hundredths: tuple[int, ...] = (4, 4, 12, 4), width: int = 32, height: int = 32
) -> Path:
    """A GIF whose frames last as given (GIF89a, LZW with a clear code before the table can grow)."""
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0)
    data += bytes(value for index in range(256) for value in (index, 255 - index, index // 2))
    for number, delay in enumerate(hundredths):
        data += b"\x21\xf9\x04\x00" + struct.pack("<H", delay) + b"\x00\x00"
        data += b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08"
        codes: list[int] = []
        for place in range(width * height):
            if place % 100 == 0:
                codes.append(256)
            codes.append((place // width * 7 + number * 40) % 256)
        codes.append(257)
        bits = sum(code << 9 * place for place, code in enumerate(codes))
        packed = bits.to_bytes((9 * len(codes) + 7) // 8, "little")
        blocks = [packed[start : start + 255] for start in range(0, len(packed), 255)]
        data += b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"
    path.write_bytes(data + b"\x3b")
    return path


class FakeDriver:
    """What cv2.VideoCapture is for a webcam: `frames` are delivered, then it fails; `hang` blocks it."""

    def __init__(
        self, frames: int = 10_000, pause_s: float = 0.002, width: int = 64, height: int = 48
    ) -> None:
        self.left = frames
        self.pause_s = pause_s
        self.size = width, height
        self.hang = threading.Event()
        self.wake = threading.Event()
        self.released = threading.Event()
        self.taken = 0

    def grab(self) -> bool:
        if self.hang.is_set():
            self.wake.wait(30)
            return False
        time.sleep(self.pause_s)
        self.left -= 1
        return self.left >= 0

    def retrieve(self, image: np.ndarray | None = None) -> tuple[bool, np.ndarray]:
        shown = np.ascontiguousarray(picture(self.taken, *self.size)[:, :, ::-1])
        self.taken += 1
        if image is not None and image.shape == shown.shape:
            image[:] = shown
            return True, image
        return True, shown

    def get(self, prop: int) -> float:
        return 30.0 if prop == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released.set()


class FakePicamera2:
    """The part of picamera2 that is used, with DMA buffers that go round as on a Pi."""

    cameras = 1
    refuses: Exception | None = None
    delivers = "BGR888"
    """The main stream's format, whatever was asked for: as with cameras that are not a Pi's."""
    latest: FakePicamera2 | None = None

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{"Model": "imx708", "Num": number} for number in range(FakePicamera2.cameras)]

    def __init__(self, camera_num: int = 0) -> None:
        if FakePicamera2.refuses is not None:
            raise FakePicamera2.refuses
        FakePicamera2.latest = self
        self.unplugged = False
        self.started = self.closed = False
        self.frames = 0
        self.skip = 0
        self.cancelled = 0
        self.taken_back: list[bool] = []

    def create_video_configuration(self, main: Any, lores: Any = None, raw: Any = {}, **rest: Any) -> Any:  # noqa: B006 - as picamera2
        assert raw is None
        assert main["format"] == "BGR888"
        assert lores["format"] == "YUV420"
        assert set(rest) <= {"buffer_count", "queue", "display", "encode", "controls"}
        return {"main": dict(main), "lores": dict(lores), **rest}

    def configure(self, configuration: Any) -> None:
        self.configuration = configuration
        configuration["main"]["format"] = self.delivers
        width, height = configuration["main"]["size"]
        shape = (height * 3 // 2, width) if self.delivers == "NV12" else (height, width, 3)
        small_width, small_height = configuration["lores"]["size"]
        stride = -(-small_width // 64) * 64
        self.buffers = [
            {
                "main": np.zeros(shape, np.uint8),
                "lores": np.zeros((small_height * 3 // 2, stride), np.uint8),
            }
            for _ in range(configuration["buffer_count"])
        ]

    def camera_configuration(self) -> Any:
        return self.configuration

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.closed = True

    def cancel_all_and_flush(self) -> None:
        self.cancelled += 1

    def capture_request(self, wait: bool = True) -> FakeJob:
        assert wait is False, "a session may never wait without a deadline"
        assert self.started
        return FakeJob(self)


def nv12(card: np.ndarray) -> np.ndarray:
    """An RGB picture as luma and interleaved chroma of half the size, (3/2 height) x width."""
    height, width = card.shape[:2]
    planar = cv2.cvtColor(card, cv2.COLOR_RGB2YUV_I420)
    chroma = planar[height:].reshape(2, -1)
    return np.vstack([planar[:height], chroma.T.reshape(height // 2, width)])


class FakeJob:
    def __init__(self, camera: FakePicamera2) -> None:
        self.camera = camera

    def get_result(self, timeout: float | None = None) -> FakeRequest:
        assert timeout is not None
        if self.camera.unplugged:
            raise TimeoutError
        return FakeRequest(self.camera)


class FakeRequest:
    def __init__(self, camera: FakePicamera2) -> None:
        self.camera = camera
        self.number = camera.frames + camera.skip
        camera.frames, camera.skip = self.number + 1, 0
        self.streams = camera.buffers[self.number % len(camera.buffers)]
        width, height = camera.configuration["main"]["size"]
        card = picture(self.number, width, height)
        self.streams["main"][:] = nv12(card) if camera.delivers == "NV12" else card
        self.streams["lores"][:] = 77

    def get_metadata(self) -> dict[str, Any]:
        interval_us = self.camera.configuration["controls"]["FrameDurationLimits"][0]
        return {"SensorTimestamp": 1_000_000_000 + self.number * interval_us * 1000}

    def release(self) -> None:
        self.camera.taken_back.append(not any(stream.any() for stream in self.streams.values()))


class FakeMappedArray:
    def __init__(self, request: FakeRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        self.array = request.streams[stream]

    def __enter__(self) -> FakeMappedArray:
        return self

    def __exit__(self, *problem: object) -> None:
        pass


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    """A picamera2 module without a camera behind it."""
    return pretend(monkeypatch)


@pytest.fixture
def clip_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes a synthetic clip: clip_of(".mkv", count=8, rate=25.0, width=64, height=48)."""

    def write(suffix: str = ".mp4", **shape: Any) -> Path:
        path = tmp_path / f"cards{suffix}"
        return write_gif(path, **shape) if suffix == ".gif" else write_clip(path, **shape)

    return write


@pytest.fixture
def fake_driver() -> Iterator[Callable[..., FakeDriver]]:
    """Makes webcam drivers, and wakes those that still hang at the end."""
    made: list[FakeDriver] = []

    def make(**wishes: Any) -> FakeDriver:
        made.append(FakeDriver(**wishes))
        return made[-1]

    yield make
    for driver in made:
        driver.wake.set()


REAL = os.environ.get("VOUCHBOX_CAMERAS", "").split(",")
"""Which cameras have a driver or a library behind them: set by ./scripts/real_cameras."""


def needs(camera: str) -> pytest.MarkDecorator:
    """Skips elsewhere."""
    return pytest.mark.skipif(camera not in REAL, reason=f"needs the real {camera}: ./scripts/real_cameras")


SOURCES = (
    *("clip", "clip-real-pace", "webcam", "picamera2", "simulated"),
    pytest.param("webcam-vivid", marks=needs("webcam")),
    pytest.param("picamera2-libcamera", marks=needs("picamera2")),
)
"""Every source meets the same contract; a new one is added here, in `source` and in `absent`."""


def pretend(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    """Put a picamera2 module without a camera behind it in the place of the real one."""
    module = types.ModuleType("picamera2")
    module.Picamera2 = FakePicamera2  # type: ignore[attr-defined]
    module.MappedArray = FakeMappedArray  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(FakePicamera2, "cameras", 1)
    monkeypatch.setattr(FakePicamera2, "refuses", None)
    monkeypatch.setattr(FakePicamera2, "delivers", "BGR888")
    return FakePicamera2


@pytest.fixture(params=SOURCES)
def source(
    request: pytest.FixtureRequest,
    clip_of: Callable[..., Path],
    fake_driver: Callable[..., FakeDriver],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FrameSource]:
    """Each source in turn, not opened, able to deliver at least five frames."""
    made: FrameSource
    match request.param:
        case "clip":
            made = ClipSource(clip_of(".mp4"), pace="fast")
        case "clip-real-pace":
            made = ClipSource(clip_of(".avi"), pace="real", clock_ns=lambda: 0, sleep=lambda seconds: None)
        case "webcam":
            made = WebcamSource(3, connect=lambda number, width, height, rate: fake_driver())
        case "webcam-vivid":
            made = WebcamSource(0, width=320, height=180)
        case "picamera2":
            pretend(monkeypatch)
            made = Picamera2Source(width=160, height=120)
        case "picamera2-libcamera":
            made = Picamera2Source(width=160, height=120)
        case _:
            pytest.importorskip("skimage", reason="the simulated subject needs the extra `simulator`")
            from vouchbox.simulator.subject.source import simulated

            made = simulated(
                "collins", Camera(source="simulated:collins", width=160, height=120, pace="fast")
            )
    yield made
    made.close()


@pytest.fixture(params=[name for name in SOURCES if name not in ("clip-real-pace", "simulated")])
def absent(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrameSource:
    """Each source in turn, with nothing behind it. A simulated subject can't be absent."""
    match request.param:
        case "clip":
            return ClipSource(tmp_path / "none.mp4")
        case "webcam" | "webcam-vivid":
            return WebcamSource(61)
        case "picamera2":
            pretend(monkeypatch)
        case _:
            pass
    return Picamera2Source(17)
