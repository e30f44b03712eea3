"""`vouchbox evaluate pad` from end to end on public-domain pictures: figures, plot, cache, and bad input."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox import cli
from vouchbox.evaluation.scoring import BoxScorer

Write = Callable[[Sequence[Sequence[str]]], Path]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `vouchbox evaluate pad` in this process; exit code, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        fixed = ("--plot", tmp_path / "out" / "pad.png", "--cache", tmp_path / "cache.sqlite", "--workers", 1)
        line = ["vouchbox", "evaluate", "pad", *map(str, fixed), *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        try:
            cli.main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def labelled(
    tmp_path: Path,
    write: Write,
    portrait: NDArray[np.uint8],
    png_of: Callable[..., str],
    clip_of: Callable[..., str],
) -> Path:
    """A clip, two whole scenes of which one shows nobody, and three crops of which one shows a wall."""
    wall = np.random.default_rng(1).integers(90, 160, (200, 160, 3), np.uint8)
    crop = np.ascontiguousarray(portrait[40:230, 140:310])
    return write(
        [
            (clip_of(portrait, tmp_path / "clip.avi"), "video", "bonafide", "none"),
            (png_of(portrait, tmp_path / "scene.png"), "full", "bonafide", "none"),
            (png_of(wall, tmp_path / "wall.png"), "full", "attack", "print"),
            (png_of(crop, tmp_path / "crop.png"), "crop", "bonafide", "none", "", "yes"),
            (png_of(crop[:, ::-1], tmp_path / "mirrored.png"), "crop", "attack", "replay"),
            (png_of(wall[:120], tmp_path / "brick.png"), "crop", "attack", "print [old]"),
        ]
    )


def by_kind(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["kind"]: part for part in document["kinds"]}


def test_figures_plot_and_json_come_out_and_nobody_is_dropped(
    command: Run, labelled: Path, tmp_path: Path
) -> None:
    code, out, _ = command("--manifest", labelled)
    assert code == 0
    document = json.loads((tmp_path / "out" / "pad.json").read_text())
    kinds = by_kind(document)
    assert {name: (part["bona_fide"], part["attacks"]) for name, part in kinds.items()} == {
        "video": (1, 0),
        "full": (1, 1),
        "crop": (1, 2),
    }
    assert (kinds["full"]["no_face"], kinds["full"]["no_score"]) == (1, 1)
    assert kinds["full"]["per_presentation"]["shipped"]["species"][0]["apnrr"]["hits"] == 1
    assert kinds["crop"]["how"]["whole"] == 1
    assert kinds["crop"]["seen"] == 1
    assert kinds["crop"]["per_presentation"]["auc"] is not None
    assert "print [old]" in out
    assert {identity["role"] for identity in document["models"]} >= {"liveness", "detector"}
    assert cv2.imread(str(tmp_path / "out" / "pad.png")) is not None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"pad.png", "pad.json"}


def test_a_video_is_judged_as_a_whole_session(command: Run, labelled: Path) -> None:
    code, out, _ = command("--manifest", labelled, "--json")
    assert code == 0
    document = json.loads(out)
    video = by_kind(document)["video"]
    clip = next(one for one in document["presentations"] if one["path"] == "clip.avi")
    assert clip["looked"] == clip["faces"] == 45
    assert clip["score"] is not None
    assert clip["decision"]["tests"]["challenge"] == "not-run"
    assert sum(video["decision"][0]["outcomes"].values()) == 1
    assert video["per_frame"]["bona_fide"] == len(clip["frame_scores"]) > 1


def test_at_level_active_a_recording_is_never_live(command: Run, labelled: Path) -> None:
    _, out, _ = command("--manifest", labelled, "--json", "--level", "active")
    video = by_kind(json.loads(out))["video"]
    assert "live" not in video["decision"][0]["outcomes"]


def test_a_second_run_looks_at_nothing_and_says_the_same(
    command: Run, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = command("--manifest", labelled, "--json")

    def fail(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(BoxScorer, "score", fail)
    assert command("--manifest", labelled, "--json") == first


def test_the_cache_holds_numbers_and_no_name(command: Run, labelled: Path, tmp_path: Path) -> None:
    command("--manifest", labelled)
    with sqlite3.connect(tmp_path / "cache.sqlite") as database:
        entries = database.execute("SELECT key, value FROM score").fetchall()
    assert len(entries) == 6
    for key, value in entries:
        assert len(key) == 64
        assert len(value) < 4096
        assert not any(name in value for name in (b"clip", b"scene", b"crop.png", str(tmp_path).encode()))


def test_rows_that_trained_a_network_can_be_left_out(command: Run, labelled: Path, write: Write) -> None:
    _, out, _ = command("--manifest", labelled, "--json", "--held-out")
    assert by_kind(json.loads(out))["crop"]["bona_fide"] == 0
    code, _, err = command(
        "--manifest", write([("crop.png", "crop", "bonafide", "", "", "yes")]), "--held-out"
    )
    assert code == 2
    assert "train=yes" in err


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        (("missing.mp4", "video", "bonafide", ""), 2, "missing.mp4, which does not exist"),
        (("text.mp4", "video", "bonafide", ""), 1, "text.mp4 can't be used"),
        (("text.mp4", "crop", "bonafide", ""), 1, "text.mp4 is no picture"),
        (("text.mp4", "video", "fake", ""), 2, "unknown label 'fake'"),
        (("text.mp4", "film", "bonafide", ""), 2, "unknown kind 'film'"),
        (None, 2, "lists no presentation"),
    ],
)
def test_bad_input_is_one_sentence_with_its_exit_code(
    command: Run, write: Write, tmp_path: Path, row: tuple[str, ...] | None, code: int, said: str
) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    ran = command("--manifest", write([] if row is None else [row]))
    assert (ran[0], ran[1]) == (code, "")
    assert said in ran[2]
    assert ran[2].startswith("vouchbox: ")
    assert ran[2].strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_options_that_contradict_each_other_are_usage_errors(
    command: Run, labelled: Path, tmp_path: Path
) -> None:
    assert command("--manifest", labelled, "--no-cache")[0] == 2
    assert command("--manifest", labelled, "--report", tmp_path / "out" / "pad.png")[0] == 2
    assert command("--manifest", labelled, "--level", "psychic")[0] == 2


def test_help_has_an_example(command: Run) -> None:
    assert "Example: vouchbox evaluate pad" in command("--help")[1]
