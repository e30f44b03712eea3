"""How long to wait before the next attempt: exponential with jitter, so that a fleet does not return in step.

Pure: the random numbers are passed in.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_S = 0.5
"""Longest wait after the first failure, in seconds."""
CEILING_S = 60.0
"""Longest wait at all, in seconds."""


class Backoff:
    """Waits of min(CEILING_S, FIRST_S * 2**n) seconds, each scaled by a random factor in 0.5..1."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self._step = FIRST_S

    def next(self) -> float:
        """Seconds to wait now."""
        step, self._step = self._step, min(CEILING_S, self._step * 2)
        return step * self._uniform(0.5, 1.0)

    def reset(self) -> None:
        """The connection held: start from the beginning."""
        self._step = FIRST_S
