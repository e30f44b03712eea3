"""Planar attacks made from real frames: a picture on a sheet that is tilted, bent and moved by hand.

Geometry is exact (a pinhole camera; a flat sheet is one homography, a bent one many narrow ones), sharpness
and noise are kinder to the attacker than a real print would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveness_measure.watching import Grain, Timed
from vouchbox.camera.source import Image

FRAME = (640, 480)
FOCAL_PX = 700.0
PAPER_EYES = 3.0
"""One unit of the sheet is so many distances between the eyes: about the width of a face with its ears."""

AWAY = 2.4
"""Distance of the sheet from the lens, in units."""

SECONDS = 4.0
RATE = 15.0
STRIPS = 24
NOISE = 2.0
BACKGROUND = (125, 120, 110)


@dataclass(frozen=True, slots=True)
class Handling:
    """How a sheet is held: swings in degrees, bends in radians a unit (upright and lying axis), `breathing` a
    bend that changes while it is shown. `film` shows a moving recording instead of one picture."""

    yaw: float = 0.0
    pitch: float = 0.0
    upright: float = 0.0
    lying: float = 0.0
    breathing: float = 0.0
    film: bool = False


HANDLINGS = {
    "held still by hand": Handling(6, 5),
    "flat, turned by 20": Handling(20, 3),
    "flat, turned by 35": Handling(35, 3),
    "flat, turned by 50": Handling(50, 3),
    "flat, nodded by 28": Handling(3, 28),
    "flat, turned and nodded": Handling(30, 18),
    "bent 40 upright, turned": Handling(32, 3, upright=0.7),
    "bent 80 upright, turned": Handling(32, 3, upright=1.4),
    "bent -50 upright, turned": Handling(32, 3, upright=-0.9),
    "bent 50 lying, turned": Handling(30, 6, lying=0.9),
    "bent 50 lying, nodded": Handling(4, 25, lying=0.9),
    "bent to and fro": Handling(5, 4, breathing=1.2),
    "bent to and fro, turned": Handling(28, 4, breathing=1.0),
    "screen with a film, turned": Handling(35, 3, film=True),
}


def shown(
    pictures: list[Image], centre: tuple[float, float], eyes_px: float, how: Handling, seed: int
) -> Iterator[Timed]:
    """The frames of a camera before which `pictures` are shown; the face lies at `centre` in them."""
    random = np.random.default_rng(seed)
    phase, tempo = random.uniform(0, 2 * np.pi, 7), random.uniform(0.8, 1.2, 7)

    grain = Grain(NOISE, (FRAME[1], FRAME[0], 3), random)

    def swing(which: int, hertz: float, seconds: float) -> float:
        return float(np.sin(2 * np.pi * hertz * tempo[which] * seconds + phase[which]))

    for number in range(round(SECONDS * RATE)):
        t = number / RATE
        picture = pictures[number % len(pictures) if how.film else 0]
        turn = _rotation(how.yaw * swing(0, 0.33, t), how.pitch * swing(1, 0.3, t), 4.0 * swing(2, 0.3, t))
        place = np.array(
            [0.04 * swing(3, 0.4, t), 0.03 * swing(4, 0.5, t), AWAY * (1 + 0.06 * swing(5, 0.2, t))]
        )
        bend = how.upright + how.breathing * swing(6, 0.35, t)
        frame = _render(picture, centre, eyes_px * PAPER_EYES, turn, place, bend, how.lying)
        yield t, grain.over(frame)


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float64)


def _render(
    picture: Image,
    centre: tuple[float, float],
    unit_px: float,
    turn: NDArray[np.float64],
    place: NDArray[np.float64],
    upright: float,
    lying: float,
) -> Image:
    high, wide = picture.shape[:2]
    # A bent sheet is flat along its axis, so narrow strips are exact.
    across = STRIPS if abs(upright) > 1e-6 else 1
    down = STRIPS if abs(lying) > 1e-6 else 1
    columns, rows = np.meshgrid(np.linspace(0, wide, across + 1), np.linspace(0, high, down + 1))
    x, y = (columns - centre[0]) / unit_px, (rows - centre[1]) / unit_px
    z = np.zeros_like(x)
    if abs(upright) > 1e-6:
        x, z = np.sin(x * upright) / upright, z + (1 - np.cos(x * upright)) / upright
    if abs(lying) > 1e-6:
        y, z = np.sin(y * lying) / lying, z + (1 - np.cos(y * lying)) / lying
    world = np.stack([x, y, z], axis=-1) @ turn.T + place
    seen = FOCAL_PX * world[..., :2] / world[..., 2:] + np.array(FRAME) / 2.0
    out = np.full((FRAME[1], FRAME[0], 3), BACKGROUND, np.uint8)
    for i in range(down):
        for j in range(across):
            at = ((i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j))
            _lay(
                out,
                picture,
                np.array([seen[p] for p in at], np.float32),
                np.array([(columns[p], rows[p]) for p in at], np.float32),
            )
    return out


def _lay(out: Image, picture: Image, seen: NDArray[np.float32], drawn: NDArray[np.float32]) -> None:
    """Draw one cell of the sheet into `out`."""
    low = np.maximum(np.floor(seen.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(seen.max(axis=0)).astype(int) + 2, FRAME)
    if (high <= low).any():
        return
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    corners = seen - low.astype(np.float32)
    carry = cv2.getPerspectiveTransform(drawn, corners)
    cell = cv2.warpPerspective(picture, carry, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1)
    part = out[low[1] : high[1], low[0] : high[0]]
    part[mask > 0] = cell[mask > 0]
