"""The DET plot is a PNG with a panel for each kind; without anything to draw it says so."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import cv2
import pytest

from vouchbox.errors import EvaluationError, UsageError
from vouchbox.evaluation.plot import draw_det
from vouchbox.evaluation.report import Errors, errors


def figures() -> Errors:
    draw = random.Random(1)

    def scores(species: str, middle: float, count: int) -> list[tuple[str, float]]:
        return [(species, min(1.0, max(0.0, draw.gauss(middle, 0.2)))) for _ in range(count)]

    return errors([*scores("", 0.7, 60), *scores("print", 0.4, 40), *scores("replay", 0.5, 40)], 0.5)


def test_each_kind_has_a_panel(tmp_path: Path) -> None:
    draw_det([("video", figures())], tmp_path / "one.png")
    draw_det([("video", figures()), ("crop", figures())], tmp_path / "deep" / "two.png")
    one, two = cv2.imread(str(tmp_path / "one.png")), cv2.imread(str(tmp_path / "deep" / "two.png"))
    assert two.shape[1] > 1.8 * one.shape[1]
    assert one.std() > 5.0


def test_a_set_of_one_class_is_drawn_as_a_sentence(tmp_path: Path) -> None:
    draw_det([("video", errors([("", 0.5)], 0.5))], tmp_path / "none.png")
    assert cv2.imread(str(tmp_path / "none.png")).std() > 1.0


def test_a_plot_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="can't be written"):
        draw_det([("video", figures())], tmp_path)


def test_without_matplotlib_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install 'vouchbox\[evaluation\]'"):
        draw_det([("video", figures())], tmp_path / "plot.png")
