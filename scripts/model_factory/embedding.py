"""Builds models/embedding.tflite: dlib's face recognition ResNet as a static int8 network.

The network is written again in TensorFlow from the weights alone (shapes and wiring follow dlib's published
`anet_type`). Input scaling is folded into the first convolution, and averages become depthwise convolutions,
which XNNPACK runs in int8. Ranges are those seen on calibration chips, with headroom: in the last stages
single channels stand for traits of a person, so a range seen on few people clips others. Without headroom it
was the embeddings of East Asian and of Black persons that suffered, and no mean figure showed it. Only
public-domain portraits calibrate; LFW has shown how much headroom is needed, and gave no other number.

Source: Davis King, "High quality face recognition with deep metric learning" (2017); dlib-models, CC0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from numpy.typing import NDArray

from .dlib_weights import CHIP_PIXELS, EMBEDDING_VALUES, Convolution, EmbeddingWeights
from .flatbuffer import Graph, read_graph
from .int8_writer import SAME_SCALE, Quantization, write_int8
from .range_search import Ranges, observed_ranges

Chips = NDArray[np.uint8]

_INPUT_SCALE = 256.0
_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Per stage: channels, residual blocks, whether its first block halves the picture."""

_HEADROOM = 1.1
_HEADROOM_PERSONAL = 3.0
_PERSONAL_CHANNELS = 256
"""From this many channels on a tensor gets the greater headroom."""

_HEADROOM_OUTPUT = 1.5

_PIXELS = Quantization(1.0, -128)


class EmbeddingNetwork(tf.Module):  # type: ignore[misc]
    """Chips [n, 150, 150, 3], RGB 0..255 as float32, to embeddings [n, 128] (not normalised)."""

    def __init__(self, weights: EmbeddingWeights) -> None:
        super().__init__()
        stem, *blocks = weights.convolutions
        kernel = stem.kernel / _INPUT_SCALE
        shift = (kernel * weights.mean_rgb[:, None]).sum(axis=(0, 1, 2))
        # Exact because the first convolution does not pad: no border pixel stands for a scaled zero.
        self._stem = Convolution(kernel, stem.bias - shift, stem.stride)
        self._blocks = tuple(zip(blocks[::2], blocks[1::2], strict=True))
        self._projection = Convolution(
            weights.projection[None, None], np.zeros(EMBEDDING_VALUES, np.float32), 1
        )

    def __call__(self, chips: Any) -> Any:
        """The embeddings; works eagerly and in a traced function."""
        x = tf.nn.max_pool2d(tf.nn.relu(_convolve(chips, self._stem)), 3, 2, "VALID")
        pairs = iter(self._blocks)
        for channels, count, halves in _STAGES:
            for k in range(count):
                first, second = next(pairs)
                y = _convolve(tf.nn.relu(_convolve(x, first)), second)
                x = _joined(y, x, channels) if halves and k == 0 else tf.nn.relu(y + x)
        return tf.reshape(_convolve(_average(x), self._projection), (-1, EMBEDDING_VALUES))


def _convolve(x: Any, layer: Convolution) -> Any:
    padding = "SAME" if layer.stride == 1 else "VALID"
    return tf.nn.bias_add(tf.nn.conv2d(x, layer.kernel, layer.stride, padding), layer.bias)


def _average(x: Any) -> Any:
    """The mean of each 2x2 square."""
    kernel = np.full((2, 2, int(x.shape[3]), 1), 0.25, np.float32)
    return tf.nn.depthwise_conv2d(x, kernel, [1, 2, 2, 1], "VALID")


def _joined(y: Any, x: Any, channels: int) -> Any:
    """The halving block's sum: the shortcut is an average, and the smaller side gets zeros appended,
    in rows, columns and channels, as dlib's add_prev does."""
    shortcut = _average(x)
    rows = int(shortcut.shape[1]) - int(y.shape[1])
    extra = channels - int(shortcut.shape[3])
    if rows:
        y = tf.pad(y, [[0, 0], [0, rows], [0, rows], [0, 0]])
    if extra:
        shortcut = tf.pad(shortcut, [[0, 0], [0, 0], [0, 0], [0, extra]])
    return tf.nn.relu(y + shortcut)


def embed(network: EmbeddingNetwork, chips: Chips, batch: int = 64) -> NDArray[np.float32]:
    """Float embeddings [n, 128] of uint8 chips: the reference that int8 is held against."""
    parts = [network(tf.constant(chips[k : k + batch], tf.float32)) for k in range(0, len(chips), batch)]
    return np.concatenate([part.numpy() for part in parts])


def build(weights: EmbeddingWeights, calibration: Chips) -> bytes:
    """The int8 TFLite file: int8 input [1, 150, 150, 3] (pixel - 128), int8 output [1, 128]."""
    graph = read_graph(float_file(weights))
    ranges = _with_headroom(graph, observed_ranges(graph, calibration.astype(np.float32)))
    schemes = {tensor: Quantization.of_range(*span) for tensor, span in ranges.items()}
    schemes[graph.inputs[0]] = _PIXELS
    names = {graph.inputs[0]: "chip", graph.outputs[0]: "embedding"}
    return write_int8(graph, schemes, names, "vouchbox face embedding, int8")


def float_file(weights: EmbeddingWeights) -> bytes:
    """The network as a float32 TFLite file, input [1, 150, 150, 3] of pixels 0..255."""
    network = EmbeddingNetwork(weights)
    signature = [tf.TensorSpec((1, CHIP_PIXELS, CHIP_PIXELS, 3), tf.float32, name="chip")]
    traced = tf.function(network.__call__, input_signature=signature).get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([traced], network).convert())


def _with_headroom(graph: Graph, seen: Ranges) -> Ranges:
    # The projection's result is reshaped into the output and shares its range.
    outputs = {s.inputs[0] for s in graph.steps if s.out in graph.outputs and s.kind in SAME_SCALE}
    outputs |= set(graph.outputs)
    roomy = {}
    for tensor, (low, high) in seen.items():
        factor = _HEADROOM_PERSONAL if graph.shapes[tensor][-1] >= _PERSONAL_CHANNELS else _HEADROOM
        factor = _HEADROOM_OUTPUT if tensor in outputs else factor
        roomy[tensor] = (low * factor, high * factor)
    return roomy
