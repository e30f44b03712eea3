"""A public-domain portrait as frames, a scripted source of frames, and the models on each runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.errors import CameraError
from vouchbox.messages import Examine, Level, SourceKind
from vouchbox.vision.models import Models

RUNTIMES = [
    "litert",
    pytest.param(
        "tflite-runtime",
        marks=pytest.mark.skipif(
            sys.version_info >= (3, 12), reason="tflite-runtime has no release for Python >= 3.12"
        ),
    ),
]

PortraitFrame = Callable[..., Image]


@pytest.fixture(scope="session")
def models() -> Models:
    """The models that ship, on the default runtime."""
    return Models.load(runtime="litert")


@pytest.fixture(scope="session", params=RUNTIMES)
def models_on_each_runtime(request: pytest.FixtureRequest) -> Models:
    """The models that ship, on every runtime that this Python has."""
    return Models.load(runtime=request.param)


@pytest.fixture(scope="session")
def portrait() -> Image:
    """Eileen Collins, NASA, public domain: 200 x 200 pixels around the face, which is 90 pixels wide."""
    skimage = pytest.importorskip("skimage", reason="the portrait comes with scikit-image")
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return np.asarray(picture[10:210, 120:320], np.uint8)


@pytest.fixture(scope="session")
def picture_of(portrait: Image) -> PortraitFrame:
    """A frame with one portrait at each of `centres`, each face `face_px` wide."""

    def build(
        face_px: float = 160.0,
        centres: Iterable[tuple[int, int]] = ((320, 240),),
        size: tuple[int, int] = (640, 480),
        degrees: float = 0.0,
        noise: int | None = None,
    ) -> Image:
        width, height = size
        frame = np.full((height, width, 3), 110, np.uint8)
        frame[:, (np.arange(width) // 80) % 2 == 1] = 150
        scale = face_px / 90.0
        for x, y in centres:
            turn = cv2.getRotationMatrix2D((94.0, 100.0), degrees, scale)
            turn[:, 2] += np.array([x - 94.0, y - 100.0])
            warped = cv2.warpAffine(portrait, turn, size, flags=cv2.INTER_AREA)
            inside = cv2.warpAffine(np.full(portrait.shape[:2], 255, np.uint8), turn, size)
            frame[inside > 0] = warped[inside > 0]
        if noise is not None:
            grain = np.random.default_rng(noise).normal(0.0, 2.0, frame.shape)
            frame = np.clip(frame + grain, 0, 255).astype(np.uint8)
        return frame

    return build


class ScriptedSource:
    """Plays frames from memory, or raises at frame `fails_at`; remembers whether it was closed."""

    def __init__(
        self,
        frames: list[Image],
        *,
        frame_rate: float = 15.0,
        kind: SourceKind = SourceKind.SIMULATED,
        fails_at: int | None = None,
        problem: Exception | None = None,
        open_problem: CameraError | None = None,
    ) -> None:
        self.kind = kind
        self.name = "scripted"
        self.closed = False
        self._frames = frames
        self._rate = frame_rate
        self._next = 0
        self._fails_at, self._problem, self._open_problem = fails_at, problem, open_problem

    def open(self) -> FrameFormat:
        if self._open_problem is not None:
            raise self._open_problem
        height, width = self._frames[0].shape[:2] if self._frames else (480, 640)
        return FrameFormat(width, height, self._rate)

    def capture(self, into: Image) -> Stamp | None:
        if self._next == self._fails_at and self._problem is not None:
            raise self._problem
        if self._next >= len(self._frames):
            return None
        into[:] = self._frames[self._next]
        stamp = Stamp(self._next, 10**9 + round(self._next * 1e9 / self._rate))
        self._next += 1
        return stamp

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def play() -> type[ScriptedSource]:
    """The scripted source."""
    return ScriptedSource


@pytest.fixture
def ask() -> Callable[..., Examine]:
    """A request to examine."""

    def build(level: Level = Level.PASSIVE, **given: object) -> Examine:
        values: dict[str, object] = {"prompts": (), "want_embedding": False, "seconds": 5.0}
        return Examine(session="s" * 16, level=level, **{**values, **given})  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def still_clip(picture_of: PortraitFrame) -> list[NDArray[np.uint8]]:
    """Two seconds of a portrait that sways a little before a noisy sensor."""
    return [
        picture_of(160.0, ((320 + round(6 * np.sin(i / 5)), 240),), noise=i, degrees=2 * np.sin(i / 7))
        for i in range(30)
    ]


@pytest.fixture(scope="session")
def portrait_clip(tmp_path_factory: pytest.TempPathFactory, still_clip: list[NDArray[np.uint8]]) -> Path:
    """The swaying public-domain portrait as a file."""
    path = tmp_path_factory.mktemp("clips") / "portrait.avi"
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 15.0, (640, 480))  # noqa: TID251 - a public-domain portrait
    for frame in still_clip:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder that looks like /sys: a zone for each temperature (millidegrees), the firmware's word in
    hex, the voltage alarm."""

    def build(
        *zones: int | str, throttled: str | None = None, alarm: str | None = None, soc: str = "soc"
    ) -> Path:
        files = {f"class/thermal/thermal_zone{n}/temp": f"{value}\n" for n, value in enumerate(zones)}
        if throttled is not None:
            files[f"devices/platform/{soc}/{soc}:firmware/get_throttled"] = f"{throttled}\n"
        if alarm is not None:
            files["class/hwmon/hwmon0/name"] = "cpu_thermal\n"
            files["class/hwmon/hwmon1/name"] = "rpi_volt\n"
            files["class/hwmon/hwmon1/in0_lcrit_alarm"] = f"{alarm}\n"
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return build
