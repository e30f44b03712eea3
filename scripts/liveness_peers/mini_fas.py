"""MiniFAS of johnraivenolazo/face-antispoof-onnx (Apache-2.0), in float and in int8, by onnxruntime."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from liveness_peers.network import Network
from vouchbox.camera.source import Image
from vouchbox.vision.observation import Box

TIMES = 1.5
BONA_FIDE, ATTACK = 0, 1


class MiniFas(Network):
    """Two logits on a square of 1.5 times the box; what leaves the picture is mirrored."""

    note = "1.5 times the box, RGB, 128 px"

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.files = [file]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]
        self._side = int(self._input.shape[-1])

    def judge(self, picture: Image, box: Box) -> float | None:
        crop = cut(picture, box, self._side)
        if crop is None:
            return None
        values = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32) / np.float32(255.0)
        logits = self._session.run(None, {self._input.name: values})[0].reshape(-1)
        gap = min(max(float(logits[BONA_FIDE] - logits[ATTACK]), -60.0), 60.0)
        return 1.0 / (1.0 + math.exp(-gap))


def cut(picture: Image, box: Box, side: int) -> Image | None:
    """The square of TIMES the larger side of the box around its middle, mirrored where it leaves the picture,
    as `side` x `side`; None where it lies outside."""
    height, width = picture.shape[:2]
    square = int(max(box.right - box.left, box.bottom - box.top) * TIMES)
    left = int((box.left + box.right - square) / 2.0)
    top = int((box.top + box.bottom - square) / 2.0)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + square, width), min(top + square, height)
    if x1 <= x0 or y1 <= y0:
        return None
    over = (y0 - top, top + square - y1, x0 - left, left + square - x1)
    whole = cv2.copyMakeBorder(picture[y0:y1, x0:x1], *over, cv2.BORDER_REFLECT_101)
    how = cv2.INTER_AREA if square > side else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(whole, (side, side), interpolation=how), np.uint8)
