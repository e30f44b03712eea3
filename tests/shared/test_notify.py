"""A room tells its manager three words, no more often than needed, and no failure to tell disturbs it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vouchbox.notify import PING_S, Notifier


@pytest.fixture
def manager(short_tmp: Path) -> Iterator[socket.socket]:
    """A service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(short_tmp / "notify"))
        listening.setblocking(False)
        yield listening


def words(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


def test_a_room_says_ready_alive_and_stopping(manager: socket.socket) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.ready()
    notifier.stopping()
    assert words(manager) == ["READY=1\nWATCHDOG=1", "STOPPING=1"]


def test_a_busy_loop_tells_that_it_lives_once_a_second(manager: socket.socket) -> None:
    now = 100.0
    notifier = Notifier(manager.getsockname(), monotonic=lambda: now)
    for _ in range(50):
        notifier.alive()
    assert words(manager) == ["WATCHDOG=1"]
    now += PING_S
    notifier.alive()
    assert words(manager) == ["WATCHDOG=1"]
    notifier.alive()
    assert words(manager) == []


def test_an_abstract_address_is_understood() -> None:
    name = f"vouchbox-test-{id(object())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Notifier(f"@{name}").ready()
        assert listening.recv(100) == b"READY=1\nWATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/notify"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    notifier = Notifier(address)
    notifier.ready()
    notifier.alive()
    notifier.stopping()


def test_a_manager_that_does_not_listen_never_holds_up_a_room(manager: socket.socket) -> None:
    now = 0.0
    notifier = Notifier(manager.getsockname(), monotonic=lambda: now)
    for _ in range(5000):
        now += PING_S
        notifier.alive()
    assert 0 < len(words(manager)) < 5000, "the queue was full, and the room went on"
