"""Face crops to calibrate the landmark and the embedding network on: the public-domain portraits of
`calibration`, cut by the float source models with jitter, and seen under varied light, blur and noise. As
there, never a picture of the shared data, and the same arguments always give the same pictures.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from . import sources
from .calibration import portraits
from .face_chips import (
    CHIP_PIXELS,
    LANDMARK_PIXELS,
    Floats,
    Image,
    Network,
    chip_map,
    detect,
    landmarks,
    region_of_detection,
    region_of_mesh,
    shrunk_for,
)

_LARGEST_SIDE_PX = 1000
_SURE = 0.9


def located_portraits() -> list[tuple[Image, Floats]]:
    """Each portrait with its 468 landmarks. Raises ValueError where the float models lose a face."""
    detector = Network.load(sources.fetch(sources.DETECTOR))
    mesh = Network.load(sources.fetch(sources.LANDMARKS))
    located = []
    for portrait in portraits():
        scale = min(1.0, _LARGEST_SIDE_PX / max(portrait.image.shape[:2]))
        image = np.asarray(
            cv2.resize(portrait.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        found = detect(detector, image)
        if found is None:
            raise ValueError("the float detector does not find the face of a calibration portrait")
        first = landmarks(mesh, image, region_of_detection(found))
        second = landmarks(mesh, image, region_of_mesh(first.points))
        if second.presence < _SURE:
            raise ValueError("the float landmarks are not sure of a calibration portrait")
        located.append((image, second.points))
    return located


def embedding_chips(count: int, seed: int) -> Image:
    """[count, 150, 150, 3] uint8 RGB chips with the small errors of alignment that a camera brings."""
    rng = np.random.default_rng(seed)
    faces = located_portraits()
    made = []
    for k in range(count):
        image, points = faces[k % len(faces)]
        to_chip = _jittered(chip_map(points), CHIP_PIXELS, rng, degrees=5, scale=0.06, shift=0.025)
        made.append(_photographed(_cut(image, to_chip, CHIP_PIXELS), rng))
    return np.stack(made)


def landmark_crops(count: int, seed: int) -> Image:
    """[count, 192, 192, 3] uint8 RGB crops as tracking gives them: turned, shifted, near and far."""
    rng = np.random.default_rng(seed)
    faces = located_portraits()
    made = []
    for k in range(count):
        image, points = faces[k % len(faces)]
        to_crop = np.asarray(cv2.invertAffineTransform(region_of_mesh(points)), np.float64)
        to_crop = _jittered(to_crop, LANDMARK_PIXELS, rng, degrees=12, scale=0.14, shift=0.06)
        squeeze = np.array([[np.exp(-abs(rng.normal(0, 0.12))), rng.normal(0, 0.08)], [0, 1]])
        made.append(
            _photographed(
                _cut(image, _about_centre(squeeze, LANDMARK_PIXELS) @ _square(to_crop), LANDMARK_PIXELS), rng
            )
        )
    return np.stack(made)


def _square(transform: Floats) -> Floats:
    return np.vstack([transform[:2], [0.0, 0.0, 1.0]])


def _about_centre(linear: Floats, size: int) -> Floats:
    moved = np.eye(3)
    moved[:2, :2] = linear
    moved[:2, 2] = (np.eye(2) - linear) @ np.full(2, size / 2)
    return moved


def _jittered(
    to_crop: Floats, size: int, rng: np.random.Generator, *, degrees: float, scale: float, shift: float
) -> Floats:
    """The map with a random turn, size and place: standard deviations, `shift` in parts of the side."""
    angle = np.deg2rad(rng.normal(0, degrees))
    grown = np.exp(rng.normal(0, scale))
    turn = grown * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    jitter = _about_centre(turn, size)
    jitter[:2, 2] += rng.normal(0, shift * size, 2)
    return jitter @ _square(to_crop)


def _cut(image: Image, to_crop: Floats, size: int) -> Image:
    image, to_crop = shrunk_for(image, to_crop[:2])
    return np.asarray(cv2.warpAffine(image, to_crop, (size, size), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _photographed(crop: Image, rng: np.random.Generator) -> Image:
    """Mirroring, resolution, light, colour cast, one-sided light, blur and sensor noise."""
    size = crop.shape[0]
    x: NDArray[Any] = (crop[:, ::-1] if rng.random() < 0.5 else crop).astype(np.float32)
    if rng.random() < 0.4:
        small = round(size * rng.uniform(0.25, 0.7))
        x = cv2.resize(cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    x = 255 * (x / 255) ** np.exp(rng.normal(0, 0.3))
    x = x * rng.uniform(0.5, 1.3) * np.exp(rng.normal(0, 0.08, 3)) + rng.normal(0, 10)
    ramp = 1 + np.linspace(-1, 1, size) * rng.normal(0, 0.25)
    x = x * (ramp[:, None, None] if rng.random() < 0.3 else ramp[None, :, None])
    if rng.random() < 0.15:
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
    noise: NDArray[np.float64] = rng.normal(0, rng.uniform(0, 6), x.shape)
    return np.asarray(np.clip(np.round(x + noise), 0, 255), np.uint8)
