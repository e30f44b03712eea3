"""The vision room of a whole house, seen from the kernel: no network socket, no file opened for writing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.messages import Action, Level, Outcome
from vouchbox.simulator.house import House
from vouchbox.simulator.visit import visit

OpenHouse = Callable[..., House]

WRITING = (
    "creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,link,linkat,symlink,symlinkat,mknod,mknodat,"
    "truncate,ftruncate,memfd_create,copy_file_range"
)
SPEAKING = "socket,connect,bind,listen,sendto,sendmsg,sendmmsg"
AROUND = "io_uring_setup,ptrace,process_vm_writev,pidfd_getfd,open_by_handle_at,bpf"
"""Ways round this trace: any use fails the test."""
CALLS = f"open,openat,openat2,execve,{WRITING},{SPEAKING},{AROUND}"


def offences(lines: list[str]) -> list[str]:
    """The traced calls that the vision room must never make."""
    found = []
    for line in lines:
        call = re.match(r"\d+\s+(?:<\.\.\. )?(\w+)", line)
        if call is None:
            continue
        name = call[1]
        bad: object
        if name in ("open", "openat", "openat2"):
            bad = re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)", line) and '"/dev/null"' not in line
        elif name == "socket":
            bad = re.search(r"socket\(AF_(?!UNIX)", line)
        elif name in SPEAKING.split(","):
            bad = re.search(r"AF_(INET6?|NETLINK|PACKET)|<(TCP|UDP|RAW|NETLINK)", line)
        else:
            bad = name in WRITING.split(",") or name in AROUND.split(",")
        if bad:
            found.append(line)
    return found


def test_the_trace_reader_knows_an_offence() -> None:
    for line in (
        '7 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3',
        "7 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP) = 3",
        '7 memfd_create("x", 0) = 3',
        '7 rename("/tmp/a", "/tmp/b") = 0',
        "7 io_uring_setup(8, {}) = 4",
        "7 sendto(3<TCP:[127.0.0.1:1->127.0.0.1:2]>, 1, 1, 0, NULL, 0) = 1",
    ):
        assert offences([line]) == [line]
    assert offences(['7 openat(AT_FDCWD, "/tmp/x", O_RDONLY|O_CLOEXEC) = 3', "7 socket(AF_UNIX) = 3"]) == []


@pytest.mark.mosquitto
@pytest.mark.strace
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_vision_opens_no_network_socket_and_no_file_for_writing_in_a_whole_session(
    open_house: OpenHouse, portraits: None, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    # A fresh checkout has no bytecode yet; an installed box can't write any, so here Python may not either.
    strace = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", "signal=none")
    prefix = (*strace, "-E", "PYTHONDONTWRITEBYTECODE=1")
    house = open_house("simulated:collins", vision_prefix=(*prefix, "-o", str(trace), "-e", f"trace={CALLS}"))
    seen = visit(house, Action.ENROLL, Level.ACTIVE)
    assert seen.verdict.outcome is Outcome.LIVE
    assert seen.opened is True
    lines = trace.read_text(errors="replace").splitlines()
    assert [line for line in lines if "execve(" in line]
    assert [line for line in lines if "vision.sock" in line and "connect(" in line]
    assert offences(lines) == []
