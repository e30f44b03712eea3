"""One child process a room: started by the same command that systemd starts, its log kept for errors.

Never runs a room inside this process: the walls between rooms are process borders here too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from vouchbox.errors import RoomGone

STOP_S = 10.0
"""A room that has not ended this long after SIGTERM is killed."""

_KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "VOUCHBOX_RUNTIME", "VOUCHBOX_MOSQUITTO")
"""What a room inherits of the environment."""

_FORCED = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
"""A room writes what its design allows, and bytecode is not among it; nor does it load code from the working
directory."""


JOINED = {"kiosk": "the kiosk is here", "vision": "the vision room is ready"}
"""What the vault's log says of a room that has joined it."""


class Room:
    """A running `vouchbox` subcommand; `log` is the file with what it wrote."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        folder: Path,
        *,
        prefix: tuple[str, ...] = (),
        terminal: bool = False,
    ) -> None:
        """`prefix` stands before the command; with `terminal` the room talks to who started this program."""
        self.name = name
        self.log = folder / f"{name}.log"
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "vouchbox", *arguments],
                stdin=None if terminal else subprocess.DEVNULL,
                stdout=None if terminal else log,
                stderr=None if terminal else log,  # where Python may write a prompt
                env=environment | _FORCED,
                start_new_session=not terminal,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def require(self) -> None:
        """Raises RoomGone, with the room's last words, when it has ended."""
        if not self.alive():
            raise RoomGone(f"the {self.name} ended ({self._last_words()})", f"look into {self.log}")

    def says(self, sign: str, times: int = 1) -> bool:
        """Whether its log holds `sign` so often."""
        return self.log.read_text(errors="replace").count(sign) >= times

    def wait_for(self, path: Path, timeout_s: float = 30.0) -> None:
        """Return once `path` exists; raises RoomGone when the room ends or takes too long."""
        self.wait_until(path.exists, f"made {path.name}", timeout_s)

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Return once `ready()` is true; raises RoomGone when the room ends or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.require()
            if time.monotonic() > deadline:
                raise RoomGone(
                    f"the {self.name} has not {what} in time ({self._last_words()})", f"look into {self.log}"
                )
            time.sleep(0.02)

    def _last_words(self) -> str:
        words = self.log.read_text(errors="replace").strip().splitlines()
        return words[-1] if words else f"exit code {self._process.returncode}"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; safe to call twice."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
