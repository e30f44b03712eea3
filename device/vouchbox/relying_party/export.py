"""Everything that this relying party holds about one person or one verdict, for an access request.

Reads the ledger and changes nothing. A template is named by size and digest, for it is sealed; the verdict
is shown as it was received.
"""

from __future__ import annotations

from typing import Any

from vouchbox.errors import UsageError
from vouchbox.relying_party.ledger import Ledger

_VERDICTS = (
    "SELECT v.jti, v.request, v.outcome, v.arrived, CAST(v.token AS TEXT) FROM verdict v"
    " LEFT JOIN request r ON r.jti = v.request WHERE v.jti = ? OR (r.subject = ? AND ? != '')"
)
_REQUESTS = (
    "SELECT r.jti, r.box, r.subject, r.purpose, r.action, r.level, r.made FROM request r"
    " LEFT JOIN verdict v ON v.request = r.jti WHERE v.jti = ? OR (r.subject = ? AND ? != '')"
)
_TEMPLATES = (
    "SELECT t.verdict, t.subject, t.sha256, length(t.payload), t.stored, t.until FROM template t"
    " WHERE t.verdict = ? OR (t.subject = ? AND ? != '')"
)
_PENDING = "SELECT verdict, sha256, length(payload), arrived FROM pending WHERE verdict = ?"
_WITHDRAWALS = "SELECT verdict, receipt, box, templates, verdicts, erased FROM withdrawal WHERE verdict = ?"


def held(ledger: Ledger, *, subject: str = "", verdict: str = "") -> dict[str, list[dict[str, Any]]]:
    """All rows about `subject` (the customer's own handle) or `verdict` (its jti); raises UsageError."""
    if bool(subject) == bool(verdict):
        raise UsageError("name a subject or a verdict", "give one of them")
    keys = (verdict, subject, subject)
    return {
        "requests": _named(
            ledger.read(_REQUESTS, *keys), "request", "box", "subject", "purpose", "action", "level", "made"
        ),
        "verdicts": _named(
            ledger.read(_VERDICTS, *keys), "verdict", "request", "outcome", "arrived", "token"
        ),
        "templates": _named(
            ledger.read(_TEMPLATES, *keys), "verdict", "subject", "sha256", "size", "stored", "until"
        ),
        "waiting_templates": _named(ledger.read(_PENDING, verdict), "verdict", "sha256", "size", "arrived"),
        "withdrawals": _named(
            ledger.read(_WITHDRAWALS, verdict), "verdict", "receipt", "box", "templates", "verdicts", "erased"
        ),
    }


def _named(rows: list[tuple[Any, ...]], *names: str) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
