"""The comparison gives every network the same presentations and says who did not answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from liveness_peers.comparison import compared, groups, markdown
from liveness_peers.registry import absent, networks
from vouchbox.errors import UsageError
from vouchbox.evaluation.manifest import Kind, Label, Presentation
from vouchbox.evaluation.scores import Scored


def row(
    name: str, species: str, seen: bool = False, **scores: float | None
) -> tuple[Presentation, dict[str, Scored]]:
    label = Label.ATTACK if species else Label.BONA_FIDE
    presentation = Presentation(name, Path(name), Kind.CROP, label, species, "", seen)
    return presentation, {
        network: Scored(score, 0.5, () if score is None else (score,), 1, 1, "found")
        for network, score in scores.items()
    }


ROWS = [
    *[row(f"one/{i}.png", "", a=0.9, b=0.6) for i in range(5)],
    *[row(f"one/{i + 5}.png", "print", a=0.1, b=0.7) for i in range(5)],
    row("two/1.png", "replay|phone", a=0.2, b=None),
    row("two/2.png", "", seen=True, a=0.8, b=0.9),
]


def test_groups_are_all_then_each_species_then_each_source_with_both_classes() -> None:
    found = {what: len(rows) for _, what, rows in groups(ROWS)}
    assert found == {"all": 12, "print": 11, "replay|phone": 7, "source one": 10}


def test_every_network_is_measured_on_the_same_presentations() -> None:
    whole = compared(ROWS, ["a", "b"])[0]
    assert (whole["bona_fide"], whole["attacks"]) == (6, 6)
    assert whole["networks"]["a"]["auc"] == 1.0
    assert whole["networks"]["a"]["no_score"] == 0
    assert whole["networks"]["b"]["no_score"] == 1
    assert whole["networks"]["b"]["at_bpcer_limit"]["apcer"] == {
        **whole["networks"]["b"]["shipped"]["apcer"],
        "hits": 5,
        "tries": 6,
    }


def test_the_table_has_a_column_for_each_network_and_names_silence() -> None:
    entries = [{"name": n, "note": "x", "bytes": 1234, "milliseconds": 1.0} for n in ("a", "b")]
    text = markdown(entries, compared(ROWS, ["a", "b"]))
    table = [line for line in text.splitlines() if line.startswith("| crop")]
    assert len(table) == 4
    assert all(line.replace("\\|", "").count("|") == 6 for line in table)
    assert "1 without a score" in table[0]
    assert "1,234" in text
    assert "| 6 / 6 (1 trained ours) |" in table[0]
    assert "| 5 / 5 |" in table[3]


def test_a_further_network_is_a_file_with_one_function(tmp_path: Path) -> None:
    path = tmp_path / "further.py"
    path.write_text(
        "from liveness_peers.network import Network\n"
        "class Half(Network):\n"
        "    name = 'half'\n"
        "    def judge(self, picture, box):\n"
        "        return 0.5\n"
        "def networks(models):\n"
        "    return [Half()]\n"
    )
    found = networks(tmp_path, None, (path,))
    assert [network.name for network in found] == ["half"]
    assert found[0].pool([0.1, 0.2, 0.9]) == 0.2
    assert len(absent(tmp_path)) == 4
    before = found[0].identity
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert networks(tmp_path, None, (path,))[0].identity != before


@pytest.mark.parametrize("content", [None, "x = 1\n"])
def test_a_wrong_addition_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "wrong.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError):
        networks(tmp_path, None, (path,))
