"""Talk between rooms: Unix stream sockets, each message a 4-byte big-endian length and msgpack.

A Channel is one connection with one decoder for what may come in and, where asked, a byte budget for
what may come in between two calls of `new_session`. The vault listens; the other rooms connect. The
kernel names the peer (SO_PEERCRED), and a listener accepts only the user it was told. No other kind of
socket exists here.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from vouchbox.errors import MessageError, RoomGone
from vouchbox.messages import MESSAGE_LIMIT, Message, decode, encode

SEND_TIMEOUT_S = 10.0
"""A peer that takes no byte for this long counts as gone."""

_LENGTH = struct.Struct(">I")
_PEER = struct.Struct("3i")


class Channel:
    """One connection between two rooms. Not thread-safe for two senders or two receivers at once."""

    def __init__(
        self,
        connection: socket.socket,
        incoming: msgspec.msgpack.Decoder[Message],
        *,
        peer: str,
        session_budget: int | None = None,
    ) -> None:
        self._socket = connection
        self._incoming = incoming
        self._peer = peer
        self._budget = session_budget
        self._spent = 0
        self._pending = bytearray()

    def send(self, message: Message) -> None:
        """Send one message; raises RoomGone when the peer is gone, MessageError when it is too large."""
        data = encode(message)
        try:
            self._write(_LENGTH.pack(len(data)) + data)
        except OSError as problem:
            if isinstance(problem, RoomGone):
                raise
            raise self._gone() from problem

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message, or None when `timeout_s` passes first (None waits for ever).

        Raises RoomGone when the peer closed, MessageError for bytes that are no message or over the
        budget; after a MessageError the connection is closed, for its framing can't be trusted any more.
        """
        try:
            self._socket.settimeout(timeout_s)
            while (body := self._take()) is None:
                chunk = self._socket.recv(65536)
                if not chunk:
                    raise self._gone()
                self._pending += chunk
            return decode(body, self._incoming)
        except TimeoutError:
            return None
        except BlockingIOError:
            return None
        except MessageError:
            self.close()
            raise
        except OSError as problem:
            if isinstance(problem, RoomGone):
                raise
            raise self._gone() from problem

    def new_session(self) -> None:
        """Start a fresh byte budget."""
        self._spent = 0

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close; safe to call twice, and wakes a receiver in another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        # Not sendall: receive() leaves its own, often tiny, timeout on the socket, and a message cut in the
        # middle would break the framing.
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except (TimeoutError, BlockingIOError):
                if not select.select([], [self._socket], [], SEND_TIMEOUT_S)[1]:
                    raise self._gone() from None

    def _take(self) -> bytes | None:
        if len(self._pending) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._pending)
        if length > MESSAGE_LIMIT:
            raise MessageError(
                f"the {self._peer} announced {length} bytes", f"send at most {MESSAGE_LIMIT} a message"
            )
        end = _LENGTH.size + length
        if self._budget is not None and self._spent + end > self._budget:
            raise MessageError(
                f"the {self._peer} sent more than {self._budget} bytes in one session",
                "restart the box and report this as a defect",
            )
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[_LENGTH.size : end])
        del self._pending[:end]
        self._spent += end
        return body

    def _gone(self) -> RoomGone:
        return RoomGone(f"the {self._peer} is gone", "start it again, or look into its log")


class Listener:
    """A listening Unix socket for one kind of peer. `allowed_uid` None means: the own user only."""

    def __init__(self, path: Path, *, allowed_uid: int | None = None, mode: int = 0o660) -> None:
        self.path = path
        self._allowed = {os.getuid(), 0} if allowed_uid is None else {allowed_uid}
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        path.chmod(mode)
        self._socket.listen(4)

    def accept(
        self,
        incoming: msgspec.msgpack.Decoder[Message],
        *,
        peer: str,
        session_budget: int | None = None,
    ) -> Channel | None:
        """The next connection, or None when its user is not the allowed one; raises RoomGone when closed."""
        try:
            connection, _ = self._socket.accept()
        except OSError as problem:
            raise RoomGone("the listener is closed", "start the vault again") from problem
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, uid, _ = _PEER.unpack(raw)
        if uid not in self._allowed:
            connection.close()
            return None
        return Channel(connection, incoming, peer=peer, session_budget=session_budget)

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)


def connect(
    path: Path, incoming: msgspec.msgpack.Decoder[Message], *, peer: str, session_budget: int | None = None
) -> Channel:
    """Connect to the room that listens at `path`; raises RoomGone when nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError as problem:
        connection.close()
        raise RoomGone(f"the {peer} does not answer at {path}", f"start the {peer} first") from problem
    return Channel(connection, incoming, peer=peer, session_budget=session_budget)
