"""Can memory of a room reach a disk, as swap or as a core dump?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vouchbox.doctor.finding import Finding, fault, not_checked, ok, warning
from vouchbox.doctor.machine import Machine

COLLECTORS = ("systemd-coredump",)
"""Collectors of core dumps that leave a process alone whose limit is 0, which the rooms' units set."""

OFF = "switch it off (`swapoff -a`, and take it out of /etc/fstab, dphys-swapfile or rpi-swap)"
CONTROLLER = "add cgroup_enable=memory to /boot/firmware/cmdline.txt, so that MemorySwapMax=0 counts"


def swap(table: str, barred: Mapping[str, bool]) -> Finding:
    """Judge the text of /proc/swaps; `barred` says for each running room whether the kernel keeps it out."""
    names = [line.split()[0] for line in table.splitlines()[1:] if line.strip()]
    on_disk = [name for name in names if not name.rpartition("/")[2].startswith("zram")]
    if not names:
        return ok("swap", "swap is off")
    shown = ", ".join(names)
    if barred and all(barred.values()):
        return ok(
            "swap", f"swap is on ({shown}), and the kernel keeps {' and '.join(sorted(barred))} out of it"
        )
    if not on_disk:
        return warning("swap", f"swap is on, in compressed memory only ({shown})", f"{CONTROLLER}, or {OFF}")
    return fault(
        "swap",
        f"swap is on ({', '.join(on_disk)}), so what stands in the memory of a room may reach the disk",
        f"{OFF}; or {CONTROLLER}",
    )


def core(pattern: str) -> Finding:
    """Judge /proc/sys/kernel/core_pattern (core(5)): the rooms' limit of 0 does not bind every collector."""
    program = pattern.strip().removeprefix("|").split(" ")[0].rpartition("/")[2]
    if pattern.startswith("|") and program not in COLLECTORS:
        return warning(
            "core-dumps",
            f"core dumps go to {program}, which may keep one although the rooms' limit is 0",
            "run `sysctl kernel.core_pattern=core` and keep it in /etc/sysctl.d",
        )
    return ok("core-dumps", "no core dump is kept of a process whose limit is 0, as every room's is")


def check(machine: Machine, barred: Mapping[str, bool]) -> Iterator[Finding]:
    """Both, as this machine's kernel shows them."""
    for check_name, place, judge in (
        ("swap", "swaps", lambda text: swap(text, barred)),
        ("core-dumps", "sys/kernel/core_pattern", core),
    ):
        path = machine.proc / place
        try:
            yield judge(path.read_text())
        except OSError as problem:
            yield not_checked(check_name, f"can't read {path} ({problem.strerror})")
