"""A TFLite subgraph as plain values, without TensorFlow: what readers, writer and recipes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One operator: its TFLite name, the tensor ids it reads and writes (-1: an absent optional input), and
    the options object of the schema (None where the operator has none)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    @property
    def out(self) -> int:
        """The one tensor that every operator of these models writes."""
        return self.outputs[0]


@dataclass
class Graph:
    """One subgraph. `constants` may be edited by a recipe; half-precision weights are already float32."""

    steps: list[Step]
    constants: dict[int, Array]
    shapes: dict[int, tuple[int, ...]]
    names: dict[int, str]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    _readers: dict[int, list[Step]] = field(default_factory=dict, repr=False)

    def readers(self, tensor: int) -> list[Step]:
        """The steps that read a tensor."""
        if not self._readers:
            for step in self.steps:
                for i in step.inputs:
                    self._readers.setdefault(i, []).append(step)
        return self._readers.get(tensor, [])

    def writer(self, tensor: int) -> Step | None:
        """The step that writes a tensor; None for an input or a constant."""
        return next((step for step in self.steps if tensor in step.outputs), None)
