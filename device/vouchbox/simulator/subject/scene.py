"""The room behind the subject and the camera before it: a wall, some light, and a sensor's own faults.

Everything is drawn from a seeded generator once; per frame only tables and offsets change. It adds no
person and takes no decision.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.simulator.subject.spec import Light, Noise, SubjectSpec
from vouchbox.simulator.subject.warp import Floats, Sheet, Solid, lookup, region, sample

READ_NOISE = {Noise.LOW: 0.6, Noise.NORMAL: 1.6, Noise.HIGH: 5.0}
"""Standard deviation without any light, in grey values."""

SHOT_NOISE = {Noise.LOW: 0.02, Noise.NORMAL: 0.05, Noise.HIGH: 0.30}
"""Variance per grey value of light (photon noise)."""

GAIN = {Light.NORMAL: 1.0, Light.DARK: 0.13, Light.BRIGHT: 2.6, Light.SIDE: 1.0}

FLICKER = 0.006
"""Standard deviation of the exposure from frame to frame, as a share."""

NEUTRAL_KELVIN = 6500.0
"""The light that the camera's white balance is set to."""

SIDE_FALL = 0.3
"""How much brighter the lit edge of the picture is with light from the side, as a share."""

SHADE_UNIT = 200
"""The value of a shade that leaves a pixel as it is."""

_BANK = 96


def room(size: tuple[int, int], seed: int) -> Image:
    """A wall with a door, a shelf and a lamp's light, out of focus: RGB of `size` (width, height)."""
    width, height = size
    random = np.random.default_rng(seed + 7_001)
    wall = random.uniform(120, 175) + random.uniform(-12, 12, 3)
    fall = np.linspace(1.08, 0.82, height, dtype=np.float32)[:, None] * np.linspace(
        1.0, 0.9, width, dtype=np.float32
    )
    picture = fall[..., None] * wall.astype(np.float32)
    for _ in range(7):
        left, top = int(random.uniform(-0.1, 0.95) * width), int(random.uniform(0.0, 0.8) * height)
        right, bottom = (
            left + int(random.uniform(0.06, 0.22) * width),
            top + int(random.uniform(0.1, 0.6) * height),
        )
        colour = random.uniform(50, 170) + random.uniform(-18, 18, 3)
        cv2.rectangle(picture, (left, top), (right, bottom), tuple(map(float, colour)), -1)
    soft = cv2.GaussianBlur(picture, (0, 0), width / 110)
    grain = cv2.resize(random.normal(0, 3.0, (height // 3, width // 3)).astype(np.float32), size)
    return np.asarray(np.clip(soft + grain[..., None], 0, 255), np.uint8)


def lay_over(rgb: Image, alpha: NDArray[np.uint8], behind: Image) -> Image:
    """A picture over another one of the same size, by its alpha (height x width)."""
    front = alpha.astype(np.float32)
    return cv2.blendLinear(rgb, behind, front, 255.0 - front).astype(np.uint8, copy=False)


def put(
    texture: NDArray[np.uint8],
    sheet: Sheet,
    falls: Floats,
    where: Solid,
    behind: Image,
) -> Image:
    """`behind` with an RGBA texture before it, which falls where `falls` says and is solid `where`."""
    place = region(falls, where, (behind.shape[1], behind.shape[0]))
    picture = behind.copy()
    if behind[place].size:
        drawn = sample(texture, lookup(sheet, falls, place))
        rgb = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB).astype(np.uint8, copy=False)
        picture[place] = lay_over(rgb, drawn[..., 3], np.ascontiguousarray(behind[place]))
    return picture


class Sensor:
    """What a camera does to a picture: light, a little blur, exposure that wanders, noise."""

    def __init__(self, size: tuple[int, int], spec: SubjectSpec) -> None:
        width, height = size
        self._random = np.random.default_rng(spec.seed + 9_001)
        bank = self._random.normal(0, 16.0, (height + _BANK, width + _BANK, 3))
        self._bank = bank.astype(np.int16)
        self._gain = GAIN[spec.light] * spec.brightness
        grey = np.arange(256)
        read = READ_NOISE[spec.noise] * (2.0 if spec.light is Light.DARK else 1.0)
        sigma = spec.grain * np.sqrt(read**2 + SHOT_NOISE[spec.noise] * grey)
        self._sigma = np.clip(sigma * 8, 0, 255).astype(np.uint8)
        self._shade = _shade(spec, width, height)
        self._tone = None
        if spec.gamma != 1.0 or spec.kelvin != NEUTRAL_KELVIN:
            tint = white(spec.kelvin) ** np.float32(1 / 2.2)
            self._tone = (grey[:, None] / 255.0) ** spec.gamma * 255.0 * tint

    def expose(self, picture: Image, into: Image) -> None:
        """Turn what the lens sees into what the sensor delivers."""
        cv2.GaussianBlur(picture, (3, 3), 0.55, into)
        if self._shade is not None:
            cv2.multiply(into, self._shade, into, scale=1 / SHADE_UNIT, dtype=cv2.CV_8U)
        gain = self._gain * (1.0 + FLICKER * float(self._random.standard_normal()))
        if self._tone is None:
            cv2.convertScaleAbs(into, into, gain, 0.0)
        else:
            table = np.clip(self._tone * gain + 0.5, 0, 255).astype(np.uint8).reshape(1, 256, 3)
            cv2.LUT(into, table, into)
        top, left = (int(n) for n in self._random.integers(0, _BANK, 2))
        height, width = into.shape[:2]
        grain = self._bank[top : top + height, left : left + width]
        sigma = cv2.LUT(into, self._sigma)
        cv2.add(into, cv2.multiply(grain, sigma, scale=1 / 128, dtype=cv2.CV_16S), into, dtype=cv2.CV_8U)


def white(kelvin: float) -> NDArray[np.float32]:
    """What a black body of `kelvin` sends to red, green and blue, over one of NEUTRAL_KELVIN; green is 1.

    Planck's law at 600, 545 and 455 nm, the middles of the three filters.
    """
    metres = np.array([600e-9, 545e-9, 455e-9])
    planck = 1.0 / np.expm1(0.014388 / (metres * kelvin))
    neutral = 1.0 / np.expm1(0.014388 / (metres * NEUTRAL_KELVIN))
    light = planck / neutral
    return np.asarray(light / light[1], np.float32)


def _shade(spec: SubjectSpec, width: int, height: int) -> NDArray[np.uint8] | None:
    """How much light falls on each place, in SHADE_UNIT; None where it is the same everywhere."""
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    if spec.light is Light.SIDE:
        falls = 0.08 + 0.5 + 0.5 * np.tanh(-9.0 * across)
    elif spec.side != 0.0:
        falls = 1.0 + SIDE_FALL * spec.side * across
    else:
        return None
    shade = np.clip(falls * SHADE_UNIT, 0, 255).round().astype(np.uint8)
    return np.broadcast_to(shade[None, :, None], (height, width, 3)).copy()
