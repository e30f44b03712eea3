"""`vouchbox doctor` as a command: its exit codes, its two forms, and what it never says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec


def doctor(box: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vouchbox", "doctor", "--config", str(box.path), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fault_ends_with_1_and_stands_in_both_forms_with_its_fix(box: Any) -> None:
    box.config.box.state.chmod(0o755)
    told = doctor(box, "--only", "disk")
    assert told.returncode == 1
    assert told.stderr == ""
    line = next(line for line in told.stdout.splitlines() if line.startswith("FAULT"))
    assert "chmod 700" in line
    assert told.stdout.splitlines()[-1].startswith("1 fault, ")

    said = doctor(box, "--only", "disk", "--json")
    assert said.returncode == 1
    document = json.loads(said.stdout)
    assert document["faults"] == 1
    (fault,) = [each for each in document["findings"] if each["result"] == "fault"]
    assert fault.keys() == {"check", "result", "what", "fix"}
    assert fault["what"] in line
    assert fault["fix"] in line


def test_no_fault_ends_with_0(box: Any) -> None:
    told = doctor(box, "--only", "disk", "--only", "relying-parties")
    assert told.returncode == 0, told.stdout
    assert told.stdout.splitlines()[-1].startswith("0 faults, ")


def test_a_wrong_option_ends_with_2_and_a_missing_configuration_is_a_fault(box: Any) -> None:
    assert doctor(box, "--only", "weather").returncode == 2
    box.path.unlink()
    told = doctor(box)
    assert told.returncode == 1
    assert f"can't read {box.path}" in told.stdout


def test_the_walls_are_not_called_ok_where_nothing_can_be_felt(box: Any) -> None:
    found = [each for each in box.examine("sandbox", "units") if each.check != "configuration"]
    assert len(found) == 6
    assert {each.result.value for each in found} == {"not checked"}
    assert all("systemd" in each.what for each in found)


def test_no_secret_and_no_pixel_is_ever_said(box: Any) -> None:
    said = "\n".join(
        (doctor(box, "--only", "keys", "--only", "camera", *form).stdout) for form in ((), ("--json",))
    )
    assert "signs" in said
    assert "frames of 64x48" in said
    for name in ("signing.jwk", "seal.key", "template.key"):
        text = (box.config.vault.keys / name).read_text().strip()
        secret = msgspec.json.decode(text)["d"] if text.startswith("{") else text
        assert secret[:12] not in said
    assert max(len(line) for line in said.splitlines()) < 400


def test_a_table_of_what_it_checks_stands_in_the_handbook_of_the_box() -> None:
    handbook = (Path(__file__).resolve().parents[2] / "systemd" / "README.md").read_text()
    assert "## When something is wrong" in handbook
