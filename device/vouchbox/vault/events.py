"""What can happen to a session, and what the session machine may order: events in, effects out.

Frozen values without behaviour; session.py draws how they hang together. No effect but Open leads to the
camera.
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.messages import ConsentWay, Examination, Outcome
from vouchbox.reasons import Reason
from vouchbox.vault.consent import Answer
from vouchbox.vault.request import Request


@dataclass(frozen=True, slots=True)
class Ticket:
    """A session's name and the request it serves."""

    session: str
    request: Request


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ends when not by its examination."""

    outcome: Outcome
    reasons: tuple[Reason, ...]


# --- events ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Accepted:
    """An authentic, new, permitted request, and the answer that its consent token gave (None without one)."""

    ticket: Ticket
    given: Answer | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The session is on the disk."""


@dataclass(frozen=True, slots=True)
class RecordFailed:
    """The session, or the consent to it, could not be written down."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The person's answer to the notice."""

    session: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The person pressed stop."""

    session: str


@dataclass(frozen=True, slots=True)
class Examined:
    """Vision's statement."""

    examination: Examination


@dataclass(frozen=True, slots=True)
class VisionJoined:
    """The vision room is there and has its models."""


@dataclass(frozen=True, slots=True)
class VisionLost:
    """The vision room is gone."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The verdict is on the disk; this is what it says."""

    session: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The verdict could not be stored."""

    session: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The relying party holds the verdict."""

    session: str


Event = (
    Accepted
    | Recorded
    | RecordFailed
    | Answered
    | Cancelled
    | Examined
    | VisionJoined
    | VisionLost
    | Ticked
    | Stored
    | StoreFailed
    | Acknowledged
)


# --- effects --------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Record:
    """Write the session down, and the answer if it came with the request; report Recorded or RecordFailed."""

    ticket: Ticket
    given: Answer | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say a signed no to this request, which begins no session."""

    ticket: Ticket
    reason: Reason


@dataclass(frozen=True, slots=True)
class Ask:
    """Show the notice; `given`: the person has agreed already, in the party's own app."""

    ticket: Ticket
    given: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Order the examination: the only effect that opens the camera."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell vision to stop and wipe."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Vision did not stop in time: drop its connection."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """Store the one verdict of this session; report Stored or StoreFailed. Without an `ending` the
    examination decides. `way` is how the person agreed, None when nobody did."""

    ticket: Ticket
    ending: Ending | None
    examination: Examination | None
    way: ConsentWay | None = None


@dataclass(frozen=True, slots=True)
class Show:
    """Tell the person."""

    ticket: Ticket
    ending: Ending


Effect = Record | Refuse | Ask | Open | Stop | Disconnect | Conclude | Show
