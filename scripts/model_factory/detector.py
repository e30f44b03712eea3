"""The recipe of the face detector: BlazeFace short range (Bazarevsky et al., 2019) as a fully int8 file.

Plain post-training quantization fails on it: activations and heads explode on background. So channels are
equalised first, the heads are mapped to the range that faces need (background saturates), and the other
ranges are searched against the float outputs. What the heads mean is written beside the file as `decode`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]
from ai_edge_litert.interpreter import Interpreter

from .calibration import detector_inputs
from .equalise import equalise
from .flatbuffer import Array, Graph, Step, execute, read_graph
from .int8_writer import Quantization, fuse_relu, write_int8
from .range_search import Ranges, Simulation, observed_ranges, search

INPUT_SIZE = 128
REGRESSORS = 16
"""Per anchor: box centre x, y, width, height, then six key points x, y, all in pixels of the input."""

_CALIBRATION_FACES = 120
_CALIBRATION_SEED = 20
_SWEEPS = 3
_HELD_OUT_FACES = 600
_HELD_OUT_SEED = 21
_FOUND_SHARE = 0.99
_SHIFT_STEP = 0.05
_LOWEST_LOGIT, _HIGHEST_LOGIT = -10.0, 6.0
_FOREGROUND_LOGIT = -4.0
_INPUT_RANGE = (-128 / 127, 1.0)
"""Makes the input int8 = round(127 * real): a scale of 1 / 127.5 would put every byte on a rounding tie."""
_START_LIMIT = 60.0


@dataclass(frozen=True)
class BuiltDetector:
    """The int8 file and how its outputs are read. Each output tensor is 0..1 in its own quantization, and
    real = output * span + low: for each of the 16 regressors, and for the logit of the score."""

    file: bytes
    decode: dict[str, Any]


def to_real(pictures: Array) -> Array:
    """RGB bytes 0..255 to -1..1, as the source expects them."""
    return pictures.astype(np.float32) / 127.5 - 1


def build_detector(source: bytes, report: Callable[[str], None] = print) -> BuiltDetector:
    """Build the file from the float source (see sources.DETECTOR). Takes a few minutes on two cores."""
    graph = fuse_relu(read_graph(source))
    x = to_real(detector_inputs(_CALIBRATION_FACES, _CALIBRATION_SEED, INPUT_SIZE))
    boxes, logits = _float_outputs(graph, x)
    equalise(graph, _channel_magnitudes(graph, x))
    low, high = _regressor_ranges(boxes, logits)
    heads = _map_heads(graph, low, high)

    widest = observed_ranges(graph, x)
    start = {t: (max(a, -_START_LIMIT), min(b, _START_LIMIT)) for t, (a, b) in widest.items()}
    start.update(dict.fromkeys(heads, (0.0, 1.0)))
    start[graph.inputs[0]] = _INPUT_RANGE

    def loss(outputs: list[Array]) -> float:
        got_boxes = outputs[0] * (high - low) + low
        got_logits = outputs[1] * (_HIGHEST_LOGIT - _LOWEST_LOGIT) + _LOWEST_LOGIT
        return detection_loss(got_boxes, got_logits, boxes, logits)

    fixed = frozenset({graph.inputs[0], *heads})
    ranges = search(Simulation(graph), x, start, widest, fixed, loss, _SWEEPS, report)
    return raised_to_find(_written(graph, ranges, low, high), source, report)


def raised_to_find(built: BuiltDetector, source: bytes, report: Callable[[str], None]) -> BuiltDetector:
    """The same file with its logits read a little higher: int8 noise is symmetric, so without this it would
    lose every other face that the float source finds only just. The shift is the smallest with which scenes
    that took no part in the search are found as often as _FOUND_SHARE of the float source's."""
    pictures = detector_inputs(_HELD_OUT_FACES, _HELD_OUT_SEED, INPUT_SIZE)
    true = _best_outputs(source, to_real(pictures))
    low, span = built.decode["logit-low"], built.decode["logit-span"]
    scale = Interpreter(model_content=built.file).get_input_details()[0]["quantization"][0]
    levels = np.clip(np.round(to_real(pictures) / scale), -128, 127).astype(np.int8)
    found = (_best_outputs(built.file, levels) + 128) / 255 * span + low
    shift = 0.0
    while (found[true > 0] + shift > 0).mean() < _FOUND_SHARE:
        shift += _SHIFT_STEP
    before, after = (found[true > 0] > 0).mean(), (found[true > 0] + shift > 0).mean()
    report(f"logits raised by {shift:.2f}: {after:.3f} instead of {before:.3f} of held-out faces found")
    return BuiltDetector(built.file, built.decode | {"logit-low": round(low + shift, 3)})


