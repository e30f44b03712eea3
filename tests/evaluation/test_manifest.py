"""A wrong manifest measures nothing: each mistake is one sentence, and nothing is dropped or guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.errors import UsageError
from vouchbox.evaluation.manifest import Kind, Label, read_manifest

GOOD = ("a.png", "crop", "bonafide", "none")


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")


def test_rows_are_read_in_order_and_paths_start_at_the_csv(write: Callable[..., Path]) -> None:
    rows = read_manifest(write([GOOD, ("b.png", "full", "attack", "print", "ann", "yes")]))
    assert [(r.kind, r.label, r.species, r.seen) for r in rows] == [
        (Kind.CROP, Label.BONA_FIDE, "", False),
        (Kind.FULL, Label.ATTACK, "print", True),
    ]
    assert rows[0].path.read_bytes() == b"x"
    assert rows[1].person == "ann"


def test_columns_may_stand_in_any_order_and_others_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("\ufefflabel,note,attack,path,kind\nattack,hello,print,a.png,crop\n", encoding="utf-8")
    assert read_manifest(path)[0].species == "print"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "lists no presentation"),
        ([("c.png", "crop", "bonafide", "")], "names c.png, which does not exist"),
        ([("c.png", "crop", "bonafide", ""), ("d", "crop", "bonafide", "")], "c.png and 1 more"),
        ([("a" * 5000, "crop", "bonafide", "")], "does not exist"),
        ([("", "crop", "bonafide", "")], "line 2 of the manifest names no file"),
        (
            [GOOD, ("b.png", "hologram", "bonafide", "")],
            "line 3 of the manifest has the unknown kind",
        ),
        ([("a.png", "crop", "maybe", "")], "unknown label 'maybe'"),
        ([("a.png", "crop", "attack", "")], "an attack of no species"),
        ([GOOD, GOOD], "names a.png twice"),
        ([(".", "crop", "bonafide", "")], "does not exist"),
    ],
)
def test_each_mistake_is_one_sentence(
    write: Callable[..., Path], rows: list[tuple[str, ...]], said: str
) -> None:
    with pytest.raises(UsageError) as problem:
        read_manifest(write(rows))
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)
    assert problem.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no column path, kind, label, attack"),
        (b"path,label\na.png,attack\n", "no column kind, attack"),
        (b"path,kind,label,attack\n\xff\xfe,crop,attack,print\n", "no CSV file in UTF-8"),
        (b'path,kind,label,attack\n"a.png,crop\n', "no CSV file in UTF-8"),
        (b"path,kind,label,attack\na.png\n", "unknown kind ''"),
        (b"path,kind,label,attack\na.png,crop,attack,print,too,many\n", ""),
    ],
)
def test_bytes_that_are_no_manifest_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes(content)
    if not said:
        assert read_manifest(path)[0].species == "print"
        return
    with pytest.raises(UsageError) as problem:
        read_manifest(path)
    assert said in str(problem.value)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        read_manifest(tmp_path / name)
