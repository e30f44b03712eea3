"""What the pure parts of the doctor make of facts that no test machine can show for real."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vouchbox.doctor import clock, disk, memory, unit_file, units, walls
from vouchbox.doctor.finding import Result
from vouchbox.doctor.machine import READ, WRITE, Account
from vouchbox.doctor.rounds import FAMILIES
from vouchbox.doctor.walls import Limits, Standing

TABLE = "Filename Type Size Used Priority\n"


# --- clock --------------------------------------------------------------------------------------------
def test_a_clock_is_ok_only_when_it_is_synchronised_and_not_behind() -> None:
    def result(now: float, synchronised: bool, past: float) -> Result:
        (finding,) = clock.judge(now, synchronised, {"the last entry": past})
        assert (finding.result is Result.OK) != bool(finding.fix)
        return finding.result

    assert result(1_000.0, True, 900.0) is Result.OK
    assert result(1_000.0, False, 900.0) is Result.WARNING
    assert result(1_000.0, True, 1_100.0) is Result.FAULT
    assert result(1_000.0, False, 1_100.0) is Result.FAULT
    assert result(1_000.0, True, 1_010.0) is Result.OK, "two clocks differ by some seconds"


# --- memory -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("lines", "barred", "result"),
    [
        ("", {}, Result.OK),
        ("/dev/sda2 partition 1 0 -2\n", {}, Result.FAULT),
        ("/dev/sda2 partition 1 0 -2\n", {"vision": True, "vault": False}, Result.FAULT),
        ("/dev/sda2 partition 1 0 -2\n", {"vision": True, "vault": True}, Result.OK),
        ("/dev/zram0 partition 1 0 100\n", {}, Result.WARNING),
        ("/dev/zram0 partition 1 0 100\n/var/swap file 1 0 -2\n", {}, Result.FAULT),
    ],
)
def test_swap_is_a_fault_unless_no_room_can_get_into_it(
    lines: str, barred: dict[str, bool], result: Result
) -> None:
    assert memory.swap(TABLE + lines, barred).result is result


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ("core\n", Result.OK),
        ("/var/crash/core.%p\n", Result.OK),
        ("|/usr/lib/systemd/systemd-coredump %P %u\n", Result.OK),
        ("|/usr/bin/collect %p\n", Result.WARNING),
    ],
)
def test_a_collector_counts_only_when_it_heeds_no_limit(pattern: str, result: Result) -> None:
    assert memory.core(pattern).result is result


# --- disk and rights ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("free", "files", "read_only", "result"),
    [
        (10**9, 10**6, False, Result.OK),
        (10**9, -1, False, Result.OK),
        (10**8, 10**6, False, Result.WARNING),
        (10**6, 10**6, False, Result.FAULT),
        (10**9, 3, False, Result.FAULT),
        (10**9, 10**6, True, Result.FAULT),
    ],
)
def test_a_disk_without_bytes_without_files_or_without_writing_is_a_fault(
    free: int, files: int, read_only: bool, result: Result
) -> None:
    assert disk.room(free, files, read_only, Path("/var/lib/vouchbox")).result is result


def test_the_rights_of_a_user_come_from_owner_group_and_mode_in_this_order(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    facts = path.stat()
    owner = Account("owner", facts.st_uid or 4_000, facts.st_gid, frozenset())
    member = Account("member", 4_001, 4_001, frozenset({facts.st_gid}))
    stranger = Account("stranger", 4_002, 4_002, frozenset())
    for mode, allowed in (
        (0o640, (True, True, False)),
        (0o604, (True, False, True)),
        (0o060, (False, True, False)),
    ):
        seen = os.stat_result((0o100000 | mode, *facts[1:4], owner.uid, *facts[5:]))
        assert tuple(who.allows(seen, READ) for who in (owner, member, stranger)) == allowed
    assert not member.allows(os.stat_result((0o100640, *facts[1:])), WRITE)


def test_a_file_behind_a_closed_folder_is_out_of_reach(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    path = folder / "file"
    path.touch(mode=0o644)
    assert not Account("stranger", 4_002, 4_002, frozenset()).reaches(path, READ)
    assert not Account("anyone", 4_002, 4_002, frozenset()).reaches(tmp_path / "absent", READ)


# --- units --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "sub", "condition", "result", "word"),
    [
        ("active", "running", "yes", Result.OK, "runs"),
        ("failed", "failed", "yes", Result.FAULT, "failed"),
        ("activating", "auto-restart", "yes", Result.FAULT, "again and again"),
        ("activating", "start", "yes", Result.WARNING, "starting"),
        ("activating", "start", "often", Result.FAULT, "again and again"),
        ("inactive", "dead", "no", Result.WARNING, "lacks an identity"),
        ("inactive", "dead", "yes", Result.WARNING, "does not run"),
    ],
)
def test_the_state_of_a_unit_is_told_in_words(
    state: str, sub: str, condition: str, result: Result, word: str
) -> None:
    said = {"ActiveState": state, "SubState": sub, "ConditionResult": condition}
    finding = units.judge("vault", said | ({"NRestarts": "2"} if condition == "often" else {}))
    assert finding.result is result
    assert word in finding.what


def test_what_makes_a_wall_is_read_in_order_with_drop_ins_and_without_keys() -> None:
    text = """
# /usr/lib/systemd/system/vouchbox-vault.service
[Unit]
After=a.target
[Service]
Type=notify
ExecStart=/usr/bin/vouchbox vault
LoadCredential=seal.key:/etc/vouchbox/keys/seal.key
User=vouchbox-vault
; a comment
InaccessiblePaths=-/a \\
  -/b
