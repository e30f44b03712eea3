"""A cut-out mask: a flat print of a face, worn before another person's head, with holes for the eyes.

The eyes in the holes are alive and blink; the face around them is a plane that turns with the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import FACE_OVAL, Figure
from vouchbox.simulator.subject.motion import Motion
from vouchbox.simulator.subject.paper import PAPER_WHITE, printed
from vouchbox.simulator.subject.scene import put
from vouchbox.simulator.subject.warp import Floats, Sheet, Solid, lattice, project, solid

_EYE_CORNERS = ([33, 133], [362, 263])

HOLE = (0.64, 0.42)
"""Half width and half height of an eye hole, in widths of the eye."""

RIM_PX = 2.5
"""How much white paper the scissors left around the face."""


@dataclass(frozen=True)
class Mask:
    """The cut-out: RGBA over the wearer's own texture, the plane it lies in, and where that is solid."""

    texture: NDArray[np.uint8]
    sheet: Sheet
    solid: Solid


@dataclass(frozen=True)
class MaskedPerson:
    """Draws the wearer and the mask before the wearer's face; both turn together."""

    wearer: Figure
    mask: Mask
    motion: Motion
    room: Image
    centre: tuple[float, float]

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """The wearer sees the prompt through the holes."""
        self.motion.show(prompt, time_s)

    def draw(self, time_s: float) -> Image:
        """The picture at `time_s`, RGB, before the sensor."""
        posture = self.motion.posture(time_s)
        self.wearer.close_eyes(posture.lids)
        picture = self.room
        for worn in (self.wearer, self.mask):
            falls = project(worn.sheet, posture, self.wearer.eyes_px, self.centre)
            picture = put(worn.texture, worn.sheet, falls, worn.solid, picture)
        return picture


def mask(wearer: Figure, shown: Figure, seed: int) -> Mask:
    """The face of `shown`, cut out to fit before the eyes of `wearer`; both with the same `eyes_px`."""
    height, width = wearer.texture.shape[:2]
    place = _onto(shown.landmarks, wearer.landmarks)
    ink = printed(np.ascontiguousarray(shown.texture[..., :3]), seed)
    moved = np.asarray(cv2.warpAffine(ink, place, (width, height)), np.float32)
    oval = shown.landmarks[list(FACE_OVAL), :2] @ place[:, :2].T + place[:, 2]
    middle = oval.mean(0)
    inside = np.zeros((height, width), np.uint8)
    outline = np.round((middle + 1.05 * (oval - middle)) * 16).astype(np.int32)
    cv2.fillPoly(inside, [outline], (255,), cv2.LINE_AA, 4)
    for corners in _EYE_CORNERS:
        _cut(inside, wearer.landmarks[corners, :2])
    to_edge = np.asarray(cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    rim = np.clip(RIM_PX + 0.5 - to_edge, 0.0, 1.0)[..., None]
    rgb = moved * (1 - rim) + np.array(PAPER_WHITE, np.float32) * rim
    plane = _plane(wearer)
    return Mask(np.dstack([rgb.astype(np.uint8), inside]), plane, solid(inside, plane))


def _plane(wearer: Figure) -> Sheet:
    """A plane just before the wearer's face that turns about the wearer's neck."""
    height, width = wearer.texture.shape[:2]
    x, y = lattice((0.0, 0.0), (float(width), float(height)))
    depth = float(np.percentile(wearer.landmarks[:, 2], 8))
    camera = wearer.sheet.camera_px
    nearer = (camera + depth) / camera
    return Sheet(
        (0.0, 0.0),
        (x - np.float32(wearer.centre[0])) * np.float32(nearer),
        (y - np.float32(wearer.centre[1])) * np.float32(nearer),
        np.full_like(x, depth),
        np.ones_like(x),
        wearer.sheet.pivot,
        camera,
    )


def _onto(source: Floats, target: Floats) -> Floats:
    """The similarity that brings the eyes of `source` onto those of `target`, 2 x 3."""
    a, b = (np.array([points[pair, :2].mean(0) for pair in _EYE_CORNERS]) for points in (source, target))
    turn = complex(*(b[1] - b[0])) / complex(*(a[1] - a[0]))
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, b.mean(0) - linear @ a.mean(0)]).astype(np.float32)


def _cut(inside: NDArray[np.uint8], corners: Floats) -> None:
    """Take one eye hole out of `inside`, in place."""
    middle, wide = corners.mean(0), float(np.linalg.norm(corners[1] - corners[0]))
    y, x = np.mgrid[0 : inside.shape[0], 0 : inside.shape[1]].astype(np.float32)
    off = np.hypot((x - middle[0]) / (HOLE[0] * wide), (y - middle[1]) / (HOLE[1] * wide))
    paper = np.clip((off - 1.0) * 8.0, 0.0, 1.0)
    inside[...] = (inside * paper).astype(np.uint8)
