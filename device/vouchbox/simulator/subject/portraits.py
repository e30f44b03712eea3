"""The two public-domain portraits of the simulated subject, taken from packages that are installed anyway.

Both are official portraits of US officers (NASA, US Navy) and in the public domain. They are found by path,
never downloaded. Their landmarks were measured once by the float face mesh named in models/manifest.toml and
lie in portraits.json in tenths of a pixel, so that a subject can be drawn without any model; a test compares
them with the model that ships. The outlines there were traced by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.errors import UsageError
from vouchbox.simulator.subject.spec import PortraitName
from vouchbox.vision.observation import Landmarks


@dataclass(frozen=True)
class Portrait:
    """A picture of one person (RGB), its 468 landmarks, and the person's outline (points x 2). `wider` is how
    much further the eyes are opened than in the picture: people smile for a portrait, with narrow eyes."""

    image: Image
    landmarks: Landmarks
    outline: NDArray[np.float32]
    wider: float = 1.4


class _Tracing(msgspec.Struct, frozen=True):
    landmarks_tenths: tuple[int, ...]
    outline: tuple[int, ...]


_PLACES = {
    PortraitName.COLLINS: ("skimage", ("data", "astronaut.png")),
    PortraitName.HOPPER: ("matplotlib", ("mpl-data", "sample_data", "grace_hopper.jpg")),
}


def picture(name: PortraitName) -> Image:
    """The portrait's pixels; raises UsageError when the package that carries it is not installed."""
    package, place = _PLACES[name]
    try:
        # The package of a box brings the two pictures themselves, without what is around them elsewhere.
        found: Traversable = resources.files("vouchbox.simulator.subject").joinpath("pictures", place[-1])
        if not found.is_file():
            found = resources.files(package).joinpath(*place)
        data = np.frombuffer(found.read_bytes(), np.uint8)
    except (ModuleNotFoundError, OSError):
        raise UsageError(
            f"the portrait {name.value!r} travels in the package {package!r}, which is not installed",
            "install vouchbox[simulator]",
        ) from None
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise UsageError(f"the portrait {name.value!r} can't be read", "install vouchbox[simulator] again")
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8, copy=False)


def landmarks(name: PortraitName) -> Landmarks:
    """The portrait's 468 landmarks in its own pixels."""
    return np.array(_tracing(name).landmarks_tenths, np.float32).reshape(468, 3) / np.float32(10.0)


def portrait(name: PortraitName) -> Portrait:
    """Picture, landmarks and outline together; raises UsageError as `picture` does."""
    return Portrait(
        picture(name), landmarks(name), np.array(_tracing(name).outline, np.float32).reshape(-1, 2)
    )


def eye_distance(landmarks: Landmarks) -> float:
    """Pixels between the two eyes' centres."""
    right, left = landmarks[[33, 133], :2].mean(0), landmarks[[263, 362], :2].mean(0)
    return float(np.linalg.norm(right - left))


def _tracing(name: PortraitName) -> _Tracing:
    data = resources.files("vouchbox.simulator.subject").joinpath("portraits.json").read_bytes()
    return msgspec.json.decode(data, type=dict[PortraitName, _Tracing])[name]
