"""The passive test: when it runs, how it pools, and that a network it does not know is refused."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from vouchbox.camera.source import Stamp
from vouchbox.errors import ModelError
from vouchbox.messages import Level, Outcome, TestName, TestResult, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vision import manifest
from vouchbox.vision.fusion import decide
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Box, Face, Observation, PassiveScores, Pose
from vouchbox.vision.observer import Observer
from vouchbox.vision.passive import CLIP, EVERY, LOOKS, THRESHOLD, Passive, PassiveNetwork, frame_logit
from vouchbox.vision.runtime import Network, choose
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock

FACE = Face(Box(200, 200, 400, 400), np.zeros((468, 3), np.float32), 1.0, Pose(0, 0, 0), 0.3, 0.3, 80.0)


def seen(number: int, passive: PassiveScores | None, face: Face | None = FACE) -> Observation:
    return Observation(number, number / 15, 0, 1, face, True, number, 1.0, 90.0, passive)


def session(logits: list[float], without_face: int = 0) -> TestResult:
    passive = Passive()
    for number, logit in enumerate(logits):
        passive.observe(seen(number, PassiveScores(logit / 2, logit / 2)))
    for number in range(without_face):
        passive.observe(seen(len(logits) + number, None, None))
    return passive.result()


def test_a_session_that_looks_bona_fide_is_a_success_and_one_that_does_not_fails() -> None:
    good, bad = session([1.0] * 20), session([-1.0] * 20)
    assert (good.status, good.reasons, good.measured, good.threshold) == (
        TestStatus.SUCCESS,
        (),
        20,
        THRESHOLD,
    )
    assert (bad.status, bad.reasons) == (TestStatus.FAIL, (Reason.PASSIVE_FAILED,))
    assert bad.score is not None
    assert good.score is not None
    assert bad.score < THRESHOLD < good.score


def test_the_score_is_half_at_the_operating_point_and_rises_with_the_logit() -> None:
    assert session([0.0] * LOOKS).score == pytest.approx(THRESHOLD)
    scores = [session([logit] * LOOKS).score for logit in np.linspace(-CLIP, CLIP, 9).tolist()]
    assert scores == sorted(scores, key=lambda s: s or 0.0)
    assert len(set(scores)) == 9


def test_one_frame_never_decides_however_sure_it_is() -> None:
    assert frame_logit(PassiveScores(1000.0, 3.0)) == CLIP
    assert session([1.0] * 9 + [-1e9]).status is TestStatus.SUCCESS
    assert session([-1.0] * 9 + [1e9]).status is TestStatus.FAIL


@pytest.mark.parametrize("looks", range(LOOKS))
def test_too_few_looks_are_no_test(looks: int) -> None:
    result = session([3.0] * looks)
    assert (result.status, result.score) == (TestStatus.NOT_RUN, None)
    assert result.reasons == (Reason.PASSIVE_NOT_RUN,)


@pytest.mark.parametrize("level", Level)
def test_a_track_lost_for_half_of_the_clip_is_no_test_and_never_live(level: Level) -> None:
    result = session([3.0] * 20, without_face=20)
    assert (result.status, result.score) == (TestStatus.NOT_RUN, None)
    assert result.reasons == (Reason.TRACK_LOST, Reason.PASSIVE_NOT_RUN)
    others = tuple(
        TestResult(name, TestStatus.SUCCESS, 1.0, 0.5, 10) for name in TestName if name is not result.name
    )
    outcome, reasons = decide(level, (result, *others))
    assert outcome is Outcome.INCONCLUSIVE
    assert Reason.TRACK_LOST in reasons
    assert session([3.0] * 20, without_face=19).status is TestStatus.SUCCESS


def test_a_logit_that_is_no_number_is_no_success() -> None:
    assert session([math.nan] * 20).status is not TestStatus.SUCCESS


def test_the_network_looks_at_every_few_frames_with_a_face_and_says_so(
    models_on_each_runtime: Models, still_clip: list[np.ndarray]
) -> None:
    observer = Observer(models_on_each_runtime, unlocked, 640, 480, StageClock(), False)
    looked = [
        observer.observe(frame, Stamp(n, n * 10**9 // 15), n / 15).observation
        for n, frame in enumerate(still_clip)
    ]
    with_face = [o for o in looked if o.face is not None]
    assert len(with_face) == len(still_clip)
    assert [o.passive is not None for o in with_face] == [n % EVERY == 0 for n in range(len(with_face))]
    assert all(
        math.isfinite(o.passive.close) and math.isfinite(o.passive.context)
        for o in with_face
        if o.passive is not None
    )


def test_both_runtimes_say_nearly_the_same(still_clip: list[np.ndarray]) -> None:
    pytest.importorskip("tflite_runtime", reason="tflite-runtime has no release for Python >= 3.12")
    box = Box(240, 160, 400, 330)
    said = []
    for name in ("litert", "tflite-runtime"):
        network = Network(choose(name, environ={}), manifest.load(), "liveness")  # type: ignore[arg-type]
        looking = PassiveNetwork(network, unlocked)
        said.append([frame_logit(s) for f in still_clip[:6] if (s := looking.look(f, box)) is not None])
    assert len(said[0]) == 6
    assert np.allclose(said[0], said[1], atol=0.25)


def test_a_mirrored_picture_is_judged_like_the_picture(
    models_on_each_runtime: Models, still_clip: list[np.ndarray]
) -> None:
    looking = PassiveNetwork(models_on_each_runtime.liveness, unlocked)
    frame, box = still_clip[0], Box(260, 160, 420, 320)
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    width = frame.shape[1]
    one = looking.look(frame, box)
    other = looking.look(mirrored, Box(width - box.right, box.top, width - box.left, box.bottom))
    assert one is not None
    assert other is not None
    assert frame_logit(one) == pytest.approx(frame_logit(other), abs=0.05)
    assert not np.array_equal(looking.crops.context, looking.crops.mirrored(looking.crops.context))


def test_a_crop_says_its_weighted_logits_and_one_without_weight_is_not_run(
    still_clip: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(choose("litert"), manifest.load(), "liveness")
    frame, box = still_clip[0], Box(260, 160, 420, 320)
    runs: list[int] = []
    run = network.run
    monkeypatch.setattr(network, "run", lambda picture: (runs.append(1), run(picture)))

    def look(*weight: float) -> tuple[float, float, int]:
        decode = {"weight": np.array(weight, np.float32), "offset": np.array([0.5, -1.0], np.float32)}
        network.decode = decode
        runs.clear()
        scores = PassiveNetwork(network, unlocked).look(frame, box)
        assert scores is not None
        return scores.close, scores.context, len(runs)

    raw = PassiveNetwork(network, unlocked).logits(frame, box)
    assert raw is not None
    assert look(0.0, 0.0, 0.0, 1.0) == (0.5, pytest.approx(raw[1, 1] - 1.0), 2)
    assert look(0.25, 0.5, 0.0, 0.0) == (pytest.approx(0.25 * raw[0, 0] + 0.5 * raw[0, 1] + 0.5), -1.0, 2)
    assert look(0.0, 1.0, 1.0, 0.0) == (pytest.approx(raw[0, 1] + 0.5), pytest.approx(raw[1, 0] - 1.0), 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "models"
    shutil.copytree(manifest.default_folder(), copy)
    return copy


@pytest.mark.parametrize(
    "decode",
    [
        "{}",
        "{ weight = [1.0, 1.0, 1.0, 1.0] }",
        "{ weight = [1.0, 1.0], offset = [0.0, 0.0] }",
        "{ weight = [nan, 1.0, 1.0, 1.0], offset = [0.0, 0.0] }",
    ],
    ids=["none", "half", "one logit", "not a number"],
)
def test_a_network_without_its_calibration_is_refused(folder: Path, decode: str) -> None:
    file = folder / "manifest.toml"
    before, after = file.read_text().split('role = "liveness"')
    file.write_text(before + 'role = "liveness"' + re.sub(r"decode = \{.*\}", f"decode = {decode}", after))
    with pytest.raises(ModelError, match="no calibration for its two crops"):
        Models.load(folder)


def test_a_network_of_other_shapes_is_refused(folder: Path) -> None:
    known = manifest.load()
    with pytest.raises(ModelError, match="no single output of 2 values"):
        PassiveNetwork(Network(choose("litert"), known, "embedding"), unlocked)
    file = folder / "manifest.toml"
    file.write_text(file.read_text().replace("[1, 80, 80, 3]", "[1, 96, 96, 3]"))
    with pytest.raises(ModelError, match="the liveness model has other inputs"):
        Models.load(folder)
