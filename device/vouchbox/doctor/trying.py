"""Tries something in a process of its own (trial.py), as the user of the room that does it on the box.

A driver that hangs, a library that crashes and a key in memory all end with that process. Only counts, names
and sentences come back. The process gets a deadline; whatever it prints to standard error is thrown away.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import msgspec

from vouchbox.doctor.machine import Account
from vouchbox.errors import VouchboxError

ANSWER_LIMIT = 16 * 1024
"""Bytes of an answer, at most."""


class TrialFailed(VouchboxError):
    """What was tried did not work."""

    code = "trial"


class TrialImpossible(VouchboxError):
    """It could not even be tried."""

    code = "trial-impossible"


def attempt(
    name: str, request: dict[str, Any], seconds: float, account: Account | None = None
) -> dict[str, Any]:
    """The facts that trial `name` found; raises TrialFailed with what is wrong, or TrialImpossible."""
    who = None if account is None else [account.uid, account.gid, sorted(account.groups)]
    question = msgspec.json.encode({"request": request, "account": who})
    # -s and -P as in the launcher: nothing from a home, nothing from the working directory.
    command = [sys.executable, "-s", "-P", "-m", "vouchbox.doctor.trial", name]
    try:
        done = subprocess.run(
            command,
            input=question,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TrialFailed(
            f"no answer came within {seconds:.0f} seconds, so a driver or a library hangs",
            "switch the box off and on, and look into the kernel's log with `dmesg`",
        ) from None
    except OSError as problem:
        raise TrialImpossible(
            f"no process could be started ({problem.strerror})", "free some memory"
        ) from None
    return _answer(done.returncode, done.stdout)


def _answer(code: int, said: bytes) -> dict[str, Any]:
    if code < 0:
        raise TrialFailed(
            f"the process that tried it crashed ({signal.Signals(-code).name})",
            "install vouchbox and its system packages again",
        )
    try:
        answer = msgspec.json.decode(said[-ANSWER_LIMIT:].strip().rpartition(b"\n")[2], type=dict[str, Any])
    except msgspec.DecodeError:
        raise TrialFailed("the process that tried it gave no answer", "install vouchbox again") from None
    if "what" in answer:
        kind = TrialImpossible if answer.get("impossible") else TrialFailed
        raise kind(str(answer["what"]), str(answer["fix"]))
    return answer
