"""Makes one training sample: a bona fide frame through the camera model, or the same face shown on paper or
on a screen before a room, through the same camera model.

A sample is a picture, the face box in it and its label. Both classes are drawn from the same faces, sizes and
framings, so that who it is, how large and how sharp tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera_model import Picture, Random, blur, coarser, filmed
from .material import Sight
from .media import Medium, gridded, mirrored, on_paper, on_screen, rastered, shining

SMALLEST_FACE, LARGEST_FACE = 44.0, 200.0
"""Side of the face box in the camera's pixels."""

LARGEST_CANVAS = 420

TIGHT = 0.22
"""Share of samples whose frame ends right around the face, as crops in data sets do."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sample:
    """A frame (uint8, RGB), the face box, 1 for bona fide, and the species."""

    frame: NDArray[np.uint8]
    box: Box
    bonafide: bool
    species: str


def _framing(random: Random, face: float) -> tuple[int, int]:
    """Width and height of a frame around a face of `face` pixels."""
    if random.random() < TIGHT:
        side = face * random.uniform(1.0, 1.5)
        wide, tall = side * random.uniform(0.85, 1.15), side * random.uniform(0.95, 1.25)
    else:
        side = face * random.uniform(1.7, 5.2)
        aspect = random.choice([4 / 3, 3 / 4, 16 / 9, 9 / 16, 1.0])
        wide, tall = side * aspect**0.5, side * aspect**-0.5
        grow = max(1.0, 1.25 * face / min(wide, tall))
        wide, tall = wide * grow, tall * grow
    shrink = min(1.0, LARGEST_CANVAS / max(wide, tall))
    return max(24, round(wide * shrink)), max(24, round(tall * shrink))


def _size(random: Random, sight: Sight) -> float:
    """How large the face appears; not much larger than it was filmed."""
    own = max(sight.box[2] - sight.box[0], sight.box[3] - sight.box[1])
    most = min(LARGEST_FACE, max(1.35 * own, SMALLEST_FACE * 1.05))
    return float(np.exp(random.uniform(np.log(SMALLEST_FACE), np.log(most))))


def _placed(sight: Sight, size: tuple[int, int], face: float, random: Random) -> tuple[Picture, Box]:
    """The frame scaled so that the face has `face` pixels, and cut to `size` around it; where the frame is
    too small for that, the cut is smaller."""
    left, top, right, bottom = sight.box
    factor = face / max(right - left, bottom - top)
    source = sight.frame
    if factor < 0.5:
        # Averaging first: sampling far fewer pixels would alias more than any camera does.
        source = cv2.resize(source, None, fx=2 * factor, fy=2 * factor, interpolation=cv2.INTER_AREA)
        left, top, right, bottom = (v * 2 * factor for v in (left, top, right, bottom))
        factor = 0.5
    how = cv2.INTER_LINEAR if factor < 1 else cv2.INTER_CUBIC
    big: Picture = cv2.resize(source, None, fx=factor, fy=factor, interpolation=how).astype(np.float32)
    box = np.array([left, top, right, bottom]) * factor
    height, width = big.shape[:2]
    wide, tall = min(size[0], width), min(size[1], height)
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    x += random.normal(0, 0.12) * max(wide - face, 0)
    y += random.normal(0, 0.12) * max(tall - face, 0)
    x0 = int(np.clip(x - wide / 2, 0, width - wide))
    y0 = int(np.clip(y - tall / 2, 0, height - tall))
    a, b, c, d = (float(v) for v in box - [x0, y0, x0, y0])
    return big[y0 : y0 + tall, x0 : x0 + wide], (a, b, c, d)


def mirrored_sight(sight: Sight) -> Sight:
    """Left and right swapped."""
    width = sight.frame.shape[1]
    left, top, right, bottom = sight.box
    return Sight(
        np.ascontiguousarray(sight.frame[:, ::-1]),
        (width - right, top, width - left, bottom),
        None,
        sight.row,
    )


def bona_fide(sight: Sight, random: Random) -> Sample:
    """The frame as another camera would have taken it."""
    face = _size(random, sight)
    picture, box = _placed(sight, _framing(random, face), face, random)
    if random.random() < 0.12:
        picture = _furnished(picture, box, random)
    return _finish(filmed(picture, random), box, True, "bonafide", random)


def _furnished(picture: Picture, box: Box, random: Random) -> Picture:
    """Picture frames, doors and monitors beside a live person, so that an edge alone proves nothing."""
    x = picture.copy()
    height, width = x.shape[:2]
    side = max(box[2] - box[0], box[3] - box[1])
    for _ in range(int(random.integers(1, 4))):
        wide, tall = int(random.uniform(0.2, 1.2) * side), int(random.uniform(0.2, 1.4) * side)
        left, top = int(random.uniform(-0.3 * side, width)), int(random.uniform(-0.3 * side, height))
        near_x = left < box[2] + 0.25 * side and left + wide > box[0] - 0.25 * side
        near_y = top < height and top + tall > box[1] - 0.3 * side
        if near_x and near_y:
            continue
        part = x[max(top, 0) : top + tall, max(left, 0) : left + wide]
        if part.size:
            part[:] = part * random.uniform(0, 0.5) + random.uniform(0, 220, 3)
            rim = max(1, int(0.02 * side))
            part[:rim] = part[-rim:] = random.uniform(0, 255)
    return x


def attack(sight: Sight, room: Sight, random: Random, species: str | None = None) -> Sample:
    """The face on a medium that is held before `room`."""
    screen = (random.random() < 0.55) if species is None else species == "replay"
    face = _size(random, sight)
    size = _framing(random, face)
    share = random.uniform(0.75, 1.25)
    shown, inner = _placed(sight, _shown(random, face * share), face * share, random)
    medium = (on_screen if screen else on_paper)(shown, random)
    behind = _room(room, size, random)
    carry = _carry(medium, inner, face, size, random)
    seen, alpha, u, v = _sampled(_held(medium, inner, random), carry, size, screen, random)
    seen = gridded(seen, u, v, random) if screen else seen
    if not screen and random.random() < 0.6:
        seen = rastered(seen, u, v, random)
    seen = mirrored(seen, behind, random) if screen else shining(seen, random)
    soft = min(random.exponential(0.5), 2.2)
    seen, alpha = blur(seen, soft), blur(alpha, soft * 0.7)
    alpha = alpha[..., None]
    shadow = 1 - np.float32(random.uniform(0, 0.4)) * blur(np.roll(alpha[..., 0], 4, (0, 1)), 5.0)[..., None]
    picture = seen * alpha + behind * shadow * (1 - alpha)
    box = _carried(medium, inner, carry)
    return _finish(filmed(picture, random), box, False, "replay" if screen else "print", random)


def _shown(random: Random, face: float) -> tuple[int, int]:
    """How much of the source the medium shows."""
    wide = face * random.uniform(1.15, 3.6)
    return round(wide), round(max(wide * np.exp(random.normal(0.1, 0.3)), 1.25 * face))


def _room(room: Sight, size: tuple[int, int], random: Random) -> Picture:
    """What is behind the medium: another frame (its person holds the medium), or a wall."""
    width, height = size
    if random.random() < 0.25:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        base = np.float32(random.uniform(30, 220, 3))
        ramp = 1 + random.normal(0, 0.3) * (x / width - 0.5) + random.normal(0, 0.3) * (y / height - 0.5)
        wall = base * ramp[..., None]
        for _ in range(int(random.integers(0, 5))):
            a, b = sorted(random.uniform(0, width, 2).astype(int))
            c, d = sorted(random.uniform(0, height, 2).astype(int))
            wall[c:d, a:b] = random.uniform(20, 230, 3)
        return blur(wall.astype(np.float32), random.uniform(0.3, 5))
    frame = room.frame
    tall, wide = frame.shape[:2]
    part_w = int(wide * random.uniform(0.5, 1.0))
    part_h = int(min(tall, part_w * height / width))
    part_w = min(part_w, max(8, int(part_h * width / height)))
    x0, y0 = int(random.integers(0, wide - part_w + 1)), int(random.integers(0, tall - part_h + 1))
    part = cv2.resize(frame[y0 : y0 + part_h, x0 : x0 + part_w], size, interpolation=cv2.INTER_AREA)
    lit = part.astype(np.float32) * np.float32(np.exp(random.normal(-0.1, 0.35)))
    return blur(lit, random.exponential(1.2))


def _carry(
    medium: Medium, inner: Box, face: float, size: tuple[int, int], random: Random
) -> NDArray[np.float64]:
    """The homography from texels to the camera's pixels: held by hand, the face near the frame's middle."""
    width, height = size
    side = max(inner[2] - inner[0], inner[3] - inner[1])
    cx = medium.left + (inner[0] + inner[2]) / 2
    cy = medium.top + (inner[1] + inner[3]) / 2
    a = np.radians(random.normal(0, 5))
    scale = face / side
    reach = 4.0 * face
    lean_x, lean_y = random.normal(0, 0.22, 2)
    to_middle = np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1.0]])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    squeeze = np.diag([scale * np.cos(lean_x), scale * np.cos(lean_y), 1.0])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [np.sin(lean_x) / reach, np.sin(lean_y) / reach, 1]])
    x = width / 2 + random.normal(0, 0.10) * max(width - face, 0)
    y = height / 2 + random.normal(0, 0.10) * max(height - face, 0)
    x = np.clip(x, min(face / 2, width / 2), max(width - face / 2, width / 2))
    y = np.clip(y, min(face / 2, height / 2), max(height - face / 2, height / 2))
    back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    carry: NDArray[np.float64] = back @ tilt @ squeeze @ turn @ to_middle
    return carry


def _sampled(
    texture: Picture, carry: NDArray[np.float64], size: tuple[int, int], screen: bool, random: Random
) -> tuple[Picture, Picture, Picture, Picture]:
    """The medium on the camera's grid: colours, alpha, and the texel coordinates of every pixel."""
    width, height = size
    back = np.linalg.inv(carry)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    depth = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    u = ((back[0, 0] * x + back[0, 1] * y + back[0, 2]) / depth).astype(np.float32)
    v = ((back[1, 0] * x + back[1, 1] * y + back[1, 2]) / depth).astype(np.float32)
    if not screen and random.random() < 0.4:
        middle, radius = (
            texture.shape[1] / 2,
            texture.shape[1] * np.exp(random.uniform(np.log(0.55), np.log(3))),
        )
        u = (middle + radius * np.arcsin(np.clip((u - middle) / radius, -0.99, 0.99))).astype(np.float32)
    seen = cv2.remap(
        texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
    )
    return seen[..., :3], seen[..., 3], u, v


