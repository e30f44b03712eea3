"""Walls hold against a peer that misbehaves."""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from vouchbox.errors import MessageError, RoomGone
from vouchbox.ipc import Channel, Listener, connect
from vouchbox.messages import Phase, Progress, UplinkToVault, VisionToVault, decoder, encode

SESSION = "s" * 16
HELLO = Progress(session=SESSION, phase=Phase.CAPTURING, fraction=0.5)
VISION = decoder(VisionToVault)


def pair(budget: int | None = None) -> tuple[socket.socket, Channel]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return theirs, Channel(ours, VISION, peer="vision", session_budget=budget)


def test_messages_arrive_whole_and_in_order_however_they_are_cut() -> None:
    raw, channel = pair()
    data = b"".join(struct.pack(">I", len(encode(HELLO))) + encode(HELLO) for _ in range(3))
    sender = threading.Thread(target=lambda: [raw.sendall(data[i : i + 1]) for i in range(len(data))])
    sender.start()
    assert [channel.receive(5) for _ in range(3)] == [HELLO] * 3
    sender.join()
    assert channel.receive(0.01) is None
    raw.close()
    with pytest.raises(RoomGone):
        channel.receive(1)
    channel.close()


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", struct.pack(">I", 16385), struct.pack(">I", 3) + b"abc"]
)
def test_a_peer_that_speaks_nonsense_is_cut_off(data: bytes) -> None:
    raw, channel = pair()
    raw.sendall(data)
    with pytest.raises(MessageError):
        channel.receive(1)
    with pytest.raises(RoomGone):
        channel.receive(1)
    raw.close()


def test_the_session_budget_ends_the_connection_and_a_new_session_renews_it() -> None:
    raw, channel = pair(budget=250)
    frame = struct.pack(">I", len(encode(HELLO))) + encode(HELLO)
    raw.sendall(frame * 2)
    assert channel.receive(1) == HELLO
    assert channel.receive(1) == HELLO
    channel.new_session()
    raw.sendall(frame * 3)
    assert channel.receive(1) == HELLO
    assert channel.receive(1) == HELLO
    with pytest.raises(MessageError, match="more than 250 bytes"):
        channel.receive(1)
    raw.close()


def test_only_the_named_user_may_connect(short_tmp: Path) -> None:
    listener = Listener(short_tmp / "a.sock", allowed_uid=os.getuid() + 12345)
    client = connect(listener.path, decoder(UplinkToVault), peer="vault")
    assert listener.accept(VISION, peer="vision") is None
    with pytest.raises(RoomGone):
        client.receive(1)
    client.close()
    listener.close()


def test_own_user_may_connect_and_a_missing_room_is_named(short_tmp: Path) -> None:
    listener = Listener(short_tmp / "b.sock")
    client = connect(listener.path, VISION, peer="vault")
    server = listener.accept(VISION, peer="vision")
    assert server is not None
    client.send(HELLO)
    assert server.receive(1) == HELLO
    client.close()
    server.close()
    listener.close()
    with pytest.raises(RoomGone, match="vault does not answer"):
        connect(listener.path, VISION, peer="vault")
