"""One visit of one person: the relying party asks, the box answers, and all of it as one document.

The document holds what `vouchbox simulate --json` prints. It comes from the verified verdict and from the
box's own egress ledger, never from inside the vision room.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from vouchbox.messages import Action, Level
from vouchbox.reasons import SENTENCES
from vouchbox.relying_party import desk, keys, ledger, templates
from vouchbox.relying_party.evidence import Verdict
from vouchbox.simulator.house import House
from vouchbox.simulator.registration import PURPOSE
from vouchbox.vault.egress import Departure

ANSWER_S = 150.0
"""A session with consent, capture and delivery ends well within this."""

SETTLE_S = 5.0
"""The last rows of a session are on the wire this soon after its verdict."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of one request. `verdict` was verified with the box's published key; `opened` tells whether
    the sealed template was stored and opened by the relying party (None: none was due)."""

    verdict: Verdict
    opened: bool | None
    milliseconds: float
    departures: tuple[Departure, ...]

    @property
    def bytes_sent(self) -> int:
        """Bytes of all payloads that left the box for this visit."""
        return sum(departure.size for departure in self.departures)

    def document(self) -> dict[str, Any]:
        """One JSON-ready document."""
        said = self.verdict.said
        source = said.source
        return {
            "outcome": said.outcome.value,
            "reasons": [reason.value for reason in said.reasons],
            "what_to_change": [SENTENCES[reason] for reason in said.reasons],
            "action": said.action.value,
            "level": said.level.value,
            "tests": {name.value: status.value for name, status in self.verdict.tests.items()},
            "quality": said.quality,
            "source": None
            if source is None
            else {"kind": source.kind.value, "width": source.width, "height": source.height},
            "frames": said.frames,
            "dropped": said.dropped,
            "wiped": said.wiped,
            "runtime": said.runtime,
            "timings": {"request_to_verdict_ms": round(self.milliseconds, 1), "clip_ms": said.duration_ms},
            "template_opened": self.opened,
            "sent": [
                {"topic": departure.topic, "bytes": departure.size, "sha256": departure.sha256}
                for departure in self.departures
            ],
            "bytes_sent": self.bytes_sent,
            "verified": True,
            "verdict": {"jti": self.verdict.jti, "ueid": self.verdict.ueid, "issued": self.verdict.issued},
        }


def visit(house: House, action: Action, level: Level, *, subject: str = "visitor") -> Visit:
    """Ask for `action` about `subject` (the relying party's own handle) and wait for the verified answer.

    Raises NoVerdict when none comes, RoomGone when a room has ended, VerdictInvalid for a forged one.
    """
    house.require()
    before = len(house.departures())
    began = time.monotonic()
    asked = desk.ask(house.settings, house.box, purpose=PURPOSE, action=action, level=level, subject=subject)
    verdict = desk.wait(house.settings, asked, ANSWER_S)
    took = (time.monotonic() - began) * 1000
    opened = _open(house, subject, verdict) if verdict.said.template is not None else None
    wanted = 2 if verdict.said.template is not None else 1
    return Visit(verdict, opened, took, _departures(house, before, wanted))


def _open(house: House, subject: str, verdict: Verdict) -> bool:
    if not desk.wait_for_template(house.settings, subject, verdict, SETTLE_S):
        return False
    with ledger.Ledger(house.settings.party.ledger) as book:
        payload = book.template(subject, time.time())
    if payload is None:
        return False
    sealed = templates.check(payload, verdict)
    templates.decode(templates.unseal(sealed, keys.load(house.settings.party.keys).seal))
    return True


def _departures(house: House, before: int, wanted: int) -> tuple[Departure, ...]:
    deadline = time.monotonic() + SETTLE_S
    while True:
        sent = [entry for entry in house.departures()[before:] if not entry.topic.endswith("/status")]
        if len(sent) >= wanted or time.monotonic() > deadline:
            return tuple(house.departures()[before:])
        time.sleep(0.05)
