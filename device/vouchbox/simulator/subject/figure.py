"""A portrait becomes a figure: a cut-out person with a depth, a neck that turns, and lids that close.

The depth of the face is that of its landmarks; beyond the face it runs smoothly to the depth of the ears.
Only shapes and pixels; when and how far anything moves is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.simulator.subject.portraits import Portrait, eye_distance
from vouchbox.simulator.subject.warp import LATTICE_PX, Floats, Sheet, Solid, lattice, sample, solid

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Landmarks of the face's edge, clockwise from the top (MediaPipe face mesh numbering)."""

_EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""For each eye, from left to right in the picture: upper lid, lower lid."""

LID_STEPS = 8
"""Pictures of each eye between open and closed."""

CAMERA_EYES = 8.7
"""Distance to the camera in distances between the eyes: 55 cm for 6.3 cm."""

DEEPER = 1.2
"""The landmark model sees heads flatter than they are: it reads 24 degrees from a turn of 28 without this."""

STEEPEST = 1.3
"""Depth per pixel, at most: a surface this steep turns 37 degrees before it hides a part of itself."""

_Float = TypeVar("_Float", np.float32, np.float64)

_MARGIN = 60
_SHAPED = 1.5


@dataclass(frozen=True)
class Patch:
    """One eye: where its pictures belong in the texture (left, top), and LID_STEPS + 1 pictures."""

    left: int
    top: int
    lids: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class Figure:
    """`texture` is RGBA; `centre` its texel at the sheet's (0, 0); `eyes_px` is between the eyes;
    `solid` is where the texture is not transparent."""

    texture: NDArray[np.uint8]
    sheet: Sheet
    eyes: tuple[Patch, ...]
    landmarks: Floats
    centre: tuple[float, float]
    eyes_px: float
    solid: Solid

    def copy(self) -> Figure:
        """The same figure with a texture of its own."""
        return replace(self, texture=self.texture.copy())

    def close_eyes(self, lids: float) -> None:
        """Put the lids into the texture: 0 open .. 1 closed."""
        step = round(min(max(lids, 0.0), 1.0) * LID_STEPS)
        for patch in self.eyes:
            shown = patch.lids[step]
            height, width = shown.shape[:2]
            self.texture[patch.top : patch.top + height, patch.left : patch.left + width, :3] = shown


def figure(portrait: Portrait, eyes_px: float) -> Figure:
    """Scale the portrait until its eyes are `eyes_px` apart and give it depth."""
    scale = eyes_px / eye_distance(portrait.landmarks)
    landmarks = portrait.landmarks * scale
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    large = cv2.resize(portrait.image, None, fx=scale, fy=scale, interpolation=method)
    large = cv2.addWeighted(large, 1.5, cv2.GaussianBlur(large, (0, 0), 1.6), -0.5, 0)
    large = cv2.copyMakeBorder(large, _MARGIN, 0, _MARGIN, _MARGIN, cv2.BORDER_REPLICATE)
    rgb = np.asarray(large, np.uint8)
    landmarks[:, :2] += _MARGIN
    landmarks[:, 2] *= DEEPER
    for eye in _EYES:
        _open_wide(rgb, landmarks, *eye, portrait.wider)
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    outline = portrait.outline * scale + _MARGIN
    cv2.fillPoly(alpha, [np.round(outline * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    # Softened, and pulled in by a pixel: the old background must not shine at the edge.
    soft = cv2.GaussianBlur(alpha, (0, 0), 1.5).astype(np.float32)
    alpha = np.clip((soft - 110) * (255 / 145), 0, 255).astype(np.uint8)
    texture = np.dstack([rgb, alpha])
    face = landmarks[list(FACE_OVAL), :2].mean(0)
    centre = (float(face[0]), float(face[1]))
    eyes = tuple(_patch(rgb, landmarks, *eye) for eye in _EYES)
    sheet = _sheet(landmarks, centre, eyes_px, rgb.shape)
    return Figure(texture, sheet, eyes, landmarks, centre, eyes_px, solid(alpha, sheet))


def _sheet(landmarks: Floats, centre: tuple[float, float], unit: float, shape: tuple[int, ...]) -> Sheet:
    texel_x, texel_y = lattice((0.0, 0.0), (float(shape[1]), float(shape[0])))
    oval = landmarks[list(FACE_OVAL)]
    plateau = float(np.percentile(oval[:, 2], 90))
    depth = _depth(landmarks, oval, plateau, centre, texel_x, texel_y)
    camera = CAMERA_EYES * unit
    x = (texel_x - centre[0]) * (camera + depth) / camera
    y = (texel_y - centre[1]) * (camera + depth) / camera
    chin = float(landmarks[152, 1])
    neck = np.clip((chin + 0.85 * unit - texel_y) / (0.75 * unit), 0.0, 1.0)
    away = np.hypot(texel_x - centre[0], np.minimum(texel_y - centre[1], 0.0)) / unit
    bound = neck * neck * (3 - 2 * neck) * np.clip(1.0 - 0.35 * (away - 1.2), 0.45, 1.0)
    pivot = (0.0, chin - centre[1] - 0.35 * unit, plateau)
    return Sheet(
        (0.0, 0.0), x.astype(np.float32), y.astype(np.float32), depth, bound.astype(np.float32), pivot, camera
    )


def _depth(
    landmarks: Floats, oval: Floats, plateau: float, centre: tuple[float, float], x: Floats, y: Floats
) -> Floats:
    """Thin-plate interpolation (Bookstein, 1989) of the landmarks' z over the lattice, smoothed a little."""
    middle = np.array([*centre, 0.0])
    rings = []
    for size, share in ((1.25, 0.75), (1.6, 1.0), (2.4, 1.0), (5.0, 1.0)):
        ring = middle + size * (oval - middle)
        ring[:, 2] = (1 - share) * oval[:, 2] + share * plateau
        rings.append(ring[::2])
    known = np.vstack([landmarks, *rings]).astype(np.float64)
    unit = float(np.ptp(landmarks[:, 0]))
    points, values = (known[:, :2] - centre) / unit, known[:, 2]
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _plate(points, points) + 2e-3 * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), points])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.append(values, np.zeros(3)))
    wanted = np.asarray((np.column_stack([x.ravel(), y.ravel()]) - centre) / unit, np.float64)
    inside = np.abs(wanted).max(1) < _SHAPED
    depth = np.full(len(wanted), plateau)
    near = wanted[inside]
    # Single precision is exact to a thousandth of a pixel, and several times quicker.
    bent = _plate(near.astype(np.float32), points.astype(np.float32)) @ weights[:count].astype(np.float32)
    depth[inside] = bent + np.column_stack([np.ones(len(near)), near]) @ weights[count:]
    even = _gentle(np.minimum(depth, plateau).reshape(x.shape).astype(np.float32))
    sigma = max(0.6, 0.05 * unit / LATTICE_PX)
    return np.asarray(cv2.GaussianBlur(even, (0, 0), sigma), np.float32)


