"""What keeps frames inside this process: no core dump, no debugger, no swap, no new privileges, no residue
in freed memory, and a clean end on a signal.

Call `protect` once, first thing, in the process that opens the camera. It never raises for a measure that
the machine refuses: the report names it in a sentence, and the caller's configuration decides. Measures
hold for the life of the process and are inherited by no camera code of ours, for it starts no process.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_PR_SET_DUMPABLE = 4
_PR_GET_DUMPABLE = 3
_PR_SET_NO_NEW_PRIVS = 38
_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4
_M_PERTURB = -6
_CAP_IPC_LOCK = 14

PERTURB_BYTE = 0xA5
"""Freed heap memory is overwritten with this byte (glibc M_PERTURB, mallopt(3))."""

LOCK_HEADROOM_BYTES = 1 << 30
"""mlockall is tried only where the limit exceeds the present address space by this much: past the limit
every later allocation of the process would fail."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Protection:
    """What is in force. `missing` holds one sentence for each measure that is not."""

    no_core_dump: bool
    not_dumpable: bool
    no_new_privileges: bool
    all_memory_locked: bool
    freed_memory_overwritten: bool
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Is every measure in force?"""
        return not self.missing


def protect() -> Protection:
    """Put every measure in force that this machine allows; safe to call twice."""
    measures = {
        "no_core_dump": (
            _forbid_core_dumps(),
            "Core dumps stay possible: RLIMIT_CORE could not be set to 0.",
        ),
        "not_dumpable": (
            _control(_PR_SET_DUMPABLE, 0) and _libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0,
            "Other processes of this user may read this one: PR_SET_DUMPABLE was refused.",
        ),
        "no_new_privileges": (
            _control(_PR_SET_NO_NEW_PRIVS, 1),
            "A child could gain privileges: PR_SET_NO_NEW_PRIVS was refused.",
        ),
        "all_memory_locked": (
            _lock_all(),
            "Memory outside the frame ring may be swapped out: set LimitMEMLOCK=infinity in the unit.",
        ),
        "freed_memory_overwritten": (
            _overwrite_freed_memory(),
            "Freed memory is not overwritten: this C library has no mallopt(M_PERTURB).",
        ),
    }
    return Protection(
        **{name: held for name, (held, _) in measures.items()},
        missing=tuple(sentence for held, sentence in measures.values() if not held),
    )


def end_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit (128 + number), so that every `with` block is left and wiped.

    Only the first one counts: a second may not interrupt the wiping. Main thread only.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _control(option: int, value: int) -> bool:
    return bool(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def _forbid_core_dumps() -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return True


def _lock_all() -> bool:
    # MCL_ONFAULT: a page is locked when it is first touched. Without it the kernel would fill every
    # thread's stack and every library page at once, for memory that never holds a pixel.
    if not _may_lock_all():
        return False
    return bool(_libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def _may_lock_all() -> bool:
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit == resource.RLIM_INFINITY:
        return True
    try:
        status = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
        )
        capabilities = int(status["CapEff"], 16)
        address_space = int(status["VmSize"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return False
    return bool(capabilities >> _CAP_IPC_LOCK & 1) or limit >= address_space + LOCK_HEADROOM_BYTES


def _overwrite_freed_memory() -> bool:
    if not hasattr(_libc, "mallopt") or os.confstr("CS_GNU_LIBC_VERSION") is None:
        return False
    return bool(_libc.mallopt(_M_PERTURB, PERTURB_BYTE) == 1)
