"""From scores to figures: error rates for each species, the worst first, with counts and intervals.

Pure: labelled scores in, one document out. Presentations that got no score are counted as no response
(APNRR, BPNRR of ISO/IEC 30107-3): they stay in every denominator and are never dropped. Kinds of material
are never mixed, and no single figure averages APCER and BPCER away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from vouchbox.evaluation import curves
from vouchbox.evaluation.manifest import Kind, Presentation
from vouchbox.evaluation.rates import Rate
from vouchbox.evaluation.scores import Scored
from vouchbox.messages import Outcome

BPCER_LIMIT = 0.05
"""The share of bona fide presentations that may be refused at the second operating point."""

Score = float | None


class SpeciesErrors(Struct, frozen=True):
    """One PAI species at one threshold: APCER, APNRR, and the AUC against all bona fide presentations."""

    species: str
    apcer: Rate
    apnrr: Rate
    auc: float | None


class OperatingPoint(Struct, frozen=True):
    """All errors at one threshold, the species with the highest APCER first."""

    threshold: float
    bpcer: Rate
    bpnrr: Rate
    species: tuple[SpeciesErrors, ...]
    apcer: Rate


class Curve(Struct, frozen=True):
    """A DET curve of one species (or of `all`) as lists of one length."""

    species: str
    attacks: int
    apcer: tuple[float, ...]
    bpcer: tuple[float, ...]


class Errors(Struct, frozen=True):
    """What scores say: AUC and EER over all attacks, errors at the shipped threshold and at BPCER <= 5 %.
    Anything is None that a missing class leaves undefined. `bona_fide` and `attacks` count scores."""

    bona_fide: int
    attacks: int
    auc: float | None
    eer: float | None
    shipped: OperatingPoint | None
    at_bpcer_limit: OperatingPoint | None
    det: tuple[Curve, ...]


class DecisionErrors(Struct, frozen=True):
    """What whole sessions decided, of one species or of the bona fide ("bonafide"): outcomes, the status of
    each test, and the reasons given. `error` is APCER (outcome live) or BPCER (attack-suspected);
    `no_response` is any other outcome for the bona fide, and inconclusive for attacks."""

    species: str
    error: Rate
    no_response: Rate
    outcomes: dict[str, int]
    tests: dict[str, dict[str, int]]
    reasons: dict[str, int]


class KindReport(Struct, frozen=True):
    """All figures of one kind of material. `seen` counts rows that a network was trained on, `no_face`
    presentations without a face, `how` says how faces were found."""

    kind: Kind
    bona_fide: int
    attacks: int
    seen: int
    no_face: int
    no_score: int
    how: dict[str, int]
    per_presentation: Errors
    per_frame: Errors
    decision: tuple[DecisionErrors, ...]


Row = tuple[Presentation, Scored]


def kinds(rows: Iterable[Row]) -> tuple[KindReport, ...]:
    """One report for each kind that occurs, in the order of Kind."""
    listed = list(rows)
    return tuple(
        _kind(kind, of_kind) for kind in Kind if (of_kind := [r for r in listed if r[0].kind is kind])
    )


def errors(labelled: Sequence[tuple[str, Score]], threshold: float | None) -> Errors:
    """The figures of (species, score) pairs, species "" being bona fide and a score None where there was no
    response; `threshold` is the shipped one, None where it is not known."""
    good = [score for species, score in labelled if not species and score is not None]
    bad = [score for species, score in labelled if species and score is not None]
    whole = curves.det(good, bad)
    limit = curves.threshold_for(good, BPCER_LIMIT)
    return Errors(
        bona_fide=len(good),
        attacks=len(bad),
        auc=curves.area(good, bad),
        eer=None if whole is None else curves.equal_error(whole),
        shipped=None if threshold is None else operating_point(labelled, threshold),
        at_bpcer_limit=None if limit is None else operating_point(labelled, limit),
        det=tuple(_curves(good, labelled)),
    )


def operating_point(labelled: Sequence[tuple[str, Score]], threshold: float) -> OperatingPoint:
    """Errors of (species, score) pairs where a score of at least `threshold` passes as bona fide."""
    good = [score for species, score in labelled if not species]
    scored = _present(good)
    names = sorted({species for species, _ in labelled if species})
    rows = [_species(name, [s for n, s in labelled if n == name], scored, threshold) for name in names]
    rows.sort(key=lambda row: (-(row.apcer.rate or 0.0), -row.apcer.tries))
    return OperatingPoint(
        threshold=threshold,
        bpcer=Rate.of(len(scored) - curves.reaching(scored, threshold), len(good)),
        bpnrr=Rate.of(len(good) - len(scored), len(good)),
        species=tuple(rows),
        apcer=Rate.of(sum(r.apcer.hits for r in rows), sum(r.apcer.tries for r in rows)),
    )


def _species(name: str, scores: list[Score], bona_fide: list[float], threshold: float) -> SpeciesErrors:
    scored = _present(scores)
    return SpeciesErrors(
        species=name,
        apcer=Rate.of(curves.reaching(scored, threshold), len(scores)),
        apnrr=Rate.of(len(scores) - len(scored), len(scores)),
        auc=curves.area(bona_fide, scored),
    )


def _curves(good: list[float], labelled: Sequence[tuple[str, Score]]) -> Iterable[Curve]:
    names = sorted({species for species, _ in labelled if species})
    for name in ["all", *names] if len(names) > 1 else names:
        bad = _present(s for n, s in labelled if n and name in (n, "all"))
        curve = curves.det(good, bad)
        if curve is not None:
            apcer, bpcer = curve.apcer.round(6).tolist(), curve.bpcer.round(6).tolist()
            yield Curve(name, len(bad), tuple(apcer), tuple(bpcer))


def _present(scores: Iterable[Score]) -> list[float]:
    return [score for score in scores if score is not None]


def _kind(kind: Kind, rows: list[Row]) -> KindReport:
    threshold = next((scored.threshold for _, scored in rows if scored.threshold is not None), None)
    whole = [(presentation.species, scored.score) for presentation, scored in rows]
    frames = [(presentation.species, s) for presentation, scored in rows for s in scored.frame_scores]
    bona_fide = sum(presentation.bona_fide for presentation, _ in rows)
    return KindReport(
        kind=kind,
        bona_fide=bona_fide,
        attacks=len(rows) - bona_fide,
        seen=sum(presentation.seen for presentation, _ in rows),
        no_face=sum(not scored.faces for _, scored in rows),
        no_score=sum(scored.score is None for _, scored in rows),
        how=_counted(scored.how for _, scored in rows),
        per_presentation=errors(whole, threshold),
        per_frame=errors(frames, threshold),
        decision=tuple(_decisions(rows)),
    )


def _decisions(rows: list[Row]) -> Iterable[DecisionErrors]:
    found = []
    for species in sorted({presentation.species for presentation, _ in rows}):
        decided = [s.decision for p, s in rows if p.species == species and s.decision is not None]
        if not decided:
            continue
        outcomes = Counter(decision.outcome for decision in decided)
        wrong = outcomes[Outcome.LIVE if species else Outcome.ATTACK_SUSPECTED]
        answered = outcomes[Outcome.LIVE] + outcomes[Outcome.ATTACK_SUSPECTED]
        names = {name for decision in decided for name in decision.tests}
        found.append(
            DecisionErrors(
                species=species or "bonafide",
                error=Rate.of(wrong, len(decided)),
                no_response=Rate.of(len(decided) - answered, len(decided)),
                outcomes=_counted(decision.outcome.value for decision in decided),
                tests={
                    name.value: _counted(d.tests[name].value for d in decided if name in d.tests)
                    for name in sorted(names)
                },
                reasons=_counted(reason.value for d in decided for reason in d.reasons),
            )
        )
    return sorted(found, key=lambda row: (row.species == "bonafide", -(row.error.rate or 0.0)))


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
