"""The frame ring: every frame of a session, and every crop of one, lives here and is wiped from here.

One preallocated LockedMemory holds `slots` frames; scratch buffers beside it hold what is derived from
them (crops, model inputs). Whatever way a `with FrameRing(...)` block is left, its bytes are overwritten
and read back. The ring never allocates during a session, except for the first call of a new scratch name,
and never gives a frame to anything but the caller's own process.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vouchbox.camera.memory import LockedMemory, wipe_through_interrupts
from vouchbox.camera.source import FrameFormat, Image

SLOTS_LIMIT = 256
"""Frames a ring may hold, at most."""

SCRATCH_LIMIT = 64
"""Scratch buffers a ring may hold, at most."""

_CACHE_LINE = 64
"""Bytes; each slot starts on one."""


class FrameRing:
    """`slots` frames of `format` in locked memory. Raises MemoryLockError when `require_locked` and the
    kernel refuses. Not thread-safe."""

    def __init__(self, format: FrameFormat, slots: int, *, require_locked: bool = False) -> None:  # noqa: A002
        if not 1 <= slots <= SLOTS_LIMIT:
            raise ValueError(f"slots must be 1..{SLOTS_LIMIT}")
        self.format = format
        self._require_locked = require_locked
        self._stride = math.ceil(format.width * format.height * 3 / _CACHE_LINE) * _CACHE_LINE
        self._frames = LockedMemory(self._stride * slots, require_locked=require_locked)
        self._slots: list[Image] = [
            self._frames.view((format.height, format.width, 3), np.uint8, self._stride * index)
            for index in range(slots)
        ]
        self._scratch: dict[str, tuple[LockedMemory, NDArray[Any]]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, index: int) -> Image:
        """The memory for the frame number `index` (counting from 0 for ever): height x width x 3."""
        return self._slots[index % len(self._slots)]

    def scratch(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """A named buffer for derived pixels; the same name gives the same memory again (not cleared).

        Asked for with another shape or type, the memory is reused where it is large enough; else a larger
        one takes its place and the old one is wiped.
        """
        kind = np.dtype(dtype)
        held = self._scratch.get(name)
        if held is not None and held[1].shape == shape and held[1].dtype == kind:
            return held[1]
        size = max(1, math.prod(shape) * kind.itemsize)
        memory = held[0] if held is not None else None
        if memory is None or memory.size < size:
            if memory is None and len(self._scratch) >= SCRATCH_LIMIT:
                raise ValueError(f"a ring holds at most {SCRATCH_LIMIT} scratch buffers")
            if memory is not None:
                memory.close()
            memory = LockedMemory(size, require_locked=self._require_locked)
        view = memory.view(shape, kind)
        self._scratch[name] = memory, view
        return view

    @property
    def locked(self) -> bool:
        """Is all of it locked into memory (never swapped out)?"""
        return all(memory.locked for memory in self._memories())

    @property
    def nbytes(self) -> int:
        """Bytes held, in all."""
        return sum(memory.size for memory in self._memories())

    @property
    def address(self) -> int:
        """Where the first slot starts in this process."""
        return self._frames.address

    @property
    def wiped(self) -> bool:
        """Reads every byte back now: are all zero?"""
        return all(memory.wiped for memory in self._memories())

    def wipe(self) -> bool:
        """Overwrite frames and scratch, read all of it back; True when every byte is zero."""
        results = [memory.wipe() for memory in self._memories()]
        return all(results)

    def close(self) -> None:
        """Wipe; safe to call twice. Views that are still held show zeros."""
        for memory in self._memories():
            memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        wipe_through_interrupts(self.close)

    def _memories(self) -> list[LockedMemory]:
        return [self._frames, *(memory for memory, _ in self._scratch.values())]
