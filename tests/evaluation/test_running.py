"""Scores are remembered by content, a broken-off run goes on, and an unreadable file ends the run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from vouchbox.errors import EvaluationError
from vouchbox.evaluation.cache import ScoreCache, key_of
from vouchbox.evaluation.manifest import Kind, Label, Presentation
from vouchbox.evaluation.running import WORTH_A_PROCESS, score_all
from vouchbox.evaluation.scores import Scored


@dataclass
class Reader:
    """Scores a file by its first byte; refuses a file that begins with `!`."""

    identity: str = "reader 1"
    read: int = 0

    def score(self, presentation: Presentation, digest: str) -> Scored:
        self.read += 1
        data = presentation.path.read_bytes()
        if data.startswith(b"!"):
            raise EvaluationError(f"{presentation.name} is broken", "take it out")
        return Scored(data[0] / 255, 0.5, (), 1, 1, digest[:4])


@dataclass(frozen=True)
class MakeReader:
    """Makes a reader, in another process too."""

    identity: str = "reader 1"

    def __call__(self) -> Reader:
        return Reader(self.identity)


def listed(folder: Path, contents: Sequence[bytes]) -> list[Presentation]:
    found = []
    for i, content in enumerate(contents):
        path = folder / f"{i}.bin"
        path.write_bytes(content)
        found.append(Presentation(path.name, path, Kind.CROP, Label.BONA_FIDE, "", "", False))
    return found


def test_a_second_run_looks_at_nothing(tmp_path: Path) -> None:
    files = listed(tmp_path, [b"a", b"b"])
    reader = Reader()
    for expected in (2, 2):
        with ScoreCache(tmp_path / "cache.sqlite") as cache:
            scored = score_all(files, lambda: reader, Scored, cache)
        assert reader.read == expected
        assert [round(255 * (one.score or 0)) for one in scored] == [97, 98]


def test_another_content_or_another_scorer_is_looked_at_again(tmp_path: Path) -> None:
    files = listed(tmp_path, [b"a", b"b"])
    with ScoreCache(None) as cache:
        score_all(files, Reader, Scored, cache)
        files[1].path.write_bytes(b"c")
        changed, other = Reader(), Reader("reader 2")
        assert round(255 * (score_all(files, lambda: changed, Scored, cache)[1].score or 0)) == 99
        score_all(files, lambda: other, Scored, cache)
    assert (changed.read, other.read) == (1, 2)


def test_what_was_scored_before_a_failure_is_not_lost(tmp_path: Path) -> None:
    files = listed(tmp_path, [b"a", b"!b", b"c"])
    with ScoreCache(None) as cache:
        with pytest.raises(EvaluationError, match=r"1\.bin is broken: take it out"):
            score_all(files, Reader, Scored, cache)
        files[1].path.write_bytes(b"b")
        reader = Reader()
        score_all(files, lambda: reader, Scored, cache)
    assert reader.read == 2


def test_processes_give_the_same_scores_in_the_same_order(tmp_path: Path) -> None:
    files = listed(tmp_path, [bytes([97 + i]) for i in range(WORTH_A_PROCESS)])
    steps: list[int] = []
    with ScoreCache(None) as cache:
        shared = score_all(files, MakeReader(), Scored, cache, workers=2, done=steps.append)
    with ScoreCache(None) as cache:
        alone = score_all(files, MakeReader(), Scored, cache)
    assert shared == alone
    assert sum(steps) == len(files)


def test_a_failure_in_a_process_arrives_as_its_sentence(tmp_path: Path) -> None:
    files = listed(tmp_path, [b"!"] * WORTH_A_PROCESS)
    with (
        ScoreCache(None) as cache,
        pytest.raises(EvaluationError, match=r"\.bin is broken: take it out\.$"),
    ):
        score_all(files, MakeReader(), Scored, cache, workers=2)


def test_a_damaged_entry_is_scored_again(tmp_path: Path) -> None:
    files = listed(tmp_path, [b"a"])
    path = tmp_path / "cache.sqlite"
    with ScoreCache(path) as cache:
        score_all(files, Reader, Scored, cache)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE score SET value = ?", (b'{"score": "high"}',))
    reader = Reader()
    with ScoreCache(path) as cache:
        assert score_all(files, lambda: reader, Scored, cache)[0].score == 97 / 255
    assert reader.read == 1


def test_a_file_that_is_no_cache_is_one_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("no database\n" * 100)
    with pytest.raises(EvaluationError, match=r"the cache precious\.txt can't be used"):
        ScoreCache(path)
    assert path.read_text().startswith("no database")


def test_a_cache_takes_no_picture(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "cache.sqlite") as cache, pytest.raises(ValueError, match="no score"):
        cache.put("key", bytes(640 * 480))


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
