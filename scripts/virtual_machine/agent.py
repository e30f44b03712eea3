"""Commands to a guest over a serial line, by the QEMU guest agent: no network, no login.

See the QEMU Guest Agent Protocol Reference: guest-sync, guest-exec, guest-exec-status, guest-shutdown.
"""

from __future__ import annotations

import base64
import itertools
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ANSWER_S = 300.0
"""A guest that says nothing for this long is taken as dead; emulated and busy machines are slow."""

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    said: str
    complained: str


class AgentSilent(Exception):
    """The guest does not answer."""


class Agent:
    """One connection to the agent behind the Unix socket `path`."""

    def __init__(self, path: Path, answer_s: float = _ANSWER_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(answer_s)
        self._socket.connect(str(path))
        self._numbers = itertools.count(1)
        self._left = b""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def greet(self) -> None:
        """Empty the line of what was left on it; raises AgentSilent while the guest is not there."""
        number = next(self._numbers)
        self._send("guest-sync", id=number)
        while self._answer() != number:
            pass

    def execute(
        self, command: tuple[str, ...], environment: dict[str, str], text: str | None = None
    ) -> Ended:
        """Run a command in the guest and wait for its end, however long that takes."""
        program, *arguments = command
        given = {} if text is None else {"input-data": base64.b64encode(text.encode()).decode()}
        variables = [f"{name}={value}" for name, value in environment.items()]
        more: dict[str, Any] = {"arg": arguments, "env": variables, "capture-output": True, **given}
        started = self._ask("guest-exec", path=program, **more)
        while True:
            state = self._ask("guest-exec-status", pid=started["pid"])
            if state["exited"]:
                said, complained = (
                    base64.b64decode(state.get(name, "")).decode(errors="replace")
                    for name in ("out-data", "err-data")
                )
                return Ended(state.get("exitcode", 128 + state.get("signal", 0)), said, complained)
            time.sleep(_POLL_S)

    def shut_down(self) -> None:
        """Ask the guest to power off in good order; it gives no answer to this."""
        self._send("guest-shutdown", mode="powerdown")

    def _ask(self, what: str, **arguments: Any) -> Any:
        self._send(what, **arguments)
        return self._answer()

    def _send(self, what: str, **arguments: Any) -> None:
        self._socket.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")

    def _answer(self) -> Any:
        try:
            while b"\n" not in self._left:
                piece = self._socket.recv(1 << 20)
                if not piece:
                    raise AgentSilent("the line to the guest is cut")
                self._left += piece
        except TimeoutError:
            raise AgentSilent("the guest does not answer") from None
        line, _, self._left = self._left.partition(b"\n")
        answer = json.loads(line.lstrip(b"\xff"))
        if "error" in answer:
            raise AssertionError(f"the guest's agent refused: {answer['error'].get('desc')}")
        return answer["return"]
