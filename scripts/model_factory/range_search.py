"""Finds activation ranges for an int8 graph by trying: each tensor's range is widened and narrowed while the
simulated int8 outputs come nearer to the float outputs. For networks whose background activations explode,
where the range that covers everything leaves too few levels for what matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf  # type: ignore[import-untyped]

from .flatbuffer import Array, Graph, Step, execute
from .int8_writer import SAME_SCALE, Quantization, rounded_weights

Range = tuple[float, float]
Ranges = dict[int, Range]

FACTORS = (0.6, 0.75, 0.88, 1.12, 1.35, 1.8)


class Simulation:
    """The graph as int8 would compute it, in float and on batches; ranges can change between calls."""

    def __init__(self, graph: Graph, batch: int = 48) -> None:
        chosen = [graph.inputs[0], *(step.out for step in graph.steps if step.kind not in SAME_SCALE)]
        self._batch = batch
        self._row = {tensor: row for row, tensor in enumerate(chosen)}
        weights = rounded_weights(graph)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def run(x: Any, table: Any) -> list[Any]:
            def rounded(tensor: int, y: Any) -> Any:
                scale, zero = table[self._row[tensor], 0], table[self._row[tensor], 1]
                return (tf.clip_by_value(tf.round(y / scale) + zero, -128.0, 127.0) - zero) * scale

            def hook(step: Step, y: Any) -> Any:
                return y if step.kind in SAME_SCALE else rounded(step.out, y)

            return execute(graph, rounded(graph.inputs[0], x), hook, weights)

        self._run = run

    def tensors(self) -> list[int]:
        """Every tensor that has a range of its own, in order of computation."""
        return list(self._row)

    def outputs(self, x: Array, ranges: Mapping[int, Range]) -> list[Array]:
        """The outputs for a batch (N, height, width, channels) of real inputs."""
        table = np.zeros((len(self._row), 2), np.float32)
        for tensor, row in self._row.items():
            scheme = Quantization.of_range(*ranges[tensor])
            table[row] = scheme.scale, scheme.zero_point
        parts = [self._run(tf.constant(x[k : k + self._batch]), table) for k in range(0, len(x), self._batch)]
        return [np.concatenate([part[k].numpy() for part in parts]) for k in range(len(parts[0]))]


def observed_ranges(graph: Graph, x: Array, batch: int = 48) -> Ranges:
    """The smallest and largest value of each tensor in float, the input included."""
    ranges: Ranges = {graph.inputs[0]: (float(x.min()), float(x.max()))}

    def hook(step: Step, y: Any) -> Any:
        low, high = ranges.get(step.out, (np.inf, -np.inf))
        ranges[step.out] = (min(low, float(tf.reduce_min(y))), max(high, float(tf.reduce_max(y))))
        return y

    for k in range(0, len(x), batch):
        execute(graph, tf.constant(x[k : k + batch]), hook)
    return ranges


def search(
    simulation: Simulation,
    x: Array,
    start: Ranges,
    widest: Ranges,
    fixed: frozenset[int],
    loss: Callable[[list[Array]], float],
    sweeps: int,
    report: Callable[[str], None],
) -> Ranges:
    """Coordinate descent from `start`, never beyond `widest` (the observed ranges), leaving `fixed` alone."""
    best = dict(start)
    lowest = loss(simulation.outputs(x, best))
    report(f"before the search: loss {lowest:.4f}")
    for sweep in range(sweeps):
        for tensor in simulation.tensors():
            if tensor in fixed:
                continue
            low, high = best[tensor]
            bottom, top = widest[tensor]
            for factor in FACTORS:
                tried = (max(low * factor, bottom), min(high * factor, top))
                if tried == best[tensor]:
                    continue
                found = loss(simulation.outputs(x, {**best, tensor: tried}))
                if found < lowest:
                    lowest = found
                    best[tensor] = tried
        report(f"sweep {sweep + 1}: loss {lowest:.4f}")
    return best
