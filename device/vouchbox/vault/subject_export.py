"""Everything that this box holds about one session, for the person who brings its receipt.

Reads the database and changes nothing. No biometric value can be in it, for none is kept here: a template
that still waits is sealed and named by size and digest.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vouchbox.vault import receipt_book
from vouchbox.vault.formats import TEMPLATE_CONTENT_TYPE, from_base64url
from vouchbox.vault.receipt_book import Kept, Withdrawn
from vouchbox.vault.store import Store
from vouchbox.vault.withdrawal import Claims, read_claims


def held(store: Store, receipt: str) -> dict[str, Any]:
    """All rows that belong to the receipt with that id, as one JSON-ready document; empty lists for none."""
    kept = receipt_book.find(store, receipt)
    withdrawn = receipt_book.withdrawal(store, receipt)
    session = kept.session if kept else (withdrawn.verdict if withdrawn else "")
    names = [name for name in (session, withdrawn.withdrawal if withdrawn else "") if name]
    digests = [sent["sha256"] for sent in claims(kept)["sent"]] if kept else []
    return {
        "receipt": receipt,
        "record": claims(kept) if kept else None,
        "token": kept.token.decode() if kept else None,
        "kept_until": kept.until if kept else None,
        "withdrawal": standing(withdrawn),
        "waiting": [row for name in names for row in _waiting(store, name)],
        "left": [row for digest in digests for row in _left(store, digest)],
        "audit": _audit(store, [session, receipt] if session else [receipt]),
    }


def claims(kept: Kept) -> dict[str, Any]:
    """The claims of a receipt that this box keeps, as it signed them."""
    payload = kept.token.split(b".")[1]
    said: dict[str, Any] = msgspec.json.decode(from_base64url(payload.decode()))
    return said


def standing(withdrawn: Withdrawn | None) -> dict[str, Any] | None:
    """A withdrawal and its erasure receipt, JSON-ready; None when nothing was withdrawn."""
    if withdrawn is None:
        return None
    said: dict[str, Any] = {
        "withdrawal": withdrawn.withdrawal,
        "party": withdrawn.party,
        "box": withdrawn.box,
        "verdict": withdrawn.verdict,
        "asked": withdrawn.asked,
        "erased": withdrawn.erased,
    }
    if (answer := erasure(withdrawn)) is not None:
        said["erased_templates"] = answer.erased.templates
        said["erased_verdicts"] = answer.erased.verdicts
        said["erasure_receipt"] = withdrawn.erasure.decode()
    return said


def erasure(withdrawn: Withdrawn) -> Claims | None:
    """What the kept erasure receipt says; it was verified when it came."""
    if not withdrawn.erasure:
        return None
    return read_claims(from_base64url(withdrawn.erasure.split(b".")[1].decode()))


def _waiting(store: Store, session: str) -> list[dict[str, Any]]:
    rows = store.execute(
        "SELECT topic, content_type, length(payload), sha256, CASE WHEN content_type = ? THEN NULL"
        " ELSE CAST(payload AS TEXT) END FROM outbox WHERE session = ?",
        (TEMPLATE_CONTENT_TYPE, session),
    )
    return [dict(zip(("topic", "content_type", "size", "sha256", "token"), row, strict=True)) for row in rows]


def _left(store: Store, digest: str) -> list[dict[str, Any]]:
    rows = store.execute("SELECT time, topic, size, sha256 FROM egress WHERE sha256 = ?", (digest,))
    return [dict(zip(("time", "topic", "size", "sha256"), row, strict=True)) for row in rows]


def _audit(store: Store, names: list[str]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for name in names:
        rows = store.execute(
            "SELECT entry, time, event, detail FROM audit WHERE instr(detail, ?) ORDER BY entry",
            (f'"{name}"',),
        )
        for entry, time, event, detail in rows:
            found[int(str(entry))] = {
                "entry": entry,
                "time": time,
                "event": event,
                "detail": msgspec.json.decode(str(detail)),
            }
    return [found[entry] for entry in sorted(found)]
