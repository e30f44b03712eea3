"""Finds the one face of a picture with the float source models, and where the landmark and the embedding
crop lie, so that calibration sees what the box will see. The vision room has its own code for this;
calibration keeps apart from it on purpose, for a built model may not change because the tracker did.
Measurements run the box's code. Pictures are RGB uint8, points are (x, y) in pixels.

Sources: MediaPipe's face_detection_short_range and face_landmark_front graphs (Apache-2.0) for the anchors,
the 1.5 times larger square and the rotation; dlib's get_face_chip_details for the chip's geometry.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

DETECTOR_PIXELS = 128
LANDMARK_PIXELS = 192
CHIP_PIXELS = 150
LANDMARK_POINTS = 468
_CROP_SCALE = 1.5
_LEFTMOST_EYE, _RIGHTMOST_EYE = 33, 263

CHIP_PADDING = 0.25
CHIP_POINTS = (263, 362, 33, 133, 2)
CHIP_TEMPLATE = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750820789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)


class Detection(NamedTuple):
    """Box corners (left, top, right, bottom), the two eyes and the score 0..1 of one face."""

    box: Floats
    eyes: Floats
    score: float


class Mesh(NamedTuple):
    """Points [468, 3] in pixels of the picture (z in the same scale) and presence 0..1."""

    points: Floats
    presence: float


@dataclass(frozen=True)
class Network:
    """One TFLite file behind a function of float32 arrays; hides whether it is float or int8."""

    interpreter: Any

    @classmethod
    def load(cls, model: Path | bytes) -> "Network":
        """Load a file or its bytes with LiteRT on one thread."""
        where = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        interpreter = Interpreter(num_threads=1, **where)
        interpreter.allocate_tensors()
        return cls(interpreter)

    def __call__(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs for one input without batch axis, each flattened, in real (dequantized) numbers."""
        wanted = self.interpreter.get_input_details()[0]
        if wanted["dtype"] == np.int8:
            scale, zero = wanted["quantization"]
            x = np.clip(np.round(x / scale + zero), -128, 127)
        self.interpreter.set_tensor(wanted["index"], x[None].astype(wanted["dtype"]))
        self.interpreter.invoke()
        return [self._real(detail) for detail in self.interpreter.get_output_details()]

    def _real(self, detail: dict[str, Any]) -> NDArray[np.float32]:
        raw: NDArray[np.float32] = self.interpreter.get_tensor(detail["index"]).ravel().astype(np.float32)
        scale, zero = detail["quantization"]
        return (raw - zero) * np.float32(scale) if detail["dtype"] == np.int8 else raw


def detect(network: Network, image: Image, threshold: float = 0.3) -> Detection | None:
    """The largest face found by the float short-range detector; None where there is none."""
    height, width = image.shape[:2]
    scale = DETECTOR_PIXELS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (DETECTOR_PIXELS - size[0]) // 2, (DETECTOR_PIXELS - size[1]) // 2
    canvas = np.zeros((DETECTOR_PIXELS, DETECTOR_PIXELS, 3), np.uint8)
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + size[1], left : left + size[0]] = shrunk
    outputs = network((canvas / 127.5 - 1).astype(np.float32))
    regressors = next(o for o in outputs if o.size == 896 * 16).reshape(896, 16).astype(np.float64)
    logits = next(o for o in outputs if o.size == 896).astype(np.float64)
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    sure = scores >= threshold
    if not sure.any():
        return None
    found, scores = regressors[sure], scores[sure]
    centres = found[:, :2] + _anchors()[sure]
    keypoints = found[:, 4:8].reshape(-1, 2, 2) + _anchors()[sure][:, None]
    boxes = np.hstack([centres - found[:, 2:4] / 2, centres + found[:, 2:4] / 2])
    best = int(np.argmax(found[:, 2] * (scores >= 0.5 * scores.max())))
    group = _overlap(boxes[best], boxes) > 0.3
    weights = scores[group] / scores[group].sum()
    shift = np.array([left, top])
    box = ((weights @ boxes[group]).reshape(2, 2) - shift) / scale
    eyes = (np.tensordot(weights, keypoints[group], 1) - shift) / scale
    return Detection(box.ravel(), eyes, float(scores[group].max()))


