"""Lets the kernel run another machine's programs for as long as an image is made, through qemu-user-static.

Many systems have this registered already (the Debian package does it where systemd runs). Where it is
missing it is added and taken away again; see Documentation/admin-guide/binfmt-misc.rst of Linux.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_REGISTRY = Path("/proc/sys/fs/binfmt_misc")
_NAME = "vouchbox-aarch64"
_PROGRAM = "qemu-aarch64-static"
# The head of an ELF file for EM_AARCH64 (183), little-endian, executable or shared object.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_FLAGS = "OCF"
"""F: the emulator is opened now, so that it is also found from inside a chroot."""


@contextlib.contextmanager
def emulated(arch: str) -> Iterator[None]:
    """Within, programs of `arch` (Debian's name) run; raises SystemExit where they can't."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
    if platform.machine() == machine or _runs(arch):
        yield
        return
    program = shutil.which(_PROGRAM)
    if program is None:
        raise SystemExit(f"{_PROGRAM} is missing: apt install qemu-user-static.")
    if not (_REGISTRY / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_REGISTRY)], check=True)
    (_REGISTRY / "register").write_text(f":{_NAME}:M::{_MAGIC}:{_MASK}:{program}:{_FLAGS}")
    try:
        yield
    finally:
        (_REGISTRY / _NAME).write_text("-1")


def _runs(arch: str) -> bool:
    return subprocess.run(["arch-test", arch], capture_output=True, check=False).returncode == 0
