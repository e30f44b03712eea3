"""Words for the state of the machine that a room runs on: what its sensors say, and what follows.

Only words; what they mean in degrees and frames is the business of the vision room.
"""

from __future__ import annotations

from enum import StrEnum


class Sign(StrEnum):
    """What a sensor of the machine says; a sensor that is not there says UNKNOWN, never NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Heat(StrEnum):
    """How hot the processor is, in words that do not flicker."""

    COOL = "cool"
    WARM = "warm"
    HOT = "hot"
    UNKNOWN = "unknown"


class Pace(StrEnum):
    """How many of the camera's frames are looked at: all, fewer, or no more than the tests need."""

    FULL = "full"
    EASED = "eased"
    LEAST = "least"