PrivateNetwork=yes

# /etc/systemd/system/vouchbox-vault.service.d/hole.conf
[Service]
PrivateNetwork=
PrivateNetwork=no
[Install]
WantedBy=x
"""
    assert unit_file.walls(text) == [
        ("User", "vouchbox-vault"),
        ("InaccessiblePaths", "-/a  -/b"),
        ("PrivateNetwork", "no"),
    ]


def test_an_empty_value_takes_back_what_came_before_and_nothing_else() -> None:
    text = """[Service]
InaccessiblePaths=-/a
RestrictAddressFamilies=AF_UNIX
BindPaths=/b
BindReadOnlyPaths=/c
CapabilityBoundingSet=CAP_CHOWN
InaccessiblePaths=
RestrictAddressFamilies=
BindPaths=
CapabilityBoundingSet=
InaccessiblePaths=-/d
User=x
"""
    assert unit_file.walls(text) == [
        ("CapabilityBoundingSet", ""),
        ("InaccessiblePaths", "-/d"),
        ("User", "x"),
    ]


def test_every_wall_of_the_shipped_units_reaches_the_probe() -> None:
    folder = Path(__file__).resolve().parents[2] / "systemd"
    for room in walls.ROOMS:
        keys = {key for key, _ in unit_file.walls((folder / f"vouchbox-{room}.service").read_text())}
        assert keys >= {
            "User",
            "RestrictAddressFamilies",
            "SystemCallFilter",
            "InaccessiblePaths",
            "DevicePolicy",
        }
        assert keys.isdisjoint({"Type", "ExecStart", "LoadCredential", "Restart", "WatchdogSec"})


# --- walls --------------------------------------------------------------------------------------------
LIMITS = Limits(write=("/tmp",), secret=("/key",), device=("/dev/vcio",), needs=("/dev/video0",))
ANSWERS: dict[str, Any] = {
    "socket": {"inet": "EAFNOSUPPORT", "inet6": "EAFNOSUPPORT", "unix": "done"},
    "interfaces": ["lo"],
    "write": {"/tmp": "EROFS"},
    "secret": {"/key": "EACCES"},
    "device": {"/dev/vcio": "EPERM", "/dev/video0": "done"},
    "core": 0,
    "user": 990,
    "standing": {"Seccomp": "2", "Seccomp_filters": "9", "NoNewPrivs": "1", "CapBnd": "0" * 16},
}


def test_a_room_whose_every_wall_stands_is_ok() -> None:
    (finding,) = walls.judge("vision", LIMITS, ANSWERS, Standing(ANSWERS["standing"], own_network=True))
    assert finding.result is Result.OK
    (finding,) = walls.judge("vision", LIMITS, ANSWERS, None)
    assert finding.result is Result.OK


@pytest.mark.parametrize(
    ("changed", "what", "line"),
    [
        ({"socket": {**ANSWERS["socket"], "inet": "done"}}, "open a network socket (inet)", "AF_UNIX"),
        ({"socket": {**ANSWERS["socket"], "inet6": "done"}}, "open a network socket (inet6)", "AF_UNIX"),
        ({"interfaces": ["eth0", "lo"]}, "sees the network's interfaces", "PrivateNetwork=yes"),
        ({"write": {"/tmp": "done"}}, "write to /tmp", "ProtectSystem=strict"),
        ({"secret": {"/key": "done"}}, "open /key", "InaccessiblePaths="),
        ({"device": {**ANSWERS["device"], "/dev/vcio": "ENXIO"}}, "device /dev/vcio", "DevicePolicy=closed"),
        ({"device": {**ANSWERS["device"], "/dev/video0": "EACCES"}}, "can't open /dev/video0", "group"),
        ({"core": -1}, "core dump", "LimitCORE=0"),
        ({"user": 0}, "runs as root", "User=vouchbox-vision"),
        (
            {"standing": {**ANSWERS["standing"], "Seccomp": "0"}},
            "no system call is barred",
            "SystemCallFilter=",
        ),
        ({"standing": {**ANSWERS["standing"], "NoNewPrivs": "0"}}, "privileges", "NoNewPrivileges=yes"),
        ({"standing": {**ANSWERS["standing"], "CapBnd": "1"}}, "privileges", "CapabilityBoundingSet="),
    ],
)
def test_each_wall_that_fell_is_named_with_its_line(changed: dict[str, Any], what: str, line: str) -> None:
    found = walls.judge("vision", LIMITS, {**ANSWERS, **changed}, None)
    assert [each.result for each in found] == [Result.FAULT]
    assert what in found[0].what
    assert line.lower() in found[0].fix.lower()


def test_a_running_room_behind_other_walls_is_named_whatever_its_unit_says() -> None:
    for running in (
        Standing({**ANSWERS["standing"], "Seccomp": "0"}, own_network=True),
        Standing(ANSWERS["standing"], own_network=False),
    ):
        found = walls.judge("vision", LIMITS, ANSWERS, running)
        assert [each.result for each in found] == [Result.FAULT]
        assert "that runs now" in found[0].what
        assert "systemctl restart" in found[0].fix


def test_the_readme_lists_every_family() -> None:
    readme = Path(__file__).resolve().parents[2] / "device" / "vouchbox" / "doctor" / "README.md"
    rows = [line.split("`")[1] for line in readme.read_text().splitlines() if line.startswith("| `")]
    assert rows == list(FAMILIES)
