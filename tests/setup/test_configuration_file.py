"""The configuration is changed key by key: nothing of an operator's is lost, nothing wrong is written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from vouchbox.cli.setup import configuration_file
from vouchbox.cli.setup.configuration_file import Tables, edited
from vouchbox.errors import ConfigError

SHIPPED = (Path(__file__).resolve().parents[2] / "systemd" / "vouchbox.toml").read_text()


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (SHIPPED, {("box",): {"site": "berlin"}, ("camera",): {"frame-rate": 10}, ("uplink",): {"port": 1}}),
        (
            SHIPPED,
            {("vault", "token"): {"module": "/x.so"}, ("vault", "token", "environment"): {"P11_A": "#"}},
        ),
        ("", {("box",): {"site": "a", "device": "b"}}),
        ('[box]\nsite = "a # b" # remark\n', {("box",): {"site": 'quote " and \\ and #'}}),
        ("[ box ] # the box\n[camera]", {("box",): {"site": "x"}, ("camera",): {"pace": "fast"}}),
        ("[vision]\nrequire-locked-memory=true\n", {("vision",): {"require-locked-memory": False}}),
    ],
)
def test_the_new_text_says_the_old_plus_the_changes_and_every_remark_stays(
    text: str, changes: Tables
) -> None:
    new = edited(text, changes, "file")
    document = tomllib.loads(new)
    for table, values in changes.items():
        place = document
        for part in table:
            place = place[part]
        assert values.items() <= place.items()
    for line in text.splitlines():
        if "#" in line and line.lstrip().startswith("#"):
            assert line in new.splitlines()
    assert "remark" in new or "remark" not in text
    assert edited(new, changes, "file") == new


@pytest.mark.parametrize(
    "text",
    [
        'box = { site = "a", device = "b" }\n',
        'box.site = "a"\n',
        '[box]\nsite = """\n[camera]\n"""\n',
        '"box" = 3\n',
        "[[box]]\n",
        "[box\n",
    ],
)
def test_a_file_that_can_not_be_changed_in_place_is_refused_and_not_guessed_at(text: str) -> None:
    with pytest.raises(ConfigError, match=r"by hand|wrong|no table"):
        edited(text, {("box",): {"site": "x"}, ("camera",): {"source": "webcam:0"}}, "file")


def test_what_stood_there_before_is_kept_beside_it_each_time(tmp_path: Path) -> None:
    path = tmp_path / "vouchbox.toml"
    path.write_text(SHIPPED + "# my remark\n")
    path.chmod(0o640)
    texts = []
    for site in ("a", "b"):
        texts.append(path.read_text())
        made = configuration_file.draft(path, {("box",): {"site": site}})
        assert any("box.site" in line for line in made.differences)
        kept = configuration_file.write(made)
        assert kept is not None
        assert kept.read_text() == texts[-1]
    assert "# my remark" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    assert configuration_file.write(configuration_file.draft(path, {("box",): {"site": "b"}})) is None
    assert len(list(tmp_path.iterdir())) == 3


def test_a_wrong_value_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "vouchbox.toml"
    path.write_text(SHIPPED)
    with pytest.raises(ConfigError, match="port"):
        configuration_file.draft(path, {("uplink",): {"port": 70_000}})
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_an_edit_that_comes_between_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "vouchbox.toml"
    path.write_text(SHIPPED)
    made = configuration_file.draft(path, {("box",): {"site": "a"}})
    path.write_text(SHIPPED + "# written meanwhile\n")
    with pytest.raises(ConfigError, match="changed meanwhile"):
        configuration_file.write(made)
    assert path.read_text() == SHIPPED + "# written meanwhile\n"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
