"""The units as files: how exposed they are, that systemd understands every line, and what they must say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "systemd"
EXPOSURE = {"vision": 1.0, "vault": 1.0, "uplink": 1.5}
"""The most that `systemd-analyze security` may find, of 10."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def unit(room: str) -> str:
    return (UNITS / f"vouchbox-{room}.service").read_text()


def values(room: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit(room), re.MULTILINE)


def exposure(path: Path) -> tuple[float, str]:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level .*?: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1]), done.stderr


@needs_systemd
@pytest.mark.parametrize("room", EXPOSURE)
def test_a_room_is_hardly_exposed_and_systemd_knows_each_of_its_lines(room: str, tmp_path: Path) -> None:
    level, complaint = exposure(UNITS / f"vouchbox-{room}.service")
    assert level <= EXPOSURE[room]
    assert complaint == "", "an unknown key is only a warning to systemd"

    bare = tmp_path / f"vouchbox-{room}.service"
    bare.write_text("[Service]\nExecStart=/bin/true\nNoSuchKey=yes\n")
    level, complaint = exposure(bare)
    assert level > 5
    assert "NoSuchKey" in complaint, "the check must see an unknown key"


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    def complaints() -> str:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *sorted(str(path) for path in tmp_path.iterdir())],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    for path in [*UNITS.glob("*.service"), *UNITS.glob("*.target")]:
        text = path.read_text().replace("/usr/bin/vouchbox", sys.executable)
        (tmp_path / path.name).write_text(text)
    assert complaints() == ""
    broken = tmp_path / "vouchbox-vault.service"
    broken.write_text(broken.read_text().replace("Restart=always", "Restart=allways"))
    assert "allways" in complaints()


@pytest.mark.parametrize("room", EXPOSURE)
def test_a_room_is_watched_and_restarted_within_limits(room: str) -> None:
    assert values(room, "Type") == ["notify"]
    assert values(room, "Restart") == ["always"]
    assert 0 < int(values(room, "WatchdogSec")[0]) <= 90
    assert values(room, "WatchdogSignal") == ["SIGKILL"]
    assert int(values(room, "StartLimitBurst")[0]) > 1
    assert int(values(room, "StartLimitIntervalSec")[0]) > int(values(room, "RestartSec")[0])


@pytest.mark.parametrize("room", EXPOSURE)
def test_a_room_is_never_swapped_out_and_leaves_no_core(room: str) -> None:
    assert values(room, "MemorySwapMax") == ["0"]
    assert values(room, "LimitCORE") == ["0"]


def test_vision_may_lock_its_memory_and_sees_the_processor() -> None:
    assert values("vision", "LimitMEMLOCK") == ["infinity"]
    assert values("vision", "ProcSubset") == [], "without /proc/cpuinfo TFLite runs ten times slower"


def test_the_box_lists_each_setting_and_loads() -> None:
    from vouchbox import config

    box = config.load(UNITS / "vouchbox.toml")
    assert box.vault.users == {room: f"vouchbox-{room}" for room in ("vision", "uplink", "kiosk")} | {
        "counter": "vouchbox-kiosk"
    }
    assert box.vision.require_locked_memory
    made = re.findall(r"^u (\S+) ", (UNITS / "sysusers.conf").read_text(), re.MULTILINE)
    assert set(box.vault.users.values()) < set(made)
    assert {values(room, "User")[0] for room in EXPOSURE} < set(made)
