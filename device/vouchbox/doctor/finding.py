"""What a check says: a plain result, one sentence on what was found and one on the fix. Pure values.

A finding names places, numbers and names of settings. It never carries a frame, a key or an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vouchbox.errors import VouchboxError


class Result(StrEnum):
    """How a check ended; the value stands in the JSON. NOT_CHECKED is no success: its sentence says why."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is a stable slug, `what` a clause without full stop; `fix` is empty where nothing is to do."""

    check: str
    result: Result
    what: str
    fix: str = ""


def ok(check: str, what: str) -> Finding:
    """All is as it should be."""
    return Finding(check, Result.OK, what)


def warning(check: str, what: str, fix: str) -> Finding:
    """The box works, and someone should look at this."""
    return Finding(check, Result.WARNING, what, fix)


def fault(check: str, what: str, fix: str) -> Finding:
    """The box does not do what it promises."""
    return Finding(check, Result.FAULT, what, fix)


def not_checked(check: str, what: str, fix: str = "") -> Finding:
    """Nothing is known; `what` says why."""
    return Finding(check, Result.NOT_CHECKED, what, fix)


def of(check: str, problem: VouchboxError) -> Finding:
    """A fault in the words of the room that met it."""
    return fault(check, problem.what, problem.fix)
