"""`vouchbox examine` and `bench` on clips: exit codes, one JSON document, one sentence for trouble."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox import cli


class Ran:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs `vouchbox ...` in this process, without the measures that would outlive the test."""
    monkeypatch.setattr("vouchbox.cli.examine.protect", lambda: None)

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vouchbox", *(str(word) for word in words)])
        try:
            cli.main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.mark.parametrize("level", ["passive", "active"])
def test_examine_prints_one_json_document_and_a_clip_is_live_at_most_at_level_passive(
    command: Callable[..., Ran], portrait_clip: Path, level: str
) -> None:
    ran = command("examine", portrait_clip, "--json", "--level", level)
    found = json.loads(ran.out)
    assert found["outcome"] != "live" or level == "passive"
    status = {test["name"]: test["status"] for test in found["tests"]}
    assert (found["outcome"] != "live") or status["passive"] == status["continuity"] == "success"
    assert ran.code == (3 if found["outcome"] == "inconclusive" else 0)
    assert found["source"]["kind"] == "clip"
    assert found["frames"] == 30
    assert found["wiped"] is True
    assert "embedding" not in found
    assert {component["name"] for component in found["quality"]} >= {"Sharpness", "HeadPose"}


def test_examine_for_people_says_what_it_saw(command: Callable[..., Ran], portrait_clip: Path) -> None:
    ran = command("examine", portrait_clip)
    assert "frames wiped" in ran.out
    assert "continuity" in ran.out


@pytest.mark.parametrize("name", ["missing.mp4", "empty.mp4", "text.mp4", "."])
def test_a_broken_clip_is_one_sentence_and_exit_code_1(
    command: Callable[..., Ran], tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    ran = command("examine", tmp_path / name, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("vouchbox: ")
    assert ran.err.strip().count("\n") == 0


def test_a_runtime_that_does_not_exist_is_a_usage_error(
    command: Callable[..., Ran], portrait_clip: Path
) -> None:
    assert command("examine", portrait_clip, "--runtime", "psychic").code == 2


def test_bench_measures_stages_sessions_and_the_ratio_to_the_floor(
    command: Callable[..., Ran], portrait_clip: Path
) -> None:
    ran = command("bench", portrait_clip, "--json", "--repeat", "1")
    assert ran.code == 0
    result = json.loads(ran.out)
    assert {"coarse", "face", "pose", "quality"} <= set(result["stages"])
    assert result["session"]["pipeline_to_floor"] > 1.0
    assert result["paced"]["last_frame_to_verdict_ms"] > 0.0
    assert result["start_up_s"] > 0.0
    assert result["peak_memory_mib"] > 10.0
    for figures in result["stages"].values():
        assert figures["median_ms"] <= figures["p95_ms"]


@pytest.mark.parametrize("name", ["examine", "bench"])
def test_help_has_an_example(command: Callable[..., Ran], name: str) -> None:
    assert f"Example: vouchbox {name}" in command(name, "--help").out


def test_nothing_but_the_document_reaches_standard_output(portrait_clip: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "vouchbox", "examine", str(portrait_clip), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 3)
    assert ran.stderr == ""
    assert json.loads(ran.stdout)["frames"] == 30
