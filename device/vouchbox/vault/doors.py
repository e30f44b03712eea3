"""The vault's doors: it listens for vision, uplink, kiosk and counter, and turns all they say into one queue.

One thread a door, one connection a door at a time. Bytes that are no message close the connection. The
kernel says which user knocks (ipc.Listener). Nothing is decided here.
"""

from __future__ import annotations

import logging
import pwd
import queue
import threading
from dataclasses import dataclass
from typing import Literal

from vouchbox.config import Config
from vouchbox.errors import ConfigError, MessageError, RoomGone
from vouchbox.ipc import Channel, Listener
from vouchbox.messages import (
    VISION_SESSION_BUDGET,
    CounterToVault,
    KioskToVault,
    Message,
    UplinkToVault,
    VisionToVault,
    decoder,
)

Room = Literal["vision", "uplink", "kiosk", "counter"]
ROOMS: tuple[Room, ...] = ("vision", "uplink", "kiosk", "counter")
"""`counter` is the command line at this box: whoever brings a receipt."""

QUEUE_LIMIT = 256
"""Messages that wait for the vault; beyond, a room has to wait itself."""

_SPEAKS = {
    "vision": VisionToVault,
    "uplink": UplinkToVault,
    "kiosk": KioskToVault,
    "counter": CounterToVault,
}

log = logging.getLogger("vouchbox.vault")


@dataclass(frozen=True, slots=True)
class Joined:
    """A room connected."""

    room: Room


@dataclass(frozen=True, slots=True)
class Left:
    """A room's connection is gone."""

    room: Room


@dataclass(frozen=True, slots=True)
class Said:
    """A room's message."""

    room: Room
    message: Message


Knock = Joined | Left | Said


class Doors:
    """Open from construction to close(). `send` and `take` belong to one thread."""

    def __init__(self, config: Config) -> None:
        """Listen; raises ConfigError when the sockets can't be made."""
        self._knocks: queue.Queue[Knock] = queue.Queue(QUEUE_LIMIT)
        self._channels: dict[Room, Channel] = {}
        self._listeners: list[Listener] = []
        try:
            config.box.run.mkdir(parents=True, exist_ok=True)
            for room in ROOMS:
                allowed = _number(config.vault.users.get(room))
                self._listeners.append(Listener(config.socket(room), allowed_uid=allowed))
        except OSError as problem:
            self.close()
            raise ConfigError(
                f"can't listen in {config.box.run} ({problem.strerror or problem})",
                "choose a short, writable path for box.run",
            ) from None
        for room, listener in zip(ROOMS, self._listeners, strict=True):
            threading.Thread(target=self._serve, args=(room, listener), name=room, daemon=True).start()

    def take(self, timeout_s: float) -> Knock | None:
        """What happened next, or None after `timeout_s`."""
        try:
            return self._knocks.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def send(self, room: Room, message: Message) -> bool:
        """Tell a room; False when it is not there (its Left follows)."""
        channel = self._channels.get(room)
        if channel is None:
            return False
        try:
            channel.send(message)
        except RoomGone:
            channel.close()
            return False
        return True

    def has(self, room: Room) -> bool:
        """Whether that room is connected."""
        return room in self._channels

    def new_session(self) -> None:
        """Start a fresh byte budget for vision."""
        if (channel := self._channels.get("vision")) is not None:
            channel.new_session()

    def hang_up(self, room: Room) -> None:
        """Drop a room's connection."""
        if (channel := self._channels.get(room)) is not None:
            channel.close()

    def close(self) -> None:
        """Close every door."""
        for listener in self._listeners:
            listener.close()
        for room in ROOMS:
            self.hang_up(room)

    def _serve(self, room: Room, listener: Listener) -> None:
        speaks = decoder(_SPEAKS[room])
        budget = VISION_SESSION_BUDGET if room == "vision" else None
        while True:
            try:
                channel = listener.accept(speaks, peer=room, session_budget=budget)
            except RoomGone:
                return
            if channel is None:
                log.warning("another user knocked at the door for the %s", room)
                continue
            self._channels[room] = channel
            self._knocks.put(Joined(room))
            self._listen(room, channel)
            self._channels.pop(room, None)
            channel.close()
            self._knocks.put(Left(room))

    def _listen(self, room: Room, channel: Channel) -> None:
        while True:
            try:
                message = channel.receive()
            except RoomGone:
                return
            except MessageError as problem:
                log.warning("%s", problem)
                return
            if message is not None:
                self._knocks.put(Said(room, message))


def _number(user: int | str | None) -> int | None:
    if not isinstance(user, str):
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(
            f"this machine has no user {user!r}", "correct vault.users, or install the package again"
        ) from None
