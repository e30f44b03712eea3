"""Counts with their confidence: how often something happened, and how sure one can be of the rate.

The interval comes from scipy's beta distribution (extra `evaluation`), which is imported late, so that a
box without that extra can import everything else. Nothing here reads a file or decides about a person.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from vouchbox.errors import UsageError

CONFIDENCE = 0.95


class Rate(Struct, frozen=True):
    """`hits` of `tries`, the share (None without a try) and the two-sided 95 % interval, all 0..1."""

    hits: int
    tries: int
    rate: float | None
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, tries: int) -> Rate:
        """The rate of `hits` in `tries`; raises ValueError unless 0 <= hits <= tries."""
        if not 0 <= hits <= tries:
            raise ValueError(f"{hits} hits of {tries} tries")
        low, high = clopper_pearson(hits, tries)
        return cls(hits, tries, hits / tries if tries else None, low, high)


def clopper_pearson(hits: int, tries: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a rate (Clopper and Pearson, Biometrika 26 (1934) 404); without a try
    it is 0..1. Raises UsageError where the extra `evaluation` is not installed."""
    if tries == 0:
        return 0.0, 1.0
    beta = _scipy_stats().beta
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, tries - hits + 1))
    high = 1.0 if hits == tries else float(beta.ppf(1.0 - tail, hits + 1, tries - hits))
    return low, high


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise UsageError(
            "scipy is not installed, and intervals need it", "pip install 'vouchbox[evaluation]'"
        ) from None
    return stats
