"""Builds models/landmarks.tflite: MediaPipe's 468-point face mesh as a static int8 network.

Two things make plain quantization good enough. PReLU is rewritten as additions and ReLU (see flatbuffer.py),
which every int8 runtime runs fast. And the 1404 coordinates, which need very different ranges, are mapped per
value to 0..1 inside the last convolution, so that one int8 scale serves them all; the entry's `decode`
undoes it.

Source: Y. Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs (2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .face_chips import LANDMARK_PIXELS, LANDMARK_POINTS, Decode
from .flatbuffer import Graph, concrete_function, execute, read_graph

Crops = NDArray[np.uint8]

_VALUES = 3 * LANDMARK_POINTS
_MARGIN = 0.25
"""Room beyond the range seen in calibration, as a part of it, on each side."""

_LEAST_MARGIN_PX = 6.0


@dataclass(frozen=True)
class BuiltLandmarks:
    """The int8 file, and what its coordinates mean: pixels of the crop = output * span + low."""

    file: bytes
    decode: Decode


def build(source: bytes, calibration: Crops) -> BuiltLandmarks:
    """Build from the float file (sources.LANDMARKS) and crops [n, 192, 192, 3], uint8 RGB."""
    graph = read_graph(source)
    decode = _needed_ranges(graph, calibration)
    _normalise_head(graph, decode)

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        # One black and one white pixel pin the input's range to exactly 0..1.
        first = calibration[0].copy()
        first[0, :2] = [[0] * 3, [255] * 3]
        for crop in (first, *calibration[1:]):
            yield [crop[None].astype(np.float32) / 255]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete_function(graph)], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return BuiltLandmarks(bytes(converter.convert()), decode)


def _needed_ranges(graph: Graph, crops: Crops) -> Decode:
    """What each coordinate needs, from the float outputs on calibration crops."""
    values = np.concatenate([_coordinates(graph, crops[k : k + 32]) for k in range(0, len(crops), 32)])
    low, high = values.min(axis=0), values.max(axis=0)
    margin = np.maximum(_MARGIN * (high - low), _LEAST_MARGIN_PX)
    # Rounded as the manifest will state them, before they are baked in.
    low, span = np.round(low - margin, 2), np.round(high - low + 2 * margin, 2)
    return Decode(low.astype(np.float32), span.astype(np.float32))


def _coordinates(graph: Graph, crops: Crops) -> NDArray[np.float32]:
    outputs: list[Any] = execute(graph, tf.constant(crops.astype(np.float32) / 255))
    found: NDArray[np.float32] = next(o for o in outputs if int(np.prod(o.shape[1:])) == _VALUES).numpy()
    return found.reshape(len(crops), _VALUES)


def _normalise_head(graph: Graph, decode: Decode) -> None:
    """Fold the map to 0..1 into the convolution that ends in the coordinates."""
    heads = [
        s for s in graph.steps if s.kind == "CONV_2D" and graph.constants[s.inputs[1]].shape[0] == _VALUES
    ]
    if len(heads) != 1 or graph.shapes[graph.inputs[0]][1:3] != (LANDMARK_PIXELS, LANDMARK_PIXELS):
        raise ValueError("the landmark source is not the 468-point mesh on 192 pixels")
    kernel, bias = heads[0].inputs[1:3]
    scaled = graph.constants[kernel] / decode.span[:, None, None, None]
    graph.constants[kernel] = scaled.astype(np.float32)
    graph.constants[bias] = ((graph.constants[bias] - decode.low) / decode.span).astype(np.float32)
