"""Light from the side on a head: each part of it is lit by how it faces the light (Lambert's law).

Only for heads, which have depth; paper and screens are flat, and what falls on them falls on all of it. The
light is fixed to the head: a head that turns takes its light along, which a real room would not do.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.simulator.subject.figure import Figure, Patch
from vouchbox.simulator.subject.warp import LATTICE_PX, Floats

STEEPEST_DEGREES = 65.0
"""How far from the camera's direction the light stands when `side` is 1 or -1."""

AMBIENT = 0.4
"""The share of the light that comes from everywhere."""

BRIGHTEST = 1.4


def lit(head: Figure, side: float) -> Figure:
    """The same head with light from `side` (-1: the picture's left .. 1: its right); never `head` itself."""
    shade = _shade(head, side)
    texture = head.texture.copy()
    texture[..., :3] = _under(texture[..., :3], shade)
    eyes = tuple(
        Patch(
            eye.left,
            eye.top,
            tuple(
                _under(lid, shade[eye.top : eye.top + lid.shape[0], eye.left : eye.left + lid.shape[1]])
                for lid in eye.lids
            ),
        )
        for eye in head.eyes
    )
    return replace(head, texture=texture, eyes=eyes)


def _shade(head: Figure, side: float) -> Floats:
    """What share of a frontal surface's light each texel gets: height x width x 1."""
    height, width = head.texture.shape[:2]
    angle = np.radians(STEEPEST_DEGREES * side)
    slope_x = np.gradient(head.sheet.z, axis=1) / LATTICE_PX
    slope_y = np.gradient(head.sheet.z, axis=0) / LATTICE_PX
    length = np.sqrt(1.0 + slope_x**2 + slope_y**2)
    # The normal is (slope_x, slope_y, -1) over its length, the light (sin, 0, -cos).
    towards = (slope_x * np.sin(angle) + np.cos(angle)) / length
    share = AMBIENT + (1.0 - AMBIENT) * np.clip(towards, 0.0, None) / np.cos(angle)
    soft = cv2.GaussianBlur(np.clip(share, 0.0, BRIGHTEST).astype(np.float32), (0, 0), 1.0)
    rows, columns = soft.shape
    large = cv2.resize(soft, (columns * LATTICE_PX, rows * LATTICE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:height, :width, None], np.float32)


def _under(picture: NDArray[np.uint8], shade: Floats) -> NDArray[np.uint8]:
    return np.clip(picture * shade + 0.5, 0, 255).astype(np.uint8)