def _held(medium: Medium, inner: Box, random: Random) -> Picture:
    """The texture with fingers over its edges."""
    texture = medium.texture
    if random.random() < 0.45:
        return texture
    pad = int(0.12 * max(texture.shape[:2])) + 2
    texture = cv2.copyMakeBorder(texture, 0, pad, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    height, width = texture.shape[0] - pad, texture.shape[1]
    face = texture[
        int(max(medium.top + inner[1], 0)) : int(medium.top + inner[3]),
        int(max(medium.left + inner[0], 0)) : int(medium.left + inner[2]),
        :3,
    ]
    skin = np.median(face.reshape(-1, 3), axis=0) * np.exp(random.normal(0, 0.25)) + random.normal(0, 12, 3)
    for _ in range(int(random.integers(1, 6))):
        side = int(random.integers(0, 3))
        x, y = (
            (0, random.uniform(0.3, 1) * height),
            (width, random.uniform(0.3, 1) * height),
            (random.uniform(0, 1) * width, height),
        )[side]
        long, thick = random.uniform(0.05, 0.16) * height, random.uniform(0.02, 0.06) * height
        mask = np.zeros(texture.shape[:2], np.float32)
        cv2.ellipse(
            mask,
            (int(x), int(y)),
            (int(long) + 1, int(thick) + 1),
            random.uniform(-40, 40) + (90 if side == 2 else 0),
            0,
            360,
            1.0,
            -1,
        )
        shade = blur(mask, thick / 3 + 0.5)
        colour = skin * random.uniform(0.7, 1.1) * (0.5 + 0.5 * shade[..., None])
        texture[..., :3] = texture[..., :3] * (1 - mask[..., None]) + colour * mask[..., None]
        texture[..., 3] = np.maximum(texture[..., 3], mask)
    return np.asarray(texture, np.float32)


def _carried(medium: Medium, inner: Box, carry: NDArray[np.float64]) -> Box:
    """Where the face box lies in the camera's picture."""
    left, top, right, bottom = (
        inner[0] + medium.left,
        inner[1] + medium.top,
        inner[2] + medium.left,
        inner[3] + medium.top,
    )
    x, y = (left + right) / 2, (top + bottom) / 2
    ends = np.array([(left, y, 1), (right, y, 1), (x, top, 1), (x, bottom, 1)]) @ carry.T
    ends = ends[:, :2] / ends[:, 2:]
    a, b = ends.min(axis=0)
    c, d = ends.max(axis=0)
    return float(a), float(b), float(c), float(d)


def _finish(picture: Picture, box: Box, live: bool, species: str, random: Random) -> Sample:
    """To bytes, and the box as inexact as a tracker's."""
    height, width = picture.shape[:2]
    side = max(box[2] - box[0], box[3] - box[1])
    shift, grow = random.normal(0, 0.03, 2) * side, np.exp(random.normal(0, 0.05))
    x, y = (box[0] + box[2]) / 2 + shift[0], (box[1] + box[3]) / 2 + shift[1]
    x, y = float(np.clip(x, 1, width - 2)), float(np.clip(y, 1, height - 2))
    half_w, half_h = (box[2] - box[0]) / 2 * grow, (box[3] - box[1]) / 2 * grow
    where = (x - half_w, y - half_h, x + half_w, y + half_h)
    return Sample(np.clip(picture, 0, 255).astype(np.uint8), where, live, species)


def as_filmed(sight: Sight, random: Random) -> Sample:
    """A real frame of either class through a mild camera model, label unchanged."""
    picture = sight.frame.astype(np.float32)
    if random.random() < 0.3:
        picture = coarser(picture, random.uniform(0.6, 1.0))
    species = "bonafide" if sight.row.bonafide else sight.row.attack
    return _finish(filmed(picture, random, 0.5), sight.box, sight.row.bonafide, species, random)
