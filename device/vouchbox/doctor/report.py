"""Findings as text for a person and as one JSON document for a machine. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vouchbox import __version__
from vouchbox.doctor.finding import Finding, Result

WORDS = {
    Result.OK: "ok",
    Result.WARNING: "warning",
    Result.FAULT: "FAULT",
    Result.NOT_CHECKED: "not checked",
}


def line(finding: Finding) -> str:
    """One finding: result, check, and a sentence that ends with the fix."""
    sentence = f"{finding.what}: {finding.fix}." if finding.fix else f"{finding.what}."
    return f"{WORDS[finding.result]:<12} {finding.check:<18} {sentence}"


def summary(findings: Sequence[Finding]) -> str:
    """The last line."""
    count = Counter(finding.result for finding in findings)
    parts = [
        f"{count[result]} {name}{'s' if plural and count[result] != 1 else ''}"
        for result, name, plural in (
            (Result.FAULT, "fault", True),
            (Result.WARNING, "warning", True),
            (Result.NOT_CHECKED, "not checked", False),
            (Result.OK, "ok", False),
        )
    ]
    return ", ".join(parts) + "."


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """For machines; `result` is one of ok, warning, fault, not checked."""
    count = Counter(finding.result for finding in findings)
    return {
        "version": __version__,
        "faults": count[Result.FAULT],
        "warnings": count[Result.WARNING],
        "not-checked": count[Result.NOT_CHECKED],
        "findings": [
            {"check": each.check, "result": each.result.value, "what": each.what, "fix": each.fix}
            for each in findings
        ],
    }
