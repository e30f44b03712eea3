"""How often a box may be asked and may fail in an hour: for each party, for the whole box, for one reference.

Each reference of a match request may be compared a few times an hour only, so that nobody can try faces, or
poses, until one passes. Counts survive a restart. Their age is told by boots and seconds since boot, so no
jump of the wall clock makes a lockout shorter; what was counted before a reboot counts as if at that boot, so
a power cut can only make it longer. A reference is kept as a keyed digest, never in clear, for an hour.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vouchbox.config import Vault as VaultConfig
from vouchbox.messages import Outcome
from vouchbox.reasons import Reason
from vouchbox.vault import template
from vouchbox.vault.clock import Clock
from vouchbox.vault.registry import Party
from vouchbox.vault.store import Store
from vouchbox.vault.template import Template

HOUR_S = 3600
"""Every limit is counted over this many seconds of the machine's running time."""

FAILURES = frozenset({Outcome.NO_MATCH, Outcome.ATTACK_SUSPECTED})
"""Outcomes that count towards a lockout. What a person may honestly run into (a blurred picture, a prompt
that was missed, a decline) never does."""

_DIGEST_KEY = b"vouchbox-attempts-v1"


class Kind(StrEnum):
    """What is counted: an admitted request, a comparison with a reference, a failure."""

    REQUEST = "request"
    MATCH = "match"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Moment:
    """How often the machine booted, and whole seconds since the last boot."""

    boot: int
    uptime: int


def moment(store: Store, clock: Clock) -> Moment:
    """The present; the vault counts boots in the store when it starts."""
    return Moment(int(store.fact("boots") or 0), clock.uptime())


def digest(reference: Template, secret: bytes) -> bytes:
    """What stands for `reference` while its attempts are counted: HMAC-SHA-256 under a key that HKDF
    (RFC 5869) derives from `secret`, so that the database alone links no template to a count."""
    key = HKDF(hashes.SHA256(), 32, salt=None, info=_DIGEST_KEY).derive(secret)
    return hmac.digest(key, template.encode(reference), "sha256")


def refusal(store: Store, party: Party, box: VaultConfig, now: Moment) -> Reason | None:
    """Why a request of `party` is refused at this moment, the box's own limits first; None when it is not."""
    _forget(store, now)
    counted = {
        (str(kind), str(name)): int(str(number))
        for kind, name, number in store.execute("SELECT kind, party, count(*) FROM attempt GROUP BY 1, 2")
    }
    everyone = {kind: sum(n for (k, _), n in counted.items() if k == kind) for kind in Kind}
    if everyone[Kind.FAILURE] >= box.failures_per_hour:
        return Reason.BOX_LOCKED_OUT
    if counted.get((Kind.FAILURE, party.id), 0) >= party.failures_per_hour:
        return Reason.PARTY_LOCKED_OUT
    if everyone[Kind.REQUEST] >= box.requests_per_hour:
        return Reason.BOX_RATE_LIMITED
    if counted.get((Kind.REQUEST, party.id), 0) >= party.requests_per_hour:
        return Reason.REQUEST_RATE_LIMITED
    return None


def refusal_of(store: Store, party: Party, reference: bytes, now: Moment) -> Reason | None:
    """Why the reference with this digest may not be compared again yet; None when it may."""
    _forget(store, now)
    [(number,)] = store.execute(
        "SELECT count(*) FROM attempt WHERE kind = ? AND party = ? AND reference = ?",
        (Kind.MATCH, party.id, reference),
    )
    return Reason.MATCH_LOCKED_OUT if int(str(number)) >= party.match_attempts_per_hour else None


def count(store: Store, kind: Kind, party: str, now: Moment, reference: bytes = b"") -> None:
    """Count one, inside the caller's transaction. `reference` is its digest, for MATCH."""
    store.execute(
        "INSERT INTO attempt (kind, party, reference, boot, uptime) VALUES (?, ?, ?, ?, ?)",
        (kind, party, reference, now.boot, now.uptime),
    )


def _forget(store: Store, now: Moment) -> None:
    store.execute(
        "DELETE FROM attempt WHERE (boot = ? AND uptime <= ?) OR (boot <> ? AND ? >= ?)",
        (now.boot, now.uptime - HOUR_S, now.boot, now.uptime, HOUR_S),
    )
