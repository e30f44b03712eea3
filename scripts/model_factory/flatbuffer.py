"""Reads a float TFLite file into a plain graph and executes that graph with TensorFlow, so that a recipe
can look at every tensor, change weights, or convert it anew. It reads float32 files and float16 files whose
weights sit behind DEQUANTIZE; it never guesses: an operator it does not know is an error.

Layouts are those of TFLite: activations NHWC, CONV_2D weights (out, height, width, in), DEPTHWISE_CONV_2D
weights (1, height, width, channels), FULLY_CONNECTED weights (out, in), PAD tables (rank, 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from ai_edge_litert import schema_py_generated as schema

from .graph import Array, Graph, Step

Hook = Callable[["Step", Any], Any]

_NUMPY_TYPE: dict[int, Any] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
}
_OPERATOR = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_PADDING = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
_ACTIVATION: dict[int, Callable[[Any], Any]] = {
    schema.ActivationFunctionType.NONE: tf.identity,
    schema.ActivationFunctionType.RELU: tf.nn.relu,
    schema.ActivationFunctionType.RELU6: tf.nn.relu6,
}


def read_graph(data: bytes) -> Graph:
    """The first subgraph of a TFLite file. Raises ValueError for bytes that are no TFLite file."""
    if data[4:8] != b"TFL3":
        raise ValueError("not a TFLite flatbuffer")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    subgraph = model.subgraphs[0]
    shapes = {i: tuple(int(n) for n in _listed(t.shape)) for i, t in enumerate(subgraph.tensors)}
    constants: dict[int, Array] = {}
    for i, tensor in enumerate(subgraph.tensors):
        content = model.buffers[tensor.buffer].data
        if content is not None and len(content):
            values = np.frombuffer(bytes(content), _NUMPY_TYPE[tensor.type]).reshape(shapes[i])
            constants[i] = values.astype(np.float32) if values.dtype == np.float16 else values
    steps = []
    for op in subgraph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        kind = _OPERATOR[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, outputs = tuple(int(i) for i in op.inputs), tuple(int(i) for i in op.outputs)
        if kind == "DEQUANTIZE" and inputs[0] in constants:
            constants[outputs[0]] = constants[inputs[0]]
            continue
        steps.append(Step(kind, inputs, outputs, op.builtinOptions))
    return Graph(
        steps=steps,
        constants=constants,
        shapes=shapes,
        names={i: (t.name or b"").decode() for i, t in enumerate(subgraph.tensors)},
        inputs=tuple(int(i) for i in subgraph.inputs),
        outputs=tuple(int(i) for i in subgraph.outputs),
    )


def execute(
    graph: Graph, x: Any, hook: Hook | None = None, weights: Mapping[int, Array] | None = None
) -> list[Any]:
    """Run the graph on a batch `x` (N, height, width, channels), float32; returns its outputs in order.
    `hook(step, result)` sees every result and returns what goes on; `weights` replaces single constants.
    Works eagerly and inside tf.function. PRELU is computed as adds and RELUs (exactly equal), because those
    survive int8 conversion on every runtime. Raises NotImplementedError for an unknown operator."""
    constants = graph.constants if weights is None else {**graph.constants, **weights}
    values: dict[int, Any] = {graph.inputs[0]: x}

    def value(i: int) -> Any:
        return values[i] if i in values else tf.constant(constants[i])

    for step in graph.steps:
        compute = _COMPUTE.get(step.kind)
        if compute is None:
            raise NotImplementedError(f"operator {step.kind}")
        result = compute(step, [value(i) for i in step.inputs if i >= 0], step.options)
        values[step.out] = result if hook is None else hook(step, result)
    return [values[i] for i in graph.outputs]


def concrete_function(graph: Graph, head: Callable[[list[Any]], Sequence[Any]] | None = None) -> Any:
    """The graph as a TensorFlow concrete function of its own input shape, for TFLiteConverter. `head` may
    rework the list of outputs (for example an affine per channel). Outputs are named out0, out1, ..."""
    shape = graph.shapes[graph.inputs[0]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="input")])  # type: ignore[untyped-decorator]
    def call(x: Any) -> dict[str, Any]:
        outputs = execute(graph, x)
        return {f"out{k}": y for k, y in enumerate(head(outputs) if head else outputs)}

    return call.get_concrete_function()


def _listed(shape: Any) -> list[int]:
    return [] if shape is None else list(shape)


def _activated(y: Any, options: Any) -> Any:
    return _ACTIVATION[options.fusedActivationFunction](y)


def _biased(y: Any, args: list[Any]) -> Any:
    return tf.nn.bias_add(y, args[2]) if len(args) > 2 else y


def _conv(step: Step, args: list[Any], o: Any) -> Any:
    kernel = tf.transpose(args[1], (1, 2, 3, 0))
    y = tf.nn.conv2d(
        args[0],
        kernel,
        [o.strideH, o.strideW],
        _PADDING[o.padding],
        dilations=[o.dilationHFactor, o.dilationWFactor],
    )
    return _activated(_biased(y, args), o)


def _depthwise(step: Step, args: list[Any], o: Any) -> Any:
    _, height, width, channels = args[1].shape
    kernel = tf.reshape(args[1], (height, width, channels // o.depthMultiplier, o.depthMultiplier))
    strides = [1, o.strideH, o.strideW, 1]
    return _activated(_biased(tf.nn.depthwise_conv2d(args[0], kernel, strides, _PADDING[o.padding]), args), o)


def _dense(step: Step, args: list[Any], o: Any) -> Any:
    flat = tf.reshape(args[0], (-1, args[1].shape[1]))
    return _activated(_biased(tf.matmul(flat, args[1], transpose_b=True), args), o)


def _prelu(step: Step, args: list[Any], o: Any) -> Any:
    x, slope = args[0], np.asarray(tf.get_static_value(args[1]))
    y = x + tf.nn.relu(x * -np.maximum(1 - slope, 0))
    return y - tf.nn.relu(x * -np.maximum(slope - 1, 0)) if (slope > 1).any() else y


def _reshape(step: Step, args: list[Any], o: Any) -> Any:
    target = tf.get_static_value(args[1]) if len(args) > 1 else o.newShape
    sizes = [int(n) for n in target]
    if sizes[0] != 1:
        return tf.reshape(args[0], sizes)
    # A leading 1 is the batch of the file; recipes run larger ones, which a -1 further on would swallow.
    known = int(np.prod([n for n in sizes if n != -1]))
    rest = [n if n != -1 else int(np.prod(args[0].shape[1:])) // known for n in sizes[1:]]
    return tf.reshape(args[0], [-1, *rest])


def _pool(pool: Callable[..., Any]) -> Callable[[Step, list[Any], Any], Any]:
    def compute(step: Step, args: list[Any], o: Any) -> Any:
        y = pool(args[0], [o.filterHeight, o.filterWidth], [o.strideH, o.strideW], _PADDING[o.padding])
        return _activated(y, o)

    return compute


_COMPUTE: dict[str, Callable[[Step, list[Any], Any], Any]] = {
    "ADD": lambda step, args, o: _activated(args[0] + args[1], o),
    "SUB": lambda step, args, o: _activated(args[0] - args[1], o),
    "MUL": lambda step, args, o: _activated(args[0] * args[1], o),
    "AVERAGE_POOL_2D": _pool(tf.nn.avg_pool2d),
    "CONCATENATION": lambda step, args, o: tf.concat(args, o.axis),
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "LOGISTIC": lambda step, args, o: tf.sigmoid(args[0]),
    "MAX_POOL_2D": _pool(tf.nn.max_pool2d),
    "MEAN": lambda step, args, o: tf.reduce_mean(
        args[0], np.ravel(args[1]).tolist(), keepdims=bool(o.keepDims)
    ),
    "PAD": lambda step, args, o: tf.pad(args[0], args[1]),
    "PRELU": _prelu,
    "RELU": lambda step, args, o: tf.nn.relu(args[0]),
    "RESHAPE": _reshape,
    "SQUEEZE": lambda step, args, o: tf.squeeze(args[0], [int(d) for d in o.squeezeDims]),
}
