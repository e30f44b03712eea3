"""What a room tells its service manager: that it is ready, that it lives, that it ends.

The protocol of sd_notify(3): datagrams to the Unix socket named in NOTIFY_SOCKET. A room says `alive` from
its own loop, after the work that could get stuck; when it falls silent, the manager's watchdog ends the
room. Only these three words go out, never anything about a person. Without a manager nothing happens, and
no failure to tell may ever disturb a room.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping

PING_S = 1.0
"""`alive` is told at most this often, however often a loop says it."""


class Notifier:
    """Tells the manager at `address`: a path, an abstract name after an `@`, or nothing (tells nobody)."""

    def __init__(self, address: str = "", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._monotonic = monotonic
        self._told: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Notifier:
        """The manager that started this process, as systemd.exec(5) names it in the environment."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        """The room takes part from now on."""
        self._tell(b"READY=1\nWATCHDOG=1")
        self._told = self._monotonic()

    def alive(self) -> None:
        """The loop came round; call it as often as it does."""
        now = self._monotonic()
        if self._told is None or now - self._told >= PING_S:
            self._told = now
            self._tell(b"WATCHDOG=1")

    def stopping(self) -> None:
        """The room was told to end and puts things in order."""
        self._tell(b"STOPPING=1")

    def _tell(self, word: bytes) -> None:
        if not self._address:
            return
        # Not blocking: a manager that is busy must not hold up a session; the next word comes in a second.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(word, self._address)


NOBODY = Notifier()
"""For a room that no manager started."""