def _gentle(depth: Floats) -> Floats:
    """The nearest surface behind no point of `depth` that is nowhere steeper than STEEPEST."""
    eased = depth.copy()
    step = STEEPEST * LATTICE_PX
    for lines in (eased.T, eased):
        for order in (range(1, len(lines)), range(len(lines) - 2, -1, -1)):
            for at in order:
                before = lines[at - 1] if order.step > 0 else lines[at + 1]
                np.minimum(lines[at], before + step, out=lines[at])
    return eased


def _plate(a: NDArray[_Float], b: NDArray[_Float]) -> NDArray[_Float]:
    squared = (a[:, None, 0] - b[None, :, 0]) ** 2 + (a[:, None, 1] - b[None, :, 1]) ** 2
    return np.asarray(squared * np.log(squared + a.dtype.type(1e-12)), a.dtype)


def _open_wide(
    rgb: NDArray[np.uint8], landmarks: Floats, upper: tuple[int, ...], lower: tuple[int, ...], wider: float
) -> None:
    """Stretch one eye upwards and downwards by `wider`, in place."""
    lids, floor = landmarks[list(upper), :2], landmarks[list(lower), :2]
    wide = float(lids[-1, 0] - lids[0, 0])
    middle_x, middle_y = (lids[len(lids) // 2] + floor[len(floor) // 2]) / 2
    left, top, reach = int(middle_x - wide), int(middle_y - wide), int(2 * wide)
    x, y = np.meshgrid(np.arange(left, left + reach), np.arange(top, top + reach))
    share = np.exp(-(((y - middle_y) / wide / 0.4) ** 2) - ((x - middle_x) / wide / 0.55) ** 4)
    source = y - (1 - 1 / wider) * (y - middle_y) * share
    rgb[top : top + reach, left : left + reach] = cv2.remap(
        rgb, x.astype(np.float32), source.astype(np.float32), cv2.INTER_CUBIC
    )
    for index in {*upper[1:-1], *lower[1:-1]}:
        near = np.exp(-(((landmarks[index, 0] - middle_x) / wide / 0.55) ** 4))
        landmarks[index, 1] += (wider - 1) * 0.9 * near * (landmarks[index, 1] - middle_y)


def _patch(
    rgb: NDArray[np.uint8], landmarks: Floats, upper: tuple[int, ...], lower: tuple[int, ...]
) -> Patch:
    """The pictures of one eye: skin from above and below it is the lid, lashes lie along its edge."""
    lids, floor = landmarks[list(upper), :2], landmarks[list(lower), :2]
    wide = float(lids[-1, 0] - lids[0, 0])
    left, right = int(lids[0, 0] - 0.4 * wide), int(lids[-1, 0] + 0.4 * wide)
    top, bottom = int(np.min(lids[:, 1]) - 0.8 * wide), int(np.max(floor[:, 1]) + 0.6 * wide)
    columns = np.arange(left, right, dtype=np.float32)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    lid_y = np.interp(columns, lids[:, 0], lids[:, 1])
    floor_y = np.maximum(np.interp(columns, floor[:, 0], floor[:, 1]), lid_y)
    from_corner = np.minimum(columns - lids[0, 0], lids[-1, 0] - columns) / (0.15 * wide)
    first, last = lid_y - 0.55 * wide, floor_y + 0.15 * wide
    across = np.broadcast_to(columns, (len(rows), len(columns))).astype(np.float32)
    sides = []
    for start, drift in ((first, first - rows), (last, last - rows)):
        seen = sample(rgb, np.dstack([across, start + 0.15 * drift]).astype(np.float32))
        sides.append(cv2.GaussianBlur(seen, (0, 0), 0.06 * wide).astype(np.float32))
    share = _ramp((rows - first) / (last - first))[..., None]
    skin = sides[0] * (1 - share) + sides[1] * share
    open_eye = rgb[top:bottom, left:right].astype(np.float32)
    pictures = []
    for step in range(LID_STEPS + 1):
        part = step / LID_STEPS
        edge = lid_y + (floor_y - lid_y) * 1.1 * part
        below = edge + part * part * (last - edge)
        drawn = _ramp((rows - first) / (0.15 * wide)) * _ramp(
            (below - rows) / (0.05 * wide + 0.1 * wide * part)
        )
        cover = (drawn * _ramp(from_corner + 1.2) * min(1.0, 2.5 * part))[..., None]
        line = np.exp(-(((rows - edge) / (0.05 * wide)) ** 2))
        lashes = (0.8 * part * _ramp(from_corner + 0.8) * line)[..., None]
        shown = (open_eye * (1 - cover) + skin * cover) * (1 - lashes)
        pictures.append(np.clip(shown, 0, 255).astype(np.uint8))
    return Patch(left, top, tuple(pictures))


def _ramp(value: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(value, 0.0, 1.0))
