"""Locked memory: the only place where pixels may stay longer than one call.

A LockedMemory is one anonymous private mapping that never reaches swap (mlock), a core dump
(MADV_DONTDUMP) or a child process (MADV_WIPEONFORK). It can be overwritten and read back, so that
"wiped" is a statement about the bytes and not about intentions. It may never be backed by a file.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import resource
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vouchbox.errors import MemoryLockError

MADV_WIPEONFORK = 18
"""From linux/mman.h; Python's mmap module has no name for it."""

_libc = ctypes.CDLL(None, use_errno=True)


class LockedMemory:
    """`size` bytes (rounded up to pages), zero at first. Raises MemoryLockError when `require_locked` and
    the kernel refuses; else `locked` tells. Leave it with `close`, or as a context manager."""

    def __init__(self, size: int, *, require_locked: bool = False) -> None:
        if size <= 0:
            raise ValueError("size must be positive")
        self.size = math.ceil(size / mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._bytes: NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(MADV_WIPEONFORK)
        self.locked = self._lock()
        if require_locked and not self.locked:
            raise lock_refused(self.size)

    @property
    def address(self) -> int:
        """Where the mapping starts in this process."""
        return int(self._bytes.ctypes.data)

    def view(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint8, offset: int = 0) -> NDArray[Any]:
        """An array of `shape` and `dtype` on the bytes from `offset` on; ValueError when it does not fit."""
        kind = np.dtype(dtype)
        length = math.prod(shape) * kind.itemsize
        if offset < 0 or offset + length > self.size:
            raise ValueError(f"{length} bytes from {offset} do not fit into {self.size}")
        return self._bytes[offset : offset + length].view(kind).reshape(shape)

    def wipe(self) -> bool:
        """Overwrite every byte with zero, then read every byte back; True when all are zero."""
        ctypes.memset(self.address, 0, self.size)
        return self.wiped

    @property
    def wiped(self) -> bool:
        """Read back now: is every byte zero? Memory in use by whoever holds a view counts as not wiped."""
        return not np.count_nonzero(self._bytes.view(np.uint64))

    def close(self) -> None:
        """Wipe. The pages return to the kernel, zeroed, when the last view is gone. Safe to call twice."""
        self.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        wipe_through_interrupts(self.close)

    def _lock(self) -> bool:
        return bool(_libc.mlock(ctypes.c_void_p(self.address), ctypes.c_size_t(self.size)) == 0)


def wipe_through_interrupts(wipe: Callable[[], object]) -> None:
    """Call `wipe`; where an exception (a second Ctrl-C, a signal) lands in the middle, wipe again and let
    it go on."""
    try:
        wipe()
    except BaseException:
        wipe()
        raise


def lock_refused(size: int) -> MemoryLockError:
    """The error for memory that the kernel would not lock, with the limit that stood in the way."""
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    allowed = "no limit" if limit == resource.RLIM_INFINITY else f"{limit // 1024} KiB"
    return MemoryLockError(
        f"{size // 1024} KiB for frames could not be locked into memory (RLIMIT_MEMLOCK is {allowed})",
        "set LimitMEMLOCK=infinity in the unit, or raise `ulimit -l`",
    )
