"""The report puts the worst species first, counts everybody, and mixes no kinds."""

from __future__ import annotations

from pathlib import Path

from vouchbox.evaluation.manifest import Kind, Label, Presentation
from vouchbox.evaluation.report import errors, kinds, operating_point
from vouchbox.evaluation.scores import Decision, Scored
from vouchbox.messages import Outcome, TestName, TestStatus
from vouchbox.reasons import Reason

LABELLED = [
    *[("", score) for score in (0.9, 0.8, 0.7, None)],
    *[("print", score) for score in (0.1, 0.2)],
    *[("replay", score) for score in (0.6, 0.1, None)],
]


def test_the_worst_species_comes_first_and_no_response_stays_in_the_count() -> None:
    point = operating_point(LABELLED, 0.5)
    assert [(row.species, row.apcer.hits, row.apcer.tries) for row in point.species] == [
        ("replay", 1, 3),
        ("print", 0, 2),
    ]
    assert (point.bpcer.hits, point.bpcer.tries) == (0, 4)
    assert (point.bpnrr.hits, point.bpnrr.tries) == (1, 4)
    assert (point.species[0].apnrr.hits, point.species[0].apnrr.tries) == (1, 3)
    assert (point.apcer.hits, point.apcer.tries) == (1, 5)


def test_a_score_on_the_threshold_passes() -> None:
    point = operating_point([("", 0.5), ("print", 0.5)], 0.5)
    assert (point.bpcer.hits, point.apcer.hits) == (0, 1)


def test_figures_hold_a_curve_for_all_and_for_each_species() -> None:
    figures = errors(LABELLED, 0.5)
    assert [(curve.species, curve.attacks) for curve in figures.det] == [
        ("all", 4),
        ("print", 2),
        ("replay", 2),
    ]
    assert (figures.bona_fide, figures.attacks, figures.auc, figures.eer) == (3, 4, 1.0, 0.0)
    assert figures.at_bpcer_limit is not None
    assert figures.at_bpcer_limit.threshold == 0.7


def test_a_set_of_one_class_has_counts_but_no_curve() -> None:
    figures = errors([("", 0.9), ("", 0.1)], 0.5)
    assert (figures.auc, figures.eer, figures.det) == (None, None, ())
    assert figures.shipped is not None
    assert figures.shipped.bpcer.hits == 1
    assert figures.shipped.species == ()


def _row(
    kind: Kind, species: str, score: float | None, outcome: Outcome | None = None, faces: int = 1
) -> tuple[Presentation, Scored]:
    label = Label.ATTACK if species else Label.BONA_FIDE
    reasons = (Reason.NO_FACE,) * (score is None)
    tests = {TestName.PASSIVE: TestStatus.NOT_RUN if score is None else TestStatus.SUCCESS}
    return (
        Presentation("x", Path("x"), kind, label, species, "", False),
        Scored(
            score=score,
            threshold=None if score is None else 0.5,
            frame_scores=() if score is None else (score, score),
            looked=2,
            faces=faces,
            how="session",
            decision=None if outcome is None else Decision(outcome, reasons, tests),
        ),
    )


def test_kinds_are_never_mixed_and_a_presentation_without_a_face_is_counted() -> None:
    found = kinds(
        [
            _row(Kind.CROP, "", 0.9),
            _row(Kind.VIDEO, "", 0.8, Outcome.LIVE),
            _row(Kind.VIDEO, "", None, Outcome.INCONCLUSIVE, faces=0),
            _row(Kind.VIDEO, "print", 0.9, Outcome.LIVE),
        ]
    )
    assert [part.kind for part in found] == [Kind.VIDEO, Kind.CROP]
    video = found[0]
    assert (video.bona_fide, video.attacks, video.no_face, video.no_score) == (2, 1, 1, 1)
    assert video.per_frame.bona_fide == 2
    assert found[1].decision == ()


def test_a_decision_counts_live_attacks_as_errors_and_silence_as_silence() -> None:
    found = kinds(
        [
            _row(Kind.VIDEO, "", 0.8, Outcome.LIVE),
            _row(Kind.VIDEO, "", 0.2, Outcome.ATTACK_SUSPECTED),
            _row(Kind.VIDEO, "", None, Outcome.INCONCLUSIVE, faces=0),
            _row(Kind.VIDEO, "print", 0.9, Outcome.LIVE),
            _row(Kind.VIDEO, "print", 0.1, Outcome.ATTACK_SUSPECTED),
            _row(Kind.VIDEO, "replay", 0.1, Outcome.INCONCLUSIVE),
        ]
    )[0].decision
    assert [(row.species, row.error.hits, row.error.tries, row.no_response.hits) for row in found] == [
        ("print", 1, 2, 0),
        ("replay", 0, 1, 1),
        ("bonafide", 1, 3, 1),
    ]
    assert found[2].reasons == {"no-face": 1}
    assert found[2].tests["passive"] == {"not-run": 1, "success": 2}
