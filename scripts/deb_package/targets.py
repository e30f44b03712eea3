"""For which systems packages are built: Debian suites with their Python, machines with their wheel tags."""

from __future__ import annotations

from dataclasses import dataclass

_GLIBC = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_36")
"""Versions of the C library whose wheels run on Debian 12 and everything newer (PEP 600)."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release; `mark` ends the package's version, so that a newer release has the higher one."""

    name: str
    mark: str
    python: str

    @property
    def requirements(self) -> str:
        """The locked list of this suite's wheels."""
        return f"requirements/box-py{self.python.replace('.', '')}.txt"


@dataclass(frozen=True, slots=True)
class Machine:
    """A Debian architecture and the machine's name in wheel tags and ELF files."""

    name: str
    wheels: str
    elf: int

    @property
    def platforms(self) -> list[str]:
        """pip's options for this machine's wheels."""
        tags = ["manylinux2014", *(f"manylinux_{version}" for version in _GLIBC)]
        return [word for tag in tags for word in ("--platform", f"{tag}_{self.wheels}")]


SUITES = {"bookworm": Suite("bookworm", "deb12", "3.11"), "trixie": Suite("trixie", "deb13", "3.13")}
MACHINES = {"amd64": Machine("amd64", "x86_64", 62), "arm64": Machine("arm64", "aarch64", 183)}
"""`elf` is e_machine of the ELF header: EM_X86_64, EM_AARCH64."""
