"""Houses for the tests of this folder: every room a real process, real mosquitto, loopback only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from vouchbox.simulator.house import House, Scene

OpenHouse = Callable[..., House]

BAND = slice(48, 80)
"""Rows of every frame of the canary clip that hold the noise: whole blocks of the codec."""


@pytest.fixture(scope="session")
def portraits() -> None:
    """Skips where the extra `simulator` is not installed."""
    pytest.importorskip("skimage", reason="the simulated subject needs the extra `simulator`")
    pytest.importorskip("matplotlib", reason="the simulated subject needs the extra `simulator`")


@pytest.fixture
def open_house(mosquitto: None) -> Iterator[OpenHouse]:
    """Opens a house for a scene's source; all are closed after the test."""
    with contextlib.ExitStack() as stack:

        def build(source: str, **options: object) -> House:
            pace = options.pop("pace", "fast")
            scene = Scene(source, pace)  # type: ignore[arg-type]
            return stack.enter_context(House(scene, **options))  # type: ignore[arg-type]

        yield build


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, portraits: None) -> Path:
    """Five seconds of a public-domain portrait that sways, under a band of grey noise of high entropy."""
    import skimage

    picture = cv2.imread(str(Path(skimage.__file__).parent / "data" / "astronaut.png"))
    assert picture is not None
    portrait = picture[10:210, 120:320]
    tile = np.random.default_rng(20_261_124).integers(0, 256, (8, 160), dtype=np.uint8)
    band = cv2.resize(tile, (640, 32), interpolation=cv2.INTER_CUBIC)
    path = tmp_path_factory.mktemp("canary") / "canary.avi"
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 15.0, (640, 480))  # noqa: TID251 - public domain and noise
    for index in range(75):
        shift = np.array([[1.7, 0, 150 + 6 * np.sin(index / 5)], [0, 1.7, 100 + 2 * np.sin(index / 3)]])
        frame = cv2.warpAffine(portrait, shift, (640, 480), borderValue=(110, 120, 130))
        frame[BAND] = band[:, :, None]
        writer.write(frame)
    writer.release()
    return path
