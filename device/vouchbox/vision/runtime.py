"""The one module that knows a TFLite runtime: it chooses the interpreter and feeds it 8-bit pictures.

LiteRT (`ai-edge-litert`) is the default; `tflite-runtime` is the fallback and runs where LiteRT does not.
A model comes in as checked bytes and its tensors are compared with the manifest before use. It may never
keep a picture: `wipe` overwrites the inputs and, by one run on an empty picture, what the interpreter
keeps of the last one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.errors import ModelError, RuntimeMissing
from vouchbox.messages import ModelIdentity
from vouchbox.vision.manifest import Manifest, TensorEntry

RuntimeName = Literal["auto", "litert", "tflite-runtime"]

RUNTIME_VARIABLE = "VOUCHBOX_RUNTIME"
"""Environment variable that overrides the configured runtime."""

_PACKAGES: dict[str, tuple[str, str]] = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}

PIXEL_RANGES: dict[str, tuple[float, float]] = {
    "detector": (-1.0, 1.0),
    "landmarks": (0.0, 1.0),
    "embedding": (0.0, 255.0),
    "liveness": (0.0, 1.0),
}
"""What pixel values 0 and 255 mean to the network of a role, before quantization."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An interpreter class and its name for the verdict, for example 'litert 2.3.0'."""

    label: str
    interpreter: Any


def choose(wanted: RuntimeName = "auto", environ: Mapping[str, str] = os.environ) -> Runtime:
    """The runtime to use; VOUCHBOX_RUNTIME goes before `wanted`. Raises RuntimeMissing with what to do."""
    name = environ.get(RUNTIME_VARIABLE) or wanted
    if name != "auto" and name not in _PACKAGES:
        raise RuntimeMissing(f"there is no runtime {name!r}", f"choose one of {', '.join(_PACKAGES)}")
    for candidate in _PACKAGES if name == "auto" else (name,):
        module, package = _PACKAGES[candidate]
        try:
            interpreter = importlib.import_module(module).Interpreter
            return Runtime(f"{candidate} {importlib.metadata.version(package)}", interpreter)
        except (ImportError, AttributeError, SystemError):
            continue
    raise RuntimeMissing(
        f"the runtime {name} is not installed for this Python" if name != "auto" else "no TFLite runtime",
        "pip install ai-edge-litert",
    )


def lookup_table(low: float, high: float, dtype: np.dtype[Any], scale: float, zero: int) -> NDArray[Any]:
    """256 input values, one per pixel value: quantization of an 8-bit picture without float arithmetic.

    `low` and `high` are the real values of pixels 0 and 255; a float input takes them as they are.
    """
    real: NDArray[np.float64] = low + np.arange(256, dtype=np.float64) * ((high - low) / 255.0)
    if dtype == np.float32:
        return real.astype(np.float32)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.round(real / scale + zero), limits.min, limits.max), dtype)


class Network:
    """One loaded model that takes one RGB picture. Not thread-safe; `spent_ns` sums its invocations."""

    def __init__(self, runtime: Runtime, manifest: Manifest, role: str, threads: int = 1) -> None:
        """Load the checked model for `role`; raises ModelError when it is not what the manifest states."""
        entry = manifest.entry(role)
        data = manifest.read(role)
        try:
            with _silence():
                self._interpreter = runtime.interpreter(model_content=data, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as problem:
            raise ModelError(
                f"{runtime.label} can't load the {role} model ({type(problem).__name__})",
                "try the other runtime, or install vouchbox again",
            ) from None
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        _compare(role, "input", inputs, entry.inputs)
        _compare(role, "output", outputs, entry.outputs)
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or inputs[0]["shape"][3] != 3:
            raise ModelError(f"the {role} model takes no RGB picture", "install vouchbox again")
        self.identity: ModelIdentity = entry.identity
        self.decode = {key: np.asarray(value, np.float32) for key, value in entry.decode.items()}
        self.shape: tuple[int, int, int] = tuple(int(n) for n in inputs[0]["shape"][1:])  # type: ignore[assignment]
        self.output_shapes: list[tuple[int, ...]] = [tuple(int(n) for n in o["shape"]) for o in outputs]
        self.spent_ns = 0
        self._used = True
        self._input = int(inputs[0]["index"])
        scale, zero = inputs[0]["quantization"]
        low, high = PIXEL_RANGES[role]
        self._table = lookup_table(low, high, np.dtype(inputs[0]["dtype"]), float(scale), int(zero))
        self._batch = np.zeros((1, *self.shape), self._table.dtype)
        # The commonest table only moves 0..255 to -128..127, which is one bit and needs no look-up.
        shifted = np.arange(-128, 128).astype(np.int8)
        self._shift = self._table.dtype == np.int8 and bool((self._table == shifted).all())
        self._outputs = [(int(o["index"]), *_affine(o)) for o in outputs]

    def run(self, picture: NDArray[np.uint8]) -> None:
        """Look at one picture, height x width x 3 of the network's own size."""
        self._used = True
        if self._shift:
            np.bitwise_xor(picture, np.uint8(0x80), out=self._batch[0].view(np.uint8))
        else:
            cv2.LUT(picture, self._table, dst=self._batch[0])
        self._interpreter.set_tensor(self._input, self._batch)
        began = time.perf_counter_ns()
        self._interpreter.invoke()
        self.spent_ns += time.perf_counter_ns() - began

    def output(self, position: int) -> NDArray[np.float32]:
        """Output `position` of the last run in real numbers, without batch axis."""
        index, scale, zero = self._outputs[position]
        raw = self._interpreter.get_tensor(index)[0]
        if scale == 0.0:
            return cast("NDArray[np.float32]", raw)
        real: NDArray[np.float32] = raw.astype(np.float32)
        real -= zero
        real *= scale
        return real

    def output_of_size(self, values: int) -> int:
        """Position of the one output that holds `values` numbers; raises ModelError when there is none."""
        found = [i for i, shape in enumerate(self.output_shapes) if int(np.prod(shape)) == values]
        if len(found) != 1:
            raise ModelError(
                f"the {self.identity.role} model has no single output of {values} values",
                "install vouchbox again",
            )
        return found[0]

    def wipe(self) -> None:
        """Forget the last picture: empty inputs, and one run over them to overwrite what lies between."""
        if not self._used:
            return
        self._batch.fill(0)
        self._interpreter.set_tensor(self._input, self._batch)
        self._interpreter.invoke()
        self._used = False

    @property
    def wiped(self) -> bool:
        """True when the input holds no picture (read back from the interpreter)."""
        return not self._batch.any() and not self._interpreter.get_tensor(self._input).any()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep a runtime's own chatter (a line for each delegate) off the person's terminal while it loads."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _affine(detail: dict[str, Any]) -> tuple[np.float32, np.float32]:
    """Scale and zero point of an output; scale 0 stands for a float output."""
    if np.dtype(detail["dtype"]) == np.float32:
        return np.float32(0.0), np.float32(0.0)
    scale, zero = detail["quantization"]
    return np.float32(scale), np.float32(zero)


def _compare(role: str, side: str, found: list[dict[str, Any]], stated: tuple[TensorEntry, ...]) -> None:
    real = sorted((tuple(int(n) for n in d["shape"]), np.dtype(d["dtype"]).name) for d in found)
    if real != sorted((entry.shape, entry.dtype) for entry in stated):
        raise ModelError(
            f"the {role} model has other {side}s than the manifest states", "install vouchbox again"
        )
