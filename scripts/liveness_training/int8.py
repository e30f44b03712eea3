"""Makes the int8 file: convolutions with ranges from training crops, written by model_factory's writer
without TensorFlow."""

from __future__ import annotations

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model_factory.graph import Graph, Step
from model_factory.int8_writer import Quantization, write_int8

from .hints import PIXELS
from .network import Liveness, padded

Layer = tuple[Tensor, Tensor, int]

HEADROOM = 1.15
"""The logits' range over the widest one of the calibration crops."""

TOP = 0.99995
"""Share of the activations that the ranges cover; the few beyond saturate."""

VALID = 2
"""The last layers, `gather` and the head, have no padding."""

DESCRIPTION = "vouchbox liveness"


def activations(layers: list[Layer], pictures: Tensor) -> list[Tensor]:
    """What every layer gives for [n, 3, p, p]; the last are the logits [n, 2, 1, 1]."""
    given, x = [], pictures
    for number, (weight, bias, stride) in enumerate(layers):
        x = padded(x, stride) if number < len(layers) - VALID else x
        x = functional.conv2d(x, weight, bias, stride)
        x = torch.relu(x) if number < len(layers) - 1 else x
        given.append(x)
    return given


@torch.no_grad()
def ranges(layers: list[Layer], batches: list[Tensor]) -> list[tuple[float, float]]:
    """Lowest and highest value of each layer on calibration crops."""
    highest = [0.0] * len(layers)
    lowest = [0.0] * len(layers)
    for batch in batches:
        for number, x in enumerate(activations(layers, batch)):
            last = number == len(layers) - 1
            flat = x.flatten()
            top = flat.max() if last else flat.kthvalue(max(1, int(TOP * flat.numel()))).values
            highest[number] = max(highest[number], float(top))
            lowest[number] = min(lowest[number], float(flat.min()) if last else 0.0)
    reach = HEADROOM * max(highest[-1], -lowest[-1])
    lowest[-1], highest[-1] = -reach, reach
    return list(zip(lowest, highest, strict=True))


def int8_file(network: Liveness, batches: list[Tensor]) -> bytes:
    """The file for a trained network; `batches` of training crops [n, 3, p, p] set the ranges."""
    layers = network.folded()
    limits = ranges(layers, batches)
    steps: list[Step] = []
    constants: dict[int, NDArray[np.float32]] = {}
    shapes: dict[int, tuple[int, ...]] = {0: (1, PIXELS, PIXELS, 3)}
    schemes = {0: Quantization(1.0 / 255.0, -128)}
    side, source = PIXELS, 0
    for number, (weight, bias, stride) in enumerate(layers):
        w, b, out = 100 + 2 * number, 101 + 2 * number, number + 1
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        same = number < len(layers) - VALID
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        last = number == len(layers) - 1
        activation = schema.ActivationFunctionType
        options.fusedActivationFunction = activation.NONE if last else activation.RELU
        side = -(-side // stride) if same else side - weight.shape[-1] + 1
        constants[w] = weight.permute(0, 2, 3, 1).contiguous().numpy()
        constants[b] = bias.numpy()
        shapes[out] = (1, side, side, len(bias))
        schemes[out] = Quantization.of_range(*limits[number])
        steps.append(Step("CONV_2D", (source, w, b), (out,), options))
        source = out
    graph = Graph(steps, constants, shapes, {}, (0,), (source,))
    return write_int8(graph, schemes, {0: "crop", source: "logits"}, DESCRIPTION)
