"""What the liveness network learns from: training rows only, one camera for both classes. Its calibration."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from liveness_training import calibration, retouching, samples
from liveness_training.calibration import Calibration, Said
from liveness_training.hints import BYTE, KEPT, PIXELS, SIDES, Basis, Maps, mirrored, resampled
from liveness_training.material import Row, Sight, rows, training_rows
from liveness_training.variation import varied
from vouchbox.vision.passive import CLIP

HEAD = "path,kind,label,attack,person,width,height,frames,fps,licence,train,note,sha1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "liveness.csv").write_text(
        HEAD
        + "a/one.mp4,video,bonafide,none,ann,640,480,10,25,MIT,yes,,0\n"
        + "b/two.mp4,video,attack,replay_phone,bob,640,480,10,25,unknown,no,,0\n"
        + "c/three.png,crop,attack,print,cid,100,100,,,research,,,0\n"
    )
    (tmp_path / "pypi_public_domain").mkdir()
    (tmp_path / "pypi_public_domain" / "portrait2.jpg").touch()
    return tmp_path


def test_only_rows_marked_for_training_and_the_public_domain_portraits_are_learnt_from(folder: Path) -> None:
    learnt = training_rows(folder)
    assert [(row.path, row.person) for row in learnt] == [
        ("a/one.mp4", "ann"),
        ("pypi_public_domain/portrait2.jpg", "portrait"),
    ]
    assert len(rows(folder)) == 3
    assert [row.train for row in rows(folder)] == [True, False, False]


@pytest.fixture(scope="module")
def sight() -> Sight:
    frame = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
    row = Row("x.mp4", "video", True, "none", "nobody", True)
    return Sight(frame, (110.0, 60.0, 210.0, 180.0), None, row)


def test_the_same_seed_gives_the_same_sample_and_another_gives_another(sight: Sight) -> None:
    for make in (samples.bona_fide, lambda s, r: samples.attack(varied(s, [s], r), s, r)):
        one, again, other = (make(sight, np.random.default_rng(seed)) for seed in (5, 5, 6))
        assert np.array_equal(one.frame, again.frame)
        assert one.box == again.box
        assert one.frame.shape != other.frame.shape or not np.array_equal(one.frame, other.frame)


@pytest.mark.parametrize("species", ["print", "replay"])
def test_a_recapture_is_an_attack_with_the_face_in_the_frame(sight: Sight, species: str) -> None:
    for seed in range(12):
        made = samples.attack(sight, sight, np.random.default_rng(seed), species)
        height, width = made.frame.shape[:2]
        x, y = (made.box[0] + made.box[2]) / 2, (made.box[1] + made.box[3]) / 2
        assert (made.bonafide, made.species, made.frame.dtype) == (False, species, np.uint8)
        assert 0 <= x < width
        assert 0 <= y < height
        assert max(made.box[2] - made.box[0], made.box[3] - made.box[1]) > 25


def test_both_classes_come_in_the_same_sizes(sight: Sight) -> None:
    def sizes(make: object) -> np.ndarray:
        made = [make(sight, np.random.default_rng(seed)) for seed in range(60)]  # type: ignore[operator]
        return np.array([max(m.box[2] - m.box[0], m.box[3] - m.box[1]) for m in made])

    live, shown = sizes(samples.bona_fide), sizes(lambda s, r: samples.attack(s, s, r))
    assert abs(np.log(np.median(live) / np.median(shown))) < 0.35


def said(live: list[float], attacks: list[float]) -> Said:
    values = np.array(live + attacks)
    paths = np.array([f"{n:03d}" for n in range(len(values))])
    labels = np.array([1] * len(live) + [0] * len(attacks))
    return Said(np.stack([values] * 4, axis=1), paths, labels)


def test_the_operating_point_rejects_at_most_one_bona_fide_clip_in_twenty() -> None:
    random = np.random.default_rng(2)
    material = said(random.normal(1.0, 1.0, 41).tolist(), random.normal(-1.0, 1.0, 30).tolist())
    chosen = calibration.calibrate(material, ())
    scores, live = calibration.pooled(material, chosen)
    assert 0 < (scores[live == 1] < 0).sum() <= 2
    assert calibration.area(scores, live) > 0.8


def test_where_the_classes_lie_apart_the_operating_point_lies_between_them() -> None:
    material = said([2.0, 2.5, 3.0] * 7, [-2.0, -1.0])
    scores, live = calibration.pooled(material, calibration.calibrate(material, ()))
    assert (scores[live == 1] > 0.5).all()
    assert (scores[live == 0] < -0.5).all()


def test_a_clip_is_the_mean_of_its_frames_and_no_frame_counts_beyond_the_limit() -> None:
    logits = np.array([[1000.0] * 4, [0.0] * 4, [-2.0] * 4])
    material = Said(logits, np.array(["a", "a", "b"]), np.array([1, 1, 0]))
    scores, live = calibration.pooled(material, Calibration((0.1, 0.4, 0.2, 0.3), (0.0, 0.0)))
    assert scores.tolist() == [CLIP / 2, -2.0]
    assert live.tolist() == [1, 0]


def maps(count: int = 50) -> Maps:
    """Maps whose channels follow a few hidden ones, as those of a network do."""
    random = np.random.default_rng(3)
    made = []
    for kept, side in zip(KEPT, SIDES, strict=True):
        hidden = random.normal(0, np.linspace(3.0, 0.5, kept), (count, side, side, kept))
        made.append((hidden @ random.normal(0, 1, (kept, 130)) + 7.0).astype(np.float32))
    return tuple(made)


def test_hints_keep_what_a_map_says_in_bytes_and_the_first_component_weighs_most(tmp_path: Path) -> None:
    seen = maps()
    Basis.of(seen).save(tmp_path / "basis.npz")
    basis = Basis.load(tmp_path / "basis.npz")
    for stage, hints, axes, mean in zip(seen, basis.hints(seen), basis.directions, basis.means, strict=True):
        assert (hints.dtype, hints.shape) == (np.int8, (*stage.shape[:3], axes.shape[1]))
        spread = hints.std((0, 1, 2))
        assert abs(spread[0] / BYTE - 1.0) < 0.1
        assert (np.diff(spread) < 0.5).all()
        again = (hints / BYTE) @ np.linalg.pinv(axes) + mean
        assert np.square(again - stage).mean() < 0.02 * stage.var()


def test_a_map_beyond_all_that_was_seen_saturates_instead_of_turning_over() -> None:
    seen = maps()
    basis = Basis.of(seen)
    for one, far in zip(basis.hints(seen), basis.hints(tuple(1000.0 * s for s in seen)), strict=True):
        assert one.min() > -127
        assert set(np.unique(np.abs(far))) >= {127}


def test_a_mirrored_map_is_that_of_the_mirrored_picture_up_to_a_pixel() -> None:
    picture = np.tile(np.arange(80.0), (80, 1))[None, ..., None]
    there = mirrored(picture, np.array([True]))
    assert np.array_equal(there, picture[:, :, ::-1])
    for stride in (4, 8, 16):
        map_, of_mirrored = picture[:, ::stride, ::stride], there[:, ::stride, ::stride]
        assert np.abs(mirrored(map_, np.array([True]), 1) - of_mirrored)[:, :, 1:].max() == 1
    assert np.array_equal(mirrored(picture, np.array([False])), picture)


def test_a_map_of_an_enlarged_picture_says_the_same_at_the_same_place_of_ours() -> None:
    pixels, before = 128, 32
    # What stands in the map is the place in our own picture, from -0.2 to 77.3.
    own = (np.arange(before) * (pixels / before) + 0.5) / pixels * PIXELS - 0.5
    maps = np.stack([np.tile(own, (before, 1)), np.tile(own[:, None], (1, before))])[None].astype(np.float32)
    for side in SIDES[:2]:
        across, down = np.moveaxis(resampled(maps, side, pixels)[0], -1, 0)
        wanted = np.arange(side) * (PIXELS / side)
        # A triangle of whole places leans a little; at the border it loses a part.
        assert np.abs(across - wanted)[:, 1:-1].max() < 0.4
        assert np.allclose(across, down.T, atol=1e-4)
    assert np.allclose(resampled(np.ones((2, 3, 8, 8), np.float32), 5, pixels), 1.0)


@pytest.mark.parametrize("change", [retouching.filmed_again, retouching.mixed, retouching.patched])
def test_a_retouched_view_is_another_picture_of_the_same_size(change: object) -> None:
    one, other = np.random.default_rng(3).uniform(0, 255, (2, 40, 40, 3)).astype(np.float32)
    given = (one,) if change is retouching.filmed_again else (one, other)
    before, changed = one.copy(), 0
    for seed in range(60):
        view = change(*given, np.random.default_rng(seed))  # type: ignore[operator]
        assert (view.shape, view.dtype) == (one.shape, np.float32)
        assert np.isfinite(view).all()
        changed += not np.allclose(view, one)
    assert changed > 40
    assert np.array_equal(one, before)


def test_a_face_that_is_put_elsewhere_keeps_its_middle_and_gets_other_corners() -> None:
    dark, light = np.zeros((80, 80, 3), np.float32), np.full((80, 80, 3), 200, np.float32)
    for seed in range(30):
        view = retouching.surrounded(dark, light, np.random.default_rng(seed))
        assert view[40, 40].max() < 60
        assert min(view[0, 0].min(), view[-1, -1].min()) > 150


def test_invented_pictures_differ_and_have_edges() -> None:
    some = [retouching.invented(80, np.random.default_rng(seed)) for seed in range(20)]
    assert all(picture.shape == (80, 80, 3) for picture in some)
    assert min(np.abs(one - other).mean() for one, other in itertools.pairwise(some)) > 5
    assert np.median([np.abs(np.diff(picture, axis=1)).max() for picture in some]) > 20
