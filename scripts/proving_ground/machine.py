"""A booted system as an operator sees it: commands, units, the journal. What runs it stands in other
modules."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
}


class Machine(ABC):
    """`patience_s`: how long it waits for what must come."""

    patience_s = 240.0

    @abstractmethod
    def run(
        self, *command: str, check: bool = True, text: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside; raises AssertionError with what it said."""

    @abstractmethod
    def close(self) -> None:
        """End it, however it is; safe to call twice."""

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, *command: str) -> str:
        """What a command prints."""
        return self.run(*command).stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """A unit's property."""
        return self.read("systemctl", "show", "--property", name, "--value", unit)

    def journal(self, unit: str = "") -> str:
        """The journal of this boot, whole or of one unit."""
        of_unit = ("--unit", unit) if unit else ()
        return self.read("journalctl", "--no-pager", "--boot", "--output=short-precise", *of_unit)

    def await_(self, ready: Callable[[], Any], what: str, pause_s: float = 0.05) -> None:
        """Until `ready()` is true; fails with the journal's end when that takes too long."""
        deadline = time.monotonic() + self.patience_s
        while not ready():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{what} did not happen; the journal ends with\n{self.journal()[-6000:]}"
                )
            time.sleep(pause_s)