def _anchors() -> Floats:
    """Anchor centres in pixels of the 128x128 input: 2 per cell of a 16x16 grid, 6 per cell of 8x8."""
    grids = []
    for cells, repeats in ((16, 2), (8, 6)):
        middle = (np.arange(cells) + 0.5) * DETECTOR_PIXELS / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        grids.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), repeats, axis=0))
    return np.vstack(grids)


def _overlap(box: Floats, others: Floats) -> Floats:
    corner = np.maximum(box[:2], others[:, :2])
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - corner, 0, None)
    shared = sides.prod(axis=1)
    area = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / (area + (box[2:] - box[:2]).prod() - shared + 1e-9))


def landmark_region(centre: Floats, side: float, eyes: Floats) -> Floats:
    """The 2x3 map from the 192x192 crop to the picture: a square of 1.5 times `side` around `centre`,
    turned so that the line from `eyes[0]` to `eyes[1]` (left to right in the picture) is level."""
    dx, dy = eyes[1] - eyes[0]
    step = side * _CROP_SCALE / LANDMARK_PIXELS / np.hypot(dx, dy)
    turn = np.array([[dx, -dy], [dy, dx]]) * step
    return np.column_stack([turn, centre - turn @ np.full(2, LANDMARK_PIXELS / 2)])


def region_of_detection(found: Detection) -> Floats:
    """The landmark crop around a detected box."""
    left, top, right, bottom = found.box
    return landmark_region(
        np.array([left + right, top + bottom]) / 2, max(right - left, bottom - top), found.eyes
    )


def region_of_mesh(points: Floats) -> Floats:
    """The landmark crop around landmarks of the frame before: their box in the turned face's own axes."""
    eyes = points[[_LEFTMOST_EYE, _RIGHTMOST_EYE], :2]
    along = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    axes = np.array([along, [-along[1], along[0]]])
    turned = points[:, :2] @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    return landmark_region((low + high) / 2 @ axes, float((high - low).max()), eyes)


def landmarks(network: Network, image: Image, region: Floats) -> Mesh:
    """Run the float landmark network on one region."""
    crop = cv2.warpAffine(
        image,
        region,
        (LANDMARK_PIXELS, LANDMARK_PIXELS),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    outputs = network((crop / 255).astype(np.float32))
    raw = next(o for o in outputs if o.size == 3 * LANDMARK_POINTS)
    logit = float(next(o for o in outputs if o.size == 1)[0])
    local = raw.reshape(LANDMARK_POINTS, 3).astype(np.float64)
    xy = local[:, :2] @ region[:, :2].T + region[:, 2]
    depth = local[:, 2:] * np.hypot(*region[:, 0])
    return Mesh(np.hstack([xy, depth]), float(1 / (1 + np.exp(-logit))))


@dataclass(frozen=True)
class Decode:
    """How an int8 file's coordinates are read: pixels of the crop = output * span + low, per value [1404]."""

    low: NDArray[np.float32]
    span: NDArray[np.float32]


def similarity(source: Floats, target: Floats) -> Floats:
    """The 2x3 rotation, scale and shift that best maps points to points (Umeyama 1991, least squares)."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    # In the plane the best rotation and scale are one complex number.
    energy = (a**2).sum()
    real, imaginary = (a * b).sum() / energy, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / energy
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def chip_target() -> Floats:
    """Where CHIP_POINTS lie in the 150x150 chip, in pixels."""
    return (np.array(CHIP_TEMPLATE) + CHIP_PADDING) / (1 + 2 * CHIP_PADDING) * CHIP_PIXELS


def chip_map(points: Floats) -> Floats:
    """The 2x3 map from the picture to the chip, from the landmarks [468, 3] of a face."""
    return similarity(points[list(CHIP_POINTS), :2], chip_target())


def shrunk_for(image: Image, to_crop: Floats) -> tuple[Image, Floats]:
    """The picture, first averaged down by a whole factor where the crop is far smaller than the face (a
    sampled crop would alias), and the 2x3 map that fits it."""
    factor = int(1 / np.hypot(*to_crop[:, 0]))
    if factor < 2:
        return image, to_crop
    height, width = image.shape[0] // factor * factor, image.shape[1] // factor * factor
    if min(height, width) == 0:
        return image, to_crop
    size = (width // factor, height // factor)
    small = cv2.resize(image[:height, :width], size, interpolation=cv2.INTER_AREA)
    offset = (factor - 1) / 2
    return np.asarray(small, np.uint8), to_crop @ np.array(
        [[factor, 0, offset], [0, factor, offset], [0, 0, 1]]
    )
