"""Draw a textured surface in space onto a picture: the geometry of heads, sheets and screens, no faces.

A Sheet is a texture with a depth; `project` says where a coarse lattice of its texels falls in the picture,
`lookup` inverts that into the map that cv2.remap wants. Lengths are pixels at the sheet's own distance from
the camera. Axes: x to the right, y down, z away from the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.simulator.subject.motion import Posture

_Kind = TypeVar("_Kind", np.uint8, np.float32)

Floats = NDArray[np.float32]

LATTICE_PX = 5
"""Distance between lattice points, on the texture and on the picture."""

ROUNDS = 9
"""Rounds of the quasi-Newton inversion; each reduces the error about threefold at 30 degrees of turn."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A surface over a texture. `x`, `y`, `z` are the lattice points in space (rows x columns), the first
    of them at texel `origin`; `bound` (0..1) is how far each point takes part in a turn about `pivot`."""

    origin: tuple[float, float]
    x: Floats
    y: Floats
    z: Floats
    bound: Floats
    pivot: tuple[float, float, float]
    camera_px: float


Place = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass(frozen=True, slots=True)
class Solid:
    """The lattice points around everything that is not transparent, and whether it goes on beyond the sheet's
    upper, lower, left and right edge."""

    rows: slice
    columns: slice
    beyond: tuple[bool, bool, bool, bool]


def rotation(posture: Posture) -> NDArray[np.float64]:
    """3 x 3, roll after yaw after pitch, with the signs of vision's Pose."""
    yaw, pitch, roll = (math.radians(a) for a in (posture.yaw, posture.pitch, posture.roll))
    turn = np.array([[math.cos(yaw), 0, -math.sin(yaw)], [0, 1, 0], [math.sin(yaw), 0, math.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
    tilt = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ turn @ nod)


def project(sheet: Sheet, posture: Posture, unit: float, centre: tuple[float, float]) -> Floats:
    """Where each lattice point falls: rows x columns x 2 picture coordinates.

    `unit` is the length of one `Posture.across`, `centre` the picture point of the sheet's (0, 0, 0) when it
    stands still.
    """
    spin = rotation(posture).astype(np.float32)
    px, py, pz = sheet.pivot
    dx, dy, dz = sheet.x - px, sheet.y - py, sheet.z - pz
    moved = [
        dx * (1 + sheet.bound * (spin[0, 0] - 1)) + sheet.bound * (dy * spin[0, 1] + dz * spin[0, 2]) + px,
        dy * (1 + sheet.bound * (spin[1, 1] - 1)) + sheet.bound * (dx * spin[1, 0] + dz * spin[1, 2]) + py,
        dz * (1 + sheet.bound * (spin[2, 2] - 1)) + sheet.bound * (dx * spin[2, 0] + dy * spin[2, 1]) + pz,
    ]
    scale = sheet.camera_px / (sheet.camera_px / posture.closeness + moved[2])
    falls = np.empty((*sheet.x.shape, 2), np.float32)
    falls[..., 0] = (moved[0] + posture.across * unit) * scale + centre[0]
    falls[..., 1] = (moved[1] + posture.down * unit) * scale + centre[1]
    return falls


def lookup(sheet: Sheet, falls: Floats, place: Place) -> Floats:
    """For every pixel of a `place` in the picture its texel: height x width x 2, for cv2.remap.

    Solves falls(texel) = pixel on a coarse lattice with a constant Jacobian, then enlarges the result.
    """
    rows, columns = place
    first_x, first_y = columns.start // LATTICE_PX - 1, rows.start // LATTICE_PX - 1
    last_x, last_y = columns.stop // LATTICE_PX + 2, rows.stop // LATTICE_PX + 2
    gx, gy = np.meshgrid(
        np.arange(first_x, last_x, dtype=np.float32), np.arange(first_y, last_y, dtype=np.float32)
    )
    wanted = np.dstack([gx, gy]) * LATTICE_PX + np.float32((LATTICE_PX - 1) / 2)
    r, c = falls.shape[0] // 2, falls.shape[1] // 2
    reach_y, reach_x = r // 2, c // 2
    along = (falls[r, c + reach_x] - falls[r, c - reach_x]) / (2.0 * reach_x)
    downward = (falls[r + reach_y, c] - falls[r - reach_y, c]) / (2.0 * reach_y)
    back = np.linalg.inv(np.stack([along, downward], axis=1).astype(np.float64)).astype(np.float32)
    at = np.asarray(cv2.transform(wanted - falls[r, c], back), np.float32) + np.array([c, r], np.float32)
    for _ in range(ROUNDS):
        at += np.asarray(cv2.transform(wanted - sample(falls, at), back), np.float32)
    texels = at * LATTICE_PX + np.array(sheet.origin, np.float32)
    size = (gx.shape[1] * LATTICE_PX, gx.shape[0] * LATTICE_PX)
    large = cv2.resize(texels, size, interpolation=cv2.INTER_LINEAR)
    top, left = rows.start - first_y * LATTICE_PX, columns.start - first_x * LATTICE_PX
    height, width = rows.stop - rows.start, columns.stop - columns.start
    return np.asarray(large[top : top + height, left : left + width], np.float32)


def solid(alpha: NDArray[np.uint8], sheet: Sheet) -> Solid:
    """Where a texture with this `alpha` is not transparent."""
    near = cv2.dilate(alpha, np.ones((2 * LATTICE_PX + 1, 2 * LATTICE_PX + 1), np.uint8))
    found = near[::LATTICE_PX, ::LATTICE_PX] > 0
    rows, columns = sheet.x.shape
    where = np.pad(found, ((0, rows - found.shape[0]), (0, columns - found.shape[1])), mode="edge")
    down, across = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    return Solid(
        slice(int(down[0]), int(down[-1]) + 1),
        slice(int(across[0]), int(across[-1]) + 1),
        (bool(where[0].any()), bool(where[-1].any()), bool(where[:, 0].any()), bool(where[:, -1].any())),
    )


def region(falls: Floats, where: Solid, size: tuple[int, int]) -> Place:
    """The part of a `size` (width, height) picture that a texture covers."""
    width, height = size
    x, y = cv2.split(np.ascontiguousarray(falls[where.rows, where.columns]))
    (left, right, *_), (top, bottom, *_) = cv2.minMaxLoc(x), cv2.minMaxLoc(y)
    goes_up, goes_down, goes_left, goes_right = where.beyond
    top, bottom = 0 if goes_up else top - LATTICE_PX, height if goes_down else bottom + LATTICE_PX
    left, right = 0 if goes_left else left - LATTICE_PX, width if goes_right else right + LATTICE_PX
    rows, columns = (
        slice(min(max(int(first), 0), most), min(max(int(last) + 1, 0), most))
        for first, last, most in ((top, bottom, height), (left, right, width))
    )
    return rows, columns


def sample(picture: NDArray[_Kind], at: Floats) -> NDArray[_Kind]:
    """The values of `picture` at the points `at` (height x width x 2: x and y), linear, edges repeated."""
    absent: Any = None
    found: Any = cv2.remap(picture, at, absent, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, picture.dtype)


def lattice(first: tuple[float, float], last: tuple[float, float]) -> tuple[Floats, Floats]:
    """Texel coordinates of a lattice from `first` to at least `last`."""
    xs = np.arange(first[0], last[0] + LATTICE_PX, LATTICE_PX, dtype=np.float32)
    ys = np.arange(first[1], last[1] + LATTICE_PX, LATTICE_PX, dtype=np.float32)
    x, y = np.meshgrid(xs, ys)
    return x.astype(np.float32), y.astype(np.float32)
