"""Where the kernel has no /dev/dma_heap, as in a container on a small kernel: buffers for picamera2 from
memfd.

Imported by sitecustomize. It changes where picamera2's memory comes from, and nothing of what is done with
it.
"""

import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType


class _Heap:
    """What picamera2.dma_heap.DmaHeap is."""

    isValid = True  # noqa: N815 - picamera2's name

    def __init__(self, unique: type) -> None:
        self._unique = unique

    def alloc(self, name: str, size: int) -> object:
        """`size` bytes behind a descriptor."""
        descriptor = os.memfd_create(name)
        os.ftruncate(descriptor, size)
        return self._unique(descriptor)

    def close(self) -> None:
        """Nothing is held."""


class _Finder(importlib.abc.MetaPathFinder):
    """Changes the module picamera2.allocators.dmaallocator as soon as it was executed."""

    def find_spec(
        self, name: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "picamera2.allocators.dmaallocator":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            unique = sys.modules["picamera2.dma_heap"].UniqueFD
            module.DmaHeap = lambda: _Heap(unique)
            # memfd has no caches to keep in step.
            module.fcntl = _NoSync()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _NoSync:
    """Stands in for the module fcntl there: DMA_BUF_IOCTL_SYNC always succeeds."""

    @staticmethod
    def ioctl(*_: object) -> int:
        """Done."""
        return 0


def install() -> None:
    """Only where there is no heap."""
    if not Path("/dev/dma_heap").is_dir():
        with contextlib.suppress(ValueError):
            sys.meta_path.insert(0, _Finder())
