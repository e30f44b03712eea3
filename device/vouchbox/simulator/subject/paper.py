"""A photo print held before the camera: flat or bent to a cylinder, with paper edges, ink and a thumb.

It is moved as an attacker would move it: turned, tilted and brought closer as one piece of paper when a
prompt asks for it. It can't blink.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import CAMERA_EYES, FACE_OVAL
from vouchbox.simulator.subject.motion import Motion
from vouchbox.simulator.subject.portraits import Portrait, eye_distance
from vouchbox.simulator.subject.scene import put
from vouchbox.simulator.subject.warp import Floats, Sheet, lattice, project, solid

PAPER_EYES = (4.6, 5.2)
"""Width and height of the printed picture in distances between the eyes."""

BORDER_PX = 10
AROUND_PX = 70
"""Texels of nothing around a held object: the lattice needs room beyond its edge."""

PAPER_WHITE = (226.0, 224.0, 218.0)

SLACK = 7.0
"""Radius of a sheet that is held flat, in widths: paper is never quite flat."""

BENT = 0.62
"""Radius of a sheet that is bent around a face, in widths: 92 degrees from edge to edge."""


def printed(picture: Image, seed: int) -> Image:
    """The picture as an inkjet prints it: less contrast, a paper white that is not white, a dot raster."""
    random = np.random.default_rng(seed + 3_001)
    height, width = picture.shape[:2]
    grey = picture.astype(np.float32).mean(axis=2, keepdims=True)
    ink = 30.0 + (0.82 * picture + 0.18 * grey) * (205.0 / 255.0)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    raster = np.cos((x + 0.6 * y) * 2.3) * np.cos((y - 0.6 * x) * 2.3)
    grain = random.normal(0, 2.5, (height, width)).astype(np.float32)
    return np.asarray(np.clip(ink + (4.0 * raster + grain)[..., None], 0, 255), np.uint8)


def photo(portrait: Portrait, eyes_px: float, seed: int) -> NDArray[np.uint8]:
    """The print as an RGBA texture, its middle at the texture's middle."""
    scale = eyes_px / eye_distance(portrait.landmarks)
    middle = portrait.landmarks[list(FACE_OVAL), :2].mean(0)
    width, height = (round(side * eyes_px) for side in PAPER_EYES)
    place = np.array(
        [[scale, 0, width / 2 - scale * middle[0]], [0, scale, 0.49 * height - scale * middle[1]]], np.float32
    )
    copy = cv2.warpAffine(
        portrait.image, place, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    ink = printed(np.asarray(copy, np.uint8), seed)
    margin = BORDER_PX + AROUND_PX
    texture = np.empty((height + 2 * margin, width + 2 * margin, 4), np.uint8)
    texture[..., :3] = PAPER_WHITE
    texture[..., 3] = 0
    texture[AROUND_PX:-AROUND_PX, AROUND_PX:-AROUND_PX, 3] = 255
    texture[margin:-margin, margin:-margin, :3] = ink
    for side, low in ((-1.0, 0.80), (1.0, 0.72)):
        _thumb(texture, side, low)
    return texture


def flat_sheet(shape: tuple[int, ...], camera_px: float) -> Sheet:
    """A plane of the texture's size that turns about its middle."""
    height, width = shape[:2]
    x, y = lattice((-width / 2, -height / 2), (width / 2, height / 2))
    return Sheet((0.0, 0.0), x, y, np.zeros_like(x), np.ones_like(x), (0.0, 0.0, 0.0), camera_px)


def bend(sheet: Sheet, radius: float) -> Sheet:
    """The plane rolled around an upright cylinder, its edges away from the camera."""
    angle = np.clip(sheet.x / radius, -1.5, 1.5)
    return replace(
        sheet,
        x=(radius * np.sin(angle)).astype(np.float32),
        z=(radius * (1.0 - np.cos(angle))).astype(np.float32),
    )


@dataclass
class HeldPaper:
    """Draws a print in a room. `radius` is the bend in widths of the paper."""

    texture: NDArray[np.uint8]
    motion: Motion
    room: Image
    eyes_px: float
    radius: float

    def __post_init__(self) -> None:
        self._sheet = flat_sheet(self.texture.shape, CAMERA_EYES * self.eyes_px)
        self._solid = solid(self.texture[..., 3], self._sheet)
        columns = np.linspace(-0.5, 0.5, self.texture.shape[1], dtype=np.float32) / self.radius
        # Light from the left and above: what bends away from it is darker.
        light = 0.80 + 0.20 * np.cos(columns + 0.5) / math.cos(0.5)
        shaded = self.texture[..., :3] * light[None, :, None]
        self.texture = np.dstack([np.clip(shaded, 0, 255).astype(np.uint8), self.texture[..., 3]])

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """The hand sees the prompt."""
        self.motion.show(prompt, time_s)

    def draw(self, time_s: float) -> Image:
        """The picture at `time_s`, RGB, before the sensor."""
        posture = self.motion.posture(time_s)
        wide = float(self.texture.shape[1] - 2 * AROUND_PX)
        grip = 1.0 + 0.12 * math.sin(2.1 * time_s) * math.sin(0.9 * time_s + 1.0)
        sheet = bend(self._sheet, self.radius * wide * grip)
        height, width = self.room.shape[:2]
        falls: Floats = project(sheet, posture, self.eyes_px, (0.5 * width, 0.5 * height))
        return put(self.texture, sheet, falls, self._solid, self.room)


def _thumb(texture: NDArray[np.uint8], side: float, low: float) -> None:
    """A thumb over the paper's left (-1) or right (1) edge, `low` of the way down, in place."""
    height, width = texture.shape[:2]
    edge = AROUND_PX if side < 0 else width - AROUND_PX
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    inwards, down = (edge - x) * side, y - low * height
    down = down + 0.35 * inwards
    long, thick = 30.0, 14.0
    beyond = np.maximum(inwards - (long - thick), 0.0) + np.minimum(inwards + 18.0, 0.0)
    off = np.hypot(beyond, down) / thick
    inside = np.clip((1.0 - off) * thick / 1.5, 0.0, 1.0)
    round_off = np.sqrt(np.clip(1.0 - off**2, 0.0, 1.0))
    colour = np.array([205.0, 158.0, 134.0], np.float32) * (0.62 + 0.38 * round_off)[..., None]
    nail = np.hypot((inwards - long + 12) / 9.0, down / 7.0) < 1.0
    colour[nail] = colour[nail] * 0.6 + np.array([232.0, 190.0, 172.0]) * 0.4
    shadow = np.exp(-((np.hypot(np.maximum(inwards - long + thick, 0.0), down - 5) / (1.4 * thick)) ** 2))
    under = texture[..., :3] * (1 - 0.4 * shadow * (inwards > 0))[..., None]
    mixed = under * (1 - inside[..., None]) + colour * inside[..., None]
    texture[..., :3] = np.clip(mixed, 0, 255).astype(np.uint8)
    texture[..., 3] = np.maximum(texture[..., 3], (inside * 255).astype(np.uint8))
