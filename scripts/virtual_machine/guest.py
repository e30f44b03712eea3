"""One running virtual machine: qemu, a copy of a disk, and a serial line to the agent in it.

It dies with the process that started it. Its network, if it gets one, is qemu's user networking in the
network namespace that was given: it reaches what that namespace reaches, and nothing reaches it.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from proving_ground.machine import ENVIRONMENT, Machine
from virtual_machine.agent import Agent, AgentSilent
from virtual_machine.image import Image

BOOT_S = 1800.0
"""How long a boot may take: everything is emulated, and other work may have the processor."""

MEMORY_MIB = 2048
PROCESSORS = 4
COUNTED = ("-smp", "1", "-icount", "shift=0,sleep=on")
"""Time by instructions, one a nanosecond: the guest then has the pace of a processor that is about as fast
as one core of a Pi 4, however slow or busy this computer is, and every watchdog and deadline holds as on a
box."""

PATIENT = (
    f"systemd.default_timeout_start_sec={int(BOOT_S)}",
    f"systemd.default_device_timeout_sec={int(BOOT_S)}",
    "systemd.getty_auto=no",
)
"""systemd's 90 seconds are short where every instruction is emulated. Units that set times of their own, as
ours do, are not changed by this. Nobody logs in. See kernel-command-line(7)."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Board:
    """How qemu makes a machine of one architecture."""

    program: str
    options: tuple[str, ...]
    console: str


BOARDS = {
    # The processor of the Raspberry Pi 4 on qemu's own board, for its Pi has neither PCI nor a fast disk.
    "arm64": Board("qemu-system-aarch64", ("-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg"), "ttyAMA0"),
    # The least that today's numpy takes. KVM inside a virtual machine is not to be relied on.
    "amd64": Board("qemu-system-x86_64", ("-M", "q35", "-cpu", "Nehalem", "-accel", "tcg"), "ttyS0"),
}


class Guest(Machine):
    """A context manager; `disk` is written, `more` are disks that are only read, `namespace` gives a network.

    `counted`: the guest's time goes by its instructions (see COUNTED), else with this computer's.
    """

    patience_s = BOOT_S

    def __init__(
        self,
        image: Image,
        disk: Path,
        more: tuple[Path, ...] = (),
        namespace: Path | None = None,
        *,
        counted: bool = False,
    ) -> None:
        self.booted_s = 0.0
        """Seconds until systemd had started all there is to start."""
        self._pace = COUNTED if counted else ("-smp", str(PROCESSORS))
        self._image, self._disk, self._more, self._namespace = image, disk, more, namespace
        # The socket's path must be short (108 bytes).
        self._folder = Path(tempfile.mkdtemp(prefix="vouchbox-guest-"))
        self._console = self._folder / "console"
        self._qemu: subprocess.Popen[bytes] | None = None
        self._agent: Agent | None = None

    def __enter__(self) -> Self:
        began = time.monotonic()
        try:
            self._start()
            # Degraded counts: a unit that failed is the matter of whoever looks for it.
            self.run("timeout", str(int(BOOT_S)), "systemctl", "is-system-running", "--wait", check=False)
        except BaseException:
            self.close()
            raise
        self.booted_s = time.monotonic() - began
        return self

    def run(
        self, *command: str, check: bool = True, text: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside; raises AssertionError with what it said, or when the guest is
        dead."""
        if self._agent is None:
            raise AssertionError("the virtual machine does not run")
        try:
            ended = self._agent.execute(command, ENVIRONMENT | environment, text)
        except (AgentSilent, OSError) as problem:
            raise self._lost(problem) from problem
        if check and ended.code:
            raise AssertionError(f"{command} ended with {ended.code}:\n{ended.said}{ended.complained}")
        return subprocess.CompletedProcess(command, ended.code, ended.said, ended.complained)

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Make a file inside, its folder too."""
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("tee", path, text=text)
        self.run("chmod", mode, path)

    def set_clock(self) -> None:
        """Give it this computer's time, for one whose time is counted falls behind."""
        self.run("date", "--utc", "--set", f"@{time.time():.3f}")

    def power_off(self) -> None:
        """Shut down in good order: every buffer is on the disk then."""
        if self._agent is not None and self._qemu is not None:
            self._agent.shut_down()
            self._qemu.wait(BOOT_S)
        self.close()

    def close(self) -> None:
        """End it, however it is; safe to call twice."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        line = self._folder / "agent"
        with (self._folder / "qemu").open("wb") as log:
            self._qemu = subprocess.Popen(
                self._command(line), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_us
            )
        try:
            while not line.exists():
                if self._qemu.poll() is not None:
                    raise AgentSilent((self._folder / "qemu").read_text(errors="replace"))
                time.sleep(0.05)
            self._agent = Agent(line, BOOT_S)
            self._agent.greet()
        except (AgentSilent, OSError) as problem:
            raise self._lost(problem) from problem

    def _command(self, line: Path) -> list[str]:
        board = BOARDS[self._image.arch]
        within = [] if self._namespace is None else ["nsenter", f"--net={self._namespace}"]
        quick = "cache=unsafe"  # a disk that is thrown away needs no fsync
        command = [*within, board.program, *board.options, *self._pace]
        command += ["-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-no-reboot"]
        command += ["-display", "none", "-serial", f"file:{self._console}"]
        command += ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        command += [
            "-append",
            " ".join(("root=/dev/vda rw quiet panic=-1", f"console={board.console}", *PATIENT)),
        ]
        for path, how in ((self._disk, quick), *((path, "readonly=on") for path in self._more)):
            command += ["-drive", f"if=virtio,format=raw,file={path},{how}"]
        command += [
            "-device",
            "virtio-serial-pci",
            "-chardev",
            f"socket,id=agent,path={line},server=on,wait=off",
        ]
        command += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        command += ["-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"]
        if self._namespace is not None:
            command += ["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile="]
        return command

    def _lost(self, problem: Exception) -> AssertionError:
        said = ""
        for path in (self._folder / "qemu", self._console):
            with contextlib.suppress(OSError):
                said += path.read_text(errors="replace")[-4000:]
        return AssertionError(f"the virtual machine is lost: {problem}\n{said}")


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
