"""Where the vision room gets memory that will hold pixels: named buffers that somebody else wipes.

In a session they come from the locked ring (camera.ring.FrameRing.scratch); nothing in this room may
allocate memory of its own for pixels that outlive one call.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Scratch(Protocol):
    """Hands out a zeroed buffer under a name; the same name and shape give the same buffer."""

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike, /) -> NDArray[Any]: ...


def unlocked(_name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Ordinary memory, for measurements on pictures that are no secret."""
    return np.zeros(shape, dtype)
