"""Frame memory: locked, kept out of dumps and children, and wiped on every way out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.ring import SCRATCH_LIMIT, SLOTS_LIMIT, FrameRing
from vouchbox.camera.source import FrameFormat

SMALL = FrameFormat(64, 48, 15.0)
FRAME = 64 * 48 * 3
CANARY = 0xC7


def memory_at(address: int, length: int) -> bytes:
    """What the kernel says stands at `address` of this process."""
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(length)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True, timeout=60
    )


def test_slots_come_round_and_do_not_overlap() -> None:
    with FrameRing(SMALL, 3) as ring:
        for index in range(3):
            ring.slot(index)[:] = index + 1
        assert [int(ring.slot(index).max()) for index in range(6)] == [1, 2, 3, 1, 2, 3]
        assert len(ring) == 3
        assert ring.slot(0).shape == (48, 64, 3)
        assert ring.slot(0).flags.c_contiguous


@pytest.mark.parametrize("slots", [0, -1, SLOTS_LIMIT + 1])
def test_refuses_a_senseless_number_of_slots(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        FrameRing(SMALL, slots)


def test_frames_are_gone_from_the_process_after_a_session() -> None:
    with FrameRing(SMALL, 2) as ring:
        ring.slot(0)[:] = CANARY
        crop = ring.scratch("crop", (8, 8, 3))
        crop[:] = CANARY
        places = [(ring.address, FRAME), (crop.ctypes.data, crop.nbytes)]
        assert all(memory_at(*place) == bytes([CANARY]) * place[1] for place in places)
        assert not ring.wiped
    assert all(memory_at(*place) == bytes(place[1]) for place in places)
    assert ring.wiped


def test_frames_are_gone_after_an_error() -> None:
    def session() -> None:
        with ring:
            ring.slot(0)[:] = CANARY
            raise RuntimeError("in the middle")

    ring = FrameRing(SMALL, 1)
    with pytest.raises(RuntimeError, match="in the middle"):
        session()
    assert memory_at(ring.address, FRAME) == bytes(FRAME)


def test_a_second_interrupt_does_not_stop_the_wiping(monkeypatch: pytest.MonkeyPatch) -> None:
    wipe, calls = LockedMemory.wipe, []

    def interrupted(self: LockedMemory) -> bool:
        calls.append(self)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wipe(self)

    monkeypatch.setattr(LockedMemory, "wipe", interrupted)
    ring = FrameRing(SMALL, 1)
    with pytest.raises(KeyboardInterrupt), ring:
        ring.slot(0)[:] = CANARY
    assert memory_at(ring.address, FRAME) == bytes(FRAME)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_frames_are_gone_after_a_signal(number: signal.Signals) -> None:
    done = python(
        """
        import os, sys
        from vouchbox.camera.protection import end_on_signals
        from vouchbox.camera.ring import FrameRing
        from vouchbox.camera.source import FrameFormat
        end_on_signals()
        ring = FrameRing(FrameFormat(64, 48, 15.0), 2)
        try:
            with ring:
                ring.slot(1)[:] = 0xC7
                os.kill(os.getpid(), int(sys.argv[1]))
                print("went on")
        finally:
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(ring.address)
                print("left", memory.read(2 * 64 * 48 * 3).count(0xC7))
        """,
        str(int(number)),
    )
    assert done.stdout == "left 0\n"
    assert done.returncode == 128 + number
    assert done.stderr == ""


def test_wiped_is_read_from_the_bytes_and_not_remembered() -> None:
    ring = FrameRing(SMALL, 1)
    slot = ring.slot(0)
    assert ring.wipe()
    slot[47, 63, 2] = 1
    assert not ring.wiped
    assert ring.wipe()
    assert ring.wiped


def test_scratch_of_one_name_is_one_memory() -> None:
    with FrameRing(SMALL, 1) as ring:
        first = ring.scratch("input", (2, 96, 96, 3), np.float32)
        assert ring.scratch("input", (2, 96, 96, 3), np.float32) is first
        first[:] = 0.5
        smaller = ring.scratch("input", (96, 96, 3), np.float32)
        assert smaller.ctypes.data == first.ctypes.data
        larger = ring.scratch("input", (8, 96, 96, 3), np.float32)
        assert larger.shape == (8, 96, 96, 3)
        assert not first.any(), "the memory that was replaced must be wiped"
        assert ring.scratch("other", (4,)).ctypes.data != larger.ctypes.data


def test_scratch_is_limited() -> None:
    with FrameRing(SMALL, 1) as ring:
        for index in range(SCRATCH_LIMIT):
            ring.scratch(f"part {index}", (1,))
        with pytest.raises(ValueError, match="scratch"):
            ring.scratch("one more", (1,))


def flags_at(address: int) -> str:
    """VmFlags of the mapping around `address` (proc_pid_smaps(5))."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split(" ", 1)[0]
        if "-" in head and not head.endswith(":"):
            low, high = (int(part, 16) for part in head.split("-"))
            inside = low <= address < high
        elif inside and line.startswith("VmFlags:"):
            return line
    return ""


def test_the_kernel_keeps_frames_out_of_dumps_swap_and_children() -> None:
    with FrameRing(SMALL, 1) as ring:
        flags = flags_at(ring.address).split()
        assert "dd" in flags, "not in core dumps"
        assert "wf" in flags, "wiped in a child"
        assert ("lo" in flags) == ring.locked


def test_a_child_sees_zeros() -> None:
    done = python(
        """
        import os
        from vouchbox.camera.ring import FrameRing
        from vouchbox.camera.source import FrameFormat
        ring = FrameRing(FrameFormat(64, 48, 15.0), 1)
        ring.slot(0)[:] = 0xC7
        child = os.fork()
        if child == 0:
            os._exit(int(ring.slot(0).max()))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(ring.slot(0).max()))
        """
    )
    assert done.stdout.split() == ["0", str(CANARY)]


UNPRIVILEGED = """
    import os, resource, sys
    import numpy
    from vouchbox.camera.ring import FrameRing
    from vouchbox.camera.source import FrameFormat
    from vouchbox.errors import MemoryLockError
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.getuid() == 0:
        os.setgid(65534); os.setuid(65534)
"""


def test_says_which_limit_forbids_locking() -> None:
    done = python(
        UNPRIVILEGED
        + """
    try:
        FrameRing(FrameFormat(640, 480, 15.0), 4, require_locked=True)
    except MemoryLockError as problem:
        print(problem)
    """
    )
    assert "RLIMIT_MEMLOCK is 64 KiB" in done.stdout
    assert "LimitMEMLOCK=" in done.stdout
    assert done.stderr == ""


def test_goes_on_without_locking_where_that_is_allowed_and_says_so() -> None:
    done = python(
        UNPRIVILEGED
        + """
    with FrameRing(FrameFormat(640, 480, 15.0), 4) as ring:
        ring.slot(0)[:] = 7
        print(ring.locked)
    print(ring.wiped)
    """
    )
    assert done.stdout.split() == ["False", "True"]


def test_locked_memory_refuses_views_beyond_its_end() -> None:
    with LockedMemory(100) as memory:
        assert memory.size >= 4096
        assert memory.size % os.sysconf("SC_PAGE_SIZE") == 0
        with pytest.raises(ValueError, match="do not fit"):
            memory.view((memory.size + 1,))
        with pytest.raises(ValueError, match="do not fit"):
            memory.view((8,), np.uint8, -1)
    with pytest.raises(ValueError, match="positive"):
        LockedMemory(0)
