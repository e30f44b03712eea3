"""What is known of one frame after looking at it: numbers only, the input of every liveness test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Landmarks = NDArray[np.float32]
"""468 x 3: x and y in pixels of the whole frame, z in the same scale (smaller is nearer the camera)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A face's rectangle in pixels of the frame; may reach over its edges."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees. Yaw > 0: turned to the person's own left. Pitch > 0: looking up.
    Roll > 0: tilted towards the person's own left shoulder."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Face:
    """One tracked face: box, landmarks, presence 0..1, pose, eye aspect ratios (person's own left and
    right, about 0.25 when open), distance between the eye centres in pixels."""

    box: Box
    landmarks: Landmarks
    presence: float
    pose: Pose
    left_eye: float
    right_eye: float
    inter_eye_px: float


@dataclass(frozen=True, slots=True)
class PassiveScores:
    """What the liveness network said of one frame: a calibrated logit for the close and for the wide crop.
    Higher is more bona fide; the frame's own logit is their sum (see passive.py)."""

    close: float
    context: float


@dataclass(frozen=True, slots=True)
class Parallax:
    """What a turned view says of relief (parallax.py): `claimed` is the sine of the turn that the landmarks
    claim by parallax, `confirmed` the share of it that the pixels confirm (about 1 on a head, 0 on a sheet),
    `points` how many points the pixels found again."""

    claimed: float
    confirmed: float
    points: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame. `seconds` counts from the first frame, `faces` how many faces are in view (as of the
    last full detection). `fingerprint` is a hash of the coarse picture, equal only for equal frames;
    `change` the mean absolute luma difference (0..255) to the frame before on a 64x48 grid, 0 for the
    first; `luma` the mean luma 0..255; `tracked` is False where the face had to be found anew; `passive` is
    None where the liveness network did not look: it looks at every few frames with a face; `parallax` is None
    where the face rests or could not be compared."""

    index: int
    seconds: float
    dropped: int
    faces: int
    face: Face | None
    tracked: bool
    fingerprint: int
    change: float
    luma: float
    passive: PassiveScores | None = None
    parallax: Parallax | None = None
