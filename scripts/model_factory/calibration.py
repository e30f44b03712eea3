"""Faces to calibrate on: public-domain portraits that travel inside installed packages and in one PyPI source
package, seen under strong variation of size, place, rotation, light, blur and noise. Never a picture of the
shared data: the ranges that come out of this are part of what we ship.

Portraits: Eileen Collins (NASA) in scikit-image, Grace Hopper (US Navy) in matplotlib, the official portraits
of Barack Obama and Joe Biden in the tests of face_recognition. All are works of the US government, public
domain.
Backgrounds: coffee (CC0), rocket (public domain) and Chelsea (CC0) in scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import skimage
from numpy.typing import NDArray

from .sources import Source, fetch, sha256_of

Image = NDArray[np.uint8]

_SKIMAGE = Path(skimage.__file__).parent / "data"
_ASTRONAUT = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
_HOPPER = "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"
_BACKGROUNDS = {
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
}


def _white_house(name: str, sha256: str) -> Source:
    return Source(
        "face_recognition",
        "1.3.0",
        "face_recognition-1.3.0.tar.gz",
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        f"face_recognition-1.3.0/tests/test_images/{name}",
        sha256,
        "public domain",
    )


@dataclass(frozen=True)
class Portrait:
    """A picture (height, width, 3), uint8 RGB, and the square around its face: centre and side in pixels."""

    image: Image
    centre: tuple[float, float]
    side: float


def portraits() -> list[Portrait]:
    """The six portraits. Raises ValueError where a file is not the known one."""
    hopper = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    biden = _white_house("biden.jpg", "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c")
    obama = _white_house("obama.jpg", "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6")
    second = _white_house("obama2.jpg", "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6")
    third = _white_house("obama3.jpg", "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3")
    return [
        Portrait(_picture(_SKIMAGE / "astronaut.png", _ASTRONAUT), (225, 128), 94),
        Portrait(_picture(hopper, _HOPPER), (266, 243), 200),
        Portrait(_picture(fetch(biden), biden.sha256), (575, 412), 318),
        Portrait(_picture(fetch(obama), obama.sha256), (483, 279), 275),
        Portrait(_picture(fetch(second), second.sha256), (343, 453), 302),
        Portrait(_picture(fetch(third), third.sha256), (771, 467), 328),
    ]


def detector_inputs(count: int, seed: int, size: int = 128) -> Image:
    """(count, size, size, 3) uint8 RGB: one face of 10 to 100 pixels in each, letterboxed like a frame. The
    same arguments give the same pictures."""
    rng = np.random.default_rng(seed)
    faces = portraits()
    backgrounds = [_picture(_SKIMAGE / name, digest) for name, digest in _BACKGROUNDS.items()]
    made = [_scene(faces[k % len(faces)], backgrounds[k % len(backgrounds)], rng, size) for k in range(count)]
    return np.stack(made)


def _picture(path: Path, sha256: str) -> Image:
    if sha256_of(path) != sha256:
        raise ValueError(f"{path.name} is not the picture that the calibration is known to use")
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _scene(portrait: Portrait, background: Image, rng: np.random.Generator, size: int) -> Image:
    place, scale = _view(portrait, rng, size)
    if rng.random() < 0.4:
        behind = np.array(cv2.resize(background, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        if rng.random() >= 0.5:
            behind = behind[:, ::-1].copy()
        frame = _warped(portrait.image, place, scale, size, cv2.BORDER_TRANSPARENT, behind)
    else:
        border = (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)[rng.integers(2)]
        frame = _warped(portrait.image, place, scale, size, border, None)
    if rng.random() < 0.5:
        frame = frame[:, ::-1]
    return _letterboxed(_exposed(frame.astype(np.float32), rng), rng)


def _view(portrait: Portrait, rng: np.random.Generator, size: int) -> tuple[NDArray[np.float64], float]:
    """A 3x3 map from the portrait to the frame (scale, rotation, shear, perspective, place); its scale."""
    side = np.exp(rng.uniform(np.log(10), np.log(100)))
    angle = np.deg2rad(np.clip(rng.normal(0, 12), -35, 35))
    scale = side / portrait.side
    stretch = np.exp(rng.normal(0, 0.06))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = scale * turn @ np.array([[stretch, rng.normal(0, 0.05)], [0, 1 / stretch]])
    margin = min(0.4 * side, size / 2 - 8) + 4
    target = rng.uniform(margin, size - margin, 2)
    centred = np.eye(3)
    centred[:2, 2] = -np.asarray(portrait.centre)
    lens = np.eye(3)
    lens[:2, :2] = turn
    lens[2, :2] = rng.normal(0, 0.05, 2) / portrait.side
    placed = np.eye(3)
    placed[:2, 2] = target
    return placed @ lens @ centred, float(scale)


def _warped(
    image: Image, place: NDArray[np.float64], scale: float, size: int, border: int, behind: Image | None
) -> Image:
    # The picture is first made small: a warp alone would alias where it shrinks by ten.
    if scale < 1:
        height, width = image.shape[:2]
        small = (max(round(width * scale), 8), max(round(height * scale), 8))
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        place = place @ np.diag([width / small[0], height / small[1], 1.0])
    frame = cv2.warpPerspective(
        image, place, (size, size), dst=behind, flags=cv2.INTER_LINEAR, borderMode=border
    )
    return np.asarray(frame, np.uint8)


def _exposed(frame: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Light, colour cast, one-sided light, blur and sensor noise; values 0..255."""
    size = frame.shape[0]
    frame = 255 * (frame / 255) ** np.exp(rng.normal(0, 0.35))
    frame = frame * rng.uniform(0.45, 1.25) * np.exp(rng.normal(0, 0.08, 3)) + rng.normal(0, 12)
    ramp = np.linspace(-1, 1, size) * rng.normal(0, 0.25)
    frame = frame * (1 + (ramp[:, None, None] if rng.random() < 0.3 else ramp[None, :, None]))
    if rng.random() < 0.2:
        frame = np.repeat(frame.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.4:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.3, 1.2)), np.float32)
    return np.asarray(frame + rng.normal(0, rng.uniform(0, 7), frame.shape), np.float32)


def _letterboxed(frame: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Black bars as a 4:3, 16:9 or upright picture gets them."""
    size = frame.shape[0]
    bar = (0, size // 8, round(size * 0.22))[rng.integers(3)]
    if bar and rng.random() < 0.7:
        frame[:bar] = frame[size - bar :] = 0
    elif bar:
        frame[:, :bar] = frame[:, size - bar :] = 0
    return np.clip(np.round(frame), 0, 255).astype(np.uint8)
