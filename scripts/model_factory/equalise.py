"""Gives the channels of an activation similar ranges without changing what the network computes, so that one
int8 scale serves them all. It only rescales: output channels of the layers that write a tensor, and the
matching input channels of the layers that read it (Nagel et al., Data-Free Quantization, 2019). Works across
residual additions as well: everything that is added shares one scale for each channel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .flatbuffer import Graph

_CARRIES_CHANNELS = frozenset({"ADD", "RELU", "MAX_POOL_2D", "PAD"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def equalise(graph: Graph, magnitudes: Mapping[int, NDArray[np.float32]]) -> None:
    """Rescale the weights of `graph` in place. `magnitudes` holds, for each tensor, the largest useful
    absolute value of each channel. Groups that reach a network input, an output or an operator that mixes
    channels are left alone. Exact in real numbers: every scale is positive, and ReLU commutes with it."""
    for group in _groups(graph):
        scales = _scales(graph, group, magnitudes)
        if scales is not None:
            _apply(graph, group, scales)


def _groups(graph: Graph) -> list[set[int]]:
    """Sets of tensors that must share their channel scales."""
    leader = {tensor: tensor for step in graph.steps for tensor in (*step.inputs, *step.outputs)}

    def find(tensor: int) -> int:
        while leader[tensor] != tensor:
            tensor = leader[tensor]
        return tensor

    for step in graph.steps:
        if step.kind in _CARRIES_CHANNELS:
            for tensor in step.inputs:
                if tensor not in graph.constants:
                    leader[find(tensor)] = find(step.out)
    groups: dict[int, set[int]] = {}
    for step in graph.steps:
        groups.setdefault(find(step.out), set()).add(step.out)
    return list(groups.values())


def _scales(
    graph: Graph, group: set[int], magnitudes: Mapping[int, NDArray[np.float32]]
) -> NDArray[np.float32] | None:
    writers = [graph.writer(tensor) for tensor in group]
    readers = [step for tensor in group for step in graph.readers(tensor)]
    inside = _CARRIES_CHANNELS | _CONVOLUTIONS
    if any(step is None or step.kind not in inside for step in (*writers, *readers)):
        return None
    if group & set(graph.outputs):
        return None
    channels = max(graph.shapes[tensor][-1] for tensor in group)
    seen = np.zeros(channels, np.float32)
    for tensor in group & magnitudes.keys():
        relative = magnitudes[tensor] / max(float(magnitudes[tensor].max()), 1e-6)
        seen[: len(relative)] = np.maximum(seen[: len(relative)], relative)
    weights = np.zeros(channels, np.float32)
    for step in readers:
        # A depthwise layer has a weight scale of its own for each channel: rescaling costs it nothing.
        if step.kind == "CONV_2D":
            kernel = graph.constants[step.inputs[1]]
            largest = np.abs(kernel / np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)).max(axis=(0, 1, 2))
            weights[: len(largest)] = np.maximum(weights[: len(largest)], largest)
    seen = np.maximum(seen, 1e-3)
    weights = np.maximum(weights, 1e-3) if weights.any() else seen * 0 + 1
    scales = np.sqrt(weights / seen)
    return np.asarray(np.clip(scales / np.median(scales), 0.05, 20), np.float32)


def _apply(graph: Graph, group: set[int], scales: NDArray[np.float32]) -> None:
    for step in graph.steps:
        if step.kind not in _CONVOLUTIONS:
            continue
        kernel, bias = step.inputs[1], step.inputs[2]
        if step.inputs[0] in group:
            own = scales[: graph.shapes[step.inputs[0]][-1]]
            graph.constants[kernel] = graph.constants[kernel] / own
        if step.out in group:
            own = scales[: graph.shapes[step.out][-1]]
            by_output = own if step.kind == "DEPTHWISE_CONV_2D" else own[:, None, None, None]
            graph.constants[kernel] = graph.constants[kernel] * by_output
            graph.constants[bias] = graph.constants[bias] * own
