"""The ledger of everything that left the box: topic, size, hash and time. It never holds a payload.

A line is written before the message is handed to the uplink and completed when the broker has answered, so a
crash on either side can leave a line too many, marked `unanswered`, but never one too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vouchbox.messages import Published
from vouchbox.vault.store import Store

_REFUSED = 0x80


class Answer(StrEnum):
    """What became of a line. OPEN: handed to the uplink, no word yet. TAKEN, REFUSED: the broker's answer.
    UNANSWERED: the uplink or the connection was lost, it may have left. KEPT: the uplink did not send it."""

    OPEN = "open"
    TAKEN = "taken"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Departure:
    """One message that left: Unix time, topic, bytes of the payload, its SHA-256 in hex, the answer."""

    time: int
    topic: str
    size: int
    sha256: str
    answer: Answer = Answer.TAKEN


def hand_over(store: Store, departure: Departure) -> None:
    """Write the line of a message that is about to be handed to the uplink; one is open at a time."""
    if not store.execute(
        "SELECT 1 FROM egress WHERE answer = 'open' AND sha256 = ? AND topic = ?",
        (departure.sha256, departure.topic),
    ):
        _add(store, departure, Answer.OPEN)


def settle(store: Store, said: Published, now: int) -> bool:
    """Complete the line of a message with what the uplink said; whether the box knows that message.

    A message that the uplink sent again, or made itself, gets a line of its own.
    """
    answer = answer_of(said)
    completed = store.execute(
        "UPDATE egress SET answer = ?, time = ? WHERE entry = (SELECT min(entry) FROM egress"
        " WHERE answer = 'open' AND sha256 = ? AND topic = ? AND size = ?) RETURNING entry",
        (answer, now, said.sha256, said.topic, said.size),
    )
    if completed:
        return True
    known = store.execute(
        "SELECT 1 FROM egress WHERE sha256 = ? AND topic = ? AND size = ?",
        (said.sha256, said.topic, said.size),
    )
    if said.left:
        _add(store, Departure(now, said.topic, said.size, said.sha256), answer)
    return bool(known)


def answer_of(said: Published) -> Answer:
    """What the uplink's statement makes of a line."""
    if not said.left:
        return Answer.KEPT
    if not said.answered:
        return Answer.UNANSWERED
    return Answer.REFUSED if said.reason_code >= _REFUSED else Answer.TAKEN


def give_up(store: Store) -> None:
    """Nobody will answer for the lines that are open: the uplink is gone, or the vault was."""
    store.execute("UPDATE egress SET answer = 'unanswered' WHERE answer = 'open'")


def read(store: Store, *, limit: int = 10_000) -> Iterator[Departure]:
    """The newest `limit` lines of what left or may have left, oldest first."""
    rows = store.execute(
        "SELECT time, topic, size, sha256, answer FROM"
        " (SELECT * FROM egress WHERE answer <> 'kept' ORDER BY entry DESC LIMIT ?) ORDER BY entry",
        (limit,),
    )
    for time, topic, size, sha256, answer in rows:
        yield Departure(int(str(time)), str(topic), int(str(size)), str(sha256), Answer(str(answer)))


def _add(store: Store, departure: Departure, answer: Answer) -> None:
    store.execute(
        "INSERT INTO egress (time, topic, size, sha256, answer) VALUES (?, ?, ?, ?, ?)",
        (departure.time, departure.topic, departure.size, departure.sha256, answer),
    )