def detection_loss(boxes: Array, logits: Array, true_boxes: Array, true_logits: Array) -> float:
    """How far detections are from the float ones: geometry relative to the face's width, weighted by the
    float score; the score itself near and above the threshold; and background that begins to look like a
    face. Arrays (N, 896, 16) and (N, 896, 1)."""
    truth = _probability(true_logits)
    near = true_logits > -2
    weight = truth * near
    width = np.maximum(true_boxes[..., 2:3], 8)
    geometry = np.minimum(np.abs(boxes - true_boxes) / width, 1).mean(axis=-1, keepdims=True)
    wrong_score = (np.abs(_probability(logits) - truth) * near).sum() / weight.sum()
    false_alarm = np.maximum(logits + 2, 0)[~near].sum() / weight.sum()
    return float(30 * (weight * geometry).sum() / weight.sum() + 6 * wrong_score + 0.5 * false_alarm)


def _best_outputs(file: bytes, inputs: Array) -> Array:
    """The largest raw score of each picture, as LiteRT computes it."""
    interpreter = Interpreter(model_content=file)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    scores = next(o["index"] for o in interpreter.get_output_details() if o["shape"][-1] == 1)
    best = []
    for picture in inputs:
        interpreter.set_tensor(entry, picture[None])
        interpreter.invoke()
        best.append(float(interpreter.get_tensor(scores).max()))
    return np.array(best)


def _probability(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


def _float_outputs(graph: Graph, x: Array) -> tuple[Array, Array]:
    parts = [execute(graph, tf.constant(x[k : k + 48])) for k in range(0, len(x), 48)]
    return np.concatenate([p[0].numpy() for p in parts]), np.concatenate([p[1].numpy() for p in parts])


def _channel_magnitudes(graph: Graph, x: Array) -> dict[int, Array]:
    """The 99.9th percentile of each channel's absolute value: the very largest are background."""
    magnitudes: dict[int, Array] = {}

    def hook(step: Step, y: Any) -> Any:
        if len(y.shape) == 4:
            magnitudes[step.out] = np.percentile(np.abs(y.numpy()), 99.9, axis=(0, 1, 2)).astype(np.float32)
        return y

    execute(graph, tf.constant(x[:48]), hook)
    return magnitudes


def _regressor_ranges(boxes: Array, logits: Array) -> tuple[Array, Array]:
    """What each of the 16 regressors needs on faces, with a margin; in pixels of the input."""
    faces = boxes[logits[..., 0] > _FOREGROUND_LOGIT]
    low, high = np.percentile(faces, 0.2, axis=0), np.percentile(faces, 99.8, axis=0)
    margin = 0.15 * (high - low) + 2
    return np.round(low - margin, 3), np.round(high + margin, 3)


def _map_heads(graph: Graph, low: Array, high: Array) -> set[int]:
    """Fold the map of each head's range to 0..1 into its convolution; returns the tensors of the heads."""
    heads: set[int] = set()
    for step in graph.steps:
        reshapes = [reader for reader in graph.readers(step.out) if reader.kind == "RESHAPE"]
        if step.kind != "CONV_2D" or not reshapes:
            if step.kind == "CONCATENATION":
                heads.add(step.out)
            continue
        heads.add(step.out)
        kernel, bias = step.inputs[1], step.inputs[2]
        if graph.shapes[reshapes[0].out][-1] == REGRESSORS:
            repeats = graph.shapes[step.out][-1] // REGRESSORS
            gain, floor = np.tile(1 / (high - low), repeats), np.tile(low, repeats)
        else:
            gain = np.full(graph.shapes[step.out][-1], 1 / (_HIGHEST_LOGIT - _LOWEST_LOGIT))
            floor = np.full(graph.shapes[step.out][-1], _LOWEST_LOGIT)
        graph.constants[kernel] = (graph.constants[kernel] * gain[:, None, None, None]).astype(np.float32)
        graph.constants[bias] = ((graph.constants[bias] - floor) * gain).astype(np.float32)
    return heads


def _written(graph: Graph, ranges: Ranges, low: Array, high: Array) -> BuiltDetector:
    quantizations = {tensor: Quantization.of_range(*span) for tensor, span in ranges.items()}
    names = {graph.inputs[0]: "image", graph.outputs[0]: "regressors", graph.outputs[1]: "scores"}
    decode = {
        "logit-low": _LOWEST_LOGIT,
        "logit-span": _HIGHEST_LOGIT - _LOWEST_LOGIT,
        "regressor-low": [round(float(v), 3) for v in low],
        "regressor-span": [round(float(v), 3) for v in high - low],
    }
    return BuiltDetector(write_int8(graph, quantizations, names, "vouchbox face detector, int8"), decode)
