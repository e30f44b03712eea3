"""One booted system: systemd as process 1 in a container, over a writable layer that is thrown away.

The layers below are never written. Each container has a control group of its own, for two that share one
would kill each other's services.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from proving_ground.base import cgroup2, missing
from proving_ground.machine import ENVIRONMENT, Machine

_numbers = itertools.count()
_PR_SET_PDEATHSIG = 1
_POWER_OFF = signal.SIGRTMIN + 4
_ENTER = ("-m", "-u", "-i", "-n", "-p", "-C", "-w/")


class Container(Machine):
    """A system over `layers` (the uppermost first); a context manager. `namespace` is a network namespace,
    `options` are further ones of systemd-nspawn(1)."""

    def __init__(
        self,
        layers: tuple[Path, ...],
        folder: Path,
        namespace: Path | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.layers = layers
        self.folder = folder
        self.upper = folder / "upper"
        self.tree = folder / "tree"
        self._namespace = namespace
        self._options = options
        groups = cgroup2()
        assert groups is not None, missing()
        self._group = groups / f"vouchbox-{os.getpid()}-{next(_numbers)}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        for name in ("upper", "work", "tree"):
            (self.folder / name).mkdir(parents=True)
        below = ":".join(str(layer) for layer in self.layers)
        options = f"lowerdir={below},upperdir={self.upper},workdir={self.folder / 'work'}"
        _do("mount", "-t", "overlay", "overlay", "-o", options, str(self.tree))
        try:
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def run(
        self, *command: str, check: bool = True, text: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside; raises CalledProcessError with what it said."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), *_ENTER, *command],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            env=ENVIRONMENT | environment,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command as root inside without waiting for it."""
        return subprocess.Popen(
            ["nsenter", "-t", str(self._leader), *_ENTER, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )

    def host_pid(self, inside: int) -> int:
        """The number outside of a process whose number inside is known."""
        wanted = Path(f"/proc/{self._leader}/ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns" / "pid").readlink() == wanted:
                    status = (entry / "status").read_text()
                    numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                    if int(numbers[-1]) == inside:
                        return int(entry.name)
        raise AssertionError(f"no process {inside} in the container")

    def main_pid(self, unit: str) -> int:
        """The number outside of a unit's main process."""
        return self.host_pid(int(self.show(unit, "MainPID")))

    def power_off(self) -> None:
        """Shut down in good order: every buffer is on the disk image then."""
        nspawn = self._nspawn
        if nspawn is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._leader, _POWER_OFF)
        try:
            nspawn.wait(self.patience_s)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait()
        self._nspawn = None

    def close(self) -> None:
        """End it, however it is, and take the layers apart. The upper one stays for who wants to read it."""
        with contextlib.suppress(OSError):
            (self._group / "cgroup.kill").write_text("1")  # nspawn's own end would leave the system running
        if self._nspawn is not None:
            self._nspawn.wait()
            self._nspawn = None
        subprocess.run(["umount", "--lazy", str(self.tree)], check=False, capture_output=True)
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        deadline = time.monotonic() + 10.0
        while self._group.exists() and time.monotonic() < deadline:
            for path in sorted(self._group.rglob("*"), reverse=True):
                if path.is_dir():
                    with contextlib.suppress(OSError):
                        path.rmdir()
            with contextlib.suppress(OSError):
                self._group.rmdir()
            time.sleep(0.02)

    def _boot(self) -> None:
        self._group.mkdir()
        network = (
            "--private-network" if self._namespace is None else f"--network-namespace-path={self._namespace}"
        )
        with (self.folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--directory", str(self.tree), "--boot", "--keep-unit"),
                    *("--register=no", network, "--capability=all", "--system-call-filter=bpf"),
                    *("--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=ENVIRONMENT | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=self._join,
            )
        deadline = time.monotonic() + self.patience_s
        while not self._up():
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "console").read_text(errors="replace")
                raise AssertionError(f"the container did not boot:\n{said}")
            time.sleep(0.05)

    def _join(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def _up(self) -> bool:
        assert self._nspawn is not None
        pid = self._nspawn.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            own = Path("/proc/self/ns/pid").readlink()
            inits = [child for child in children if Path(f"/proc/{child}/ns/pid").readlink() != own]
        except OSError:
            return False
        if not inits:
            return False
        self._leader = int(inits[0])
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
            "running",
            "degraded",
        )


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
