"""Keys are never made where the next start would not find them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vouchbox.cli.setup import lasting
from vouchbox.cli.setup.lasting import Mounts
from vouchbox.errors import ConfigError

DISK = "22 1 8:1 / / rw,relatime - ext4 /dev/mmcblk0p2 rw"
MEMORY = "30 22 0:30 / {place} rw - tmpfs tmpfs rw"
OVERLAY = "40 1 0:40 / / rw - overlay overlay rw,lowerdir=/ro,upperdir={upper},workdir=/w"


@pytest.mark.parametrize(
    ("lines", "cmdline", "lasting_"),
    [
        ([DISK], "", True),
        ([DISK, MEMORY.format(place="/etc")], "", False),
        ([DISK, MEMORY.format(place="/etc/vouchboxes")], "", True),
        ([MEMORY.format(place="/"), DISK], "", True),
        ([OVERLAY.format(upper="/nowhere/at/all")], "", True),
        ([OVERLAY.format(upper="/nowhere/at/all")], "root=x boot=overlay quiet", False),
        ([OVERLAY.format(upper="/nowhere/at/all")], "overlayroot=tmpfs:recurse=0", False),
        ([OVERLAY.format(upper="/usr"), MEMORY.format(place="/usr")], "", False),
        (
            [
                OVERLAY.format(upper="/usr"),
                MEMORY.format(place="/usr"),
                DISK.replace(" / / ", " /x /etc/vouchbox "),
            ],
            "boot=overlay",
            True,
        ),
    ],
    ids=["disk", "memory", "memory elsewhere", "covered", "container", "pi", "overlayroot", "seen", "bound"],
)
def test_a_place_in_memory_is_told_from_one_on_a_disk(lines: list[str], cmdline: str, lasting_: bool) -> None:
    assert Mounts("\n".join(lines), cmdline).lasting(Path("/etc/vouchbox/keys")) is lasting_


def test_keys_are_not_made_in_memory(tmp_path: Path) -> None:
    lasting.require(tmp_path / "not" / "there" / "yet", Mounts(DISK, ""))
    with pytest.raises(ConfigError, match="gone after a restart"):
        lasting.require(tmp_path / "not" / "there" / "yet", Mounts(MEMORY.format(place="/"), ""))
