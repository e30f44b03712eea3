"""Writes a graph as a fully int8 TFLite file with quantization ranges that the caller chose, which
TFLiteConverter cannot be told. It decides nothing about ranges, and writes operator versions that
tflite-runtime 2.14 still reads.

Scheme: activations int8 with one scale and zero point; CONV_2D and DEPTHWISE_CONV_2D weights int8, symmetric,
one scale for each output channel; biases int32 (TFLite 8-bit quantization specification).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .graph import Array, Graph, Step

SAME_SCALE = frozenset({"PAD", "MAX_POOL_2D", "RESHAPE"})
"""Operators whose output keeps the quantization of their input."""

_RELU = schema.ActivationFunctionType.RELU
_OPTIONS = schema.BuiltinOptions
_WEIGHT_LEVELS = 127

_WRITTEN_AS: dict[str, tuple[int, int, int]] = {
    "ADD": (schema.BuiltinOperator.ADD, 2, _OPTIONS.AddOptions),
    "CONCATENATION": (schema.BuiltinOperator.CONCATENATION, 2, _OPTIONS.ConcatenationOptions),
    "CONV_2D": (schema.BuiltinOperator.CONV_2D, 3, _OPTIONS.Conv2DOptions),
    "DEPTHWISE_CONV_2D": (schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3, _OPTIONS.DepthwiseConv2DOptions),
    "MAX_POOL_2D": (schema.BuiltinOperator.MAX_POOL_2D, 2, _OPTIONS.Pool2DOptions),
    "PAD": (schema.BuiltinOperator.PAD, 2, _OPTIONS.PadOptions),
    "RESHAPE": (schema.BuiltinOperator.RESHAPE, 1, _OPTIONS.ReshapeOptions),
}


@dataclass(frozen=True)
class Quantization:
    """real = scale * (int8 - zero_point)."""

    scale: float
    zero_point: int

    @classmethod
    def of_range(cls, low: float, high: float) -> Quantization:
        """The finest quantization that covers low..high and represents zero exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, 1e-6) / 255
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def fuse_relu(graph: Graph) -> Graph:
    """The same graph with every RELU merged into the ADD or convolution before it, so that int8 spends no
    level on values the RELU removes."""
    fused: dict[int, Step] = {}
    for step in graph.steps:
        before = graph.writer(step.inputs[0])
        if (
            step.kind == "RELU"
            and before is not None
            and before.kind in {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D"}
            and len(graph.readers(before.out)) == 1
        ):
            fused[before.out] = step
    steps = []
    for step in graph.steps:
        if step.out in fused:
            options = copy.copy(step.options)
            options.fusedActivationFunction = _RELU
            steps.append(replace(step, outputs=fused[step.out].outputs, options=options))
        elif step.inputs[0] not in fused:
            steps.append(step)
    return Graph(steps, dict(graph.constants), graph.shapes, graph.names, graph.inputs, graph.outputs)


def rounded_weights(graph: Graph) -> dict[int, Array]:
    """Every convolution weight as int8 will see it, in float: the simulation of the written file."""
    rounded = {}
    for step in graph.steps:
        if step.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            levels, scales = _weight_levels(graph.constants[step.inputs[1]], _channel_axis(step))
            shape = [-1 if axis == _channel_axis(step) else 1 for axis in range(4)]
            rounded[step.inputs[1]] = levels.astype(np.float32) * scales.reshape(shape)
    return rounded


def write_int8(
    graph: Graph, quantizations: Mapping[int, Quantization], names: Mapping[int, str], description: str
) -> bytes:
    """The int8 file, inputs and outputs int8 as well. `quantizations` holds the input and every tensor that
    is not written by an operator of SAME_SCALE; `names` renames tensors (inputs, outputs).
    Raises KeyError for a tensor without a quantization or an operator that is not written."""
    writer = _Writer(description)
    made: dict[int, int] = {}
    scheme: dict[int, Quantization] = {}

    def activation(tensor: int, quantization: Quantization) -> int:
        scheme[tensor] = quantization
        name = names.get(tensor, f"activation_{len(made)}")
        made[tensor] = writer.tensor(
            name,
            graph.shapes[tensor],
            schema.TensorType.INT8,
            scale=np.array([quantization.scale]),
            zero_point=quantization.zero_point,
        )
        return made[tensor]

    for tensor in graph.inputs:
        activation(tensor, quantizations[tensor])
    for number, step in enumerate(graph.steps):
        source = step.inputs[0]
        keeps = step.kind in SAME_SCALE
        out = activation(step.out, scheme[source] if keeps else quantizations[step.out])
        if step.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            inputs = [
                made[source],
                *writer.weights(graph, step, scheme[source], f"{step.kind.lower()}_{number}"),
            ]
        elif step.kind == "PAD":
            inputs = [made[source], writer.table(f"padding_{number}", graph.constants[step.inputs[1]])]
        elif step.kind == "RESHAPE":
            inputs = [made[source], writer.table(f"shape_{number}", np.array(graph.shapes[step.out]))]
        else:
            inputs = [made[i] for i in step.inputs]
        writer.operator(step, inputs, out)
    return writer.finish([made[i] for i in graph.inputs], [made[i] for i in graph.outputs])


def _channel_axis(step: Step) -> int:
    return 3 if step.kind == "DEPTHWISE_CONV_2D" else 0


def _weight_levels(weights: Array, axis: int) -> tuple[Array, Array]:
    others = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.maximum(np.abs(weights).max(axis=others, keepdims=True), 1e-9)
    scales = (largest / _WEIGHT_LEVELS).astype(np.float32)
    levels = np.clip(np.round(weights / scales), -_WEIGHT_LEVELS, _WEIGHT_LEVELS).astype(np.int8)
    return levels, scales.ravel()


class _Writer:
    """Collects tensors, buffers and operators in the order in which they are named."""

    def __init__(self, description: str) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.name = "main"
        self._graph.tensors = []
        self._graph.operators = []
        self._codes: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Any,
        dtype: int,
        data: Array | None = None,
        scale: Array | None = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = dtype
        tensor.hasRank = True
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scale.astype(np.float32)
            tensor.quantization.zeroPoint = np.full(scale.shape, zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def table(self, name: str, values: Array) -> int:
        return self.tensor(name, values.shape, schema.TensorType.INT32, values.astype(np.int32))

    def weights(self, graph: Graph, step: Step, source: Quantization, name: str) -> tuple[int, int]:
        axis = _channel_axis(step)
        weights, bias = graph.constants[step.inputs[1]], graph.constants[step.inputs[2]]
        levels, scales = _weight_levels(weights, axis)
        bias_scales = scales.astype(np.float64) * source.scale
        limit = np.iinfo(np.int32)
        bias_levels = np.clip(np.round(bias / bias_scales), limit.min + 1, limit.max).astype(np.int32)
        return (
            self.tensor(f"{name}_weights", weights.shape, schema.TensorType.INT8, levels, scales, axis=axis),
            self.tensor(f"{name}_bias", bias.shape, schema.TensorType.INT32, bias_levels, bias_scales),
        )

    def operator(self, step: Step, inputs: list[int], output: int) -> None:
        code, version, options_type = _WRITTEN_AS[step.kind]
        if step.kind not in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = entry.deprecatedBuiltinCode = code
            entry.version = version
            self._codes[step.kind] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[step.kind]
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        operator.builtinOptionsType = options_type
        operator.builtinOptions = schema.PadOptionsT() if step.kind == "PAD" else step.options
        self._graph.operators.append(operator)

    def finish(self, inputs: list[int], outputs: list[int]) -> bytes:
        self._graph.inputs = np.array(inputs, np.int32)
        self._graph.outputs = np.array(outputs, np.int32)
        self._model.subgraphs = [self._graph]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
