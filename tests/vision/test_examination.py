"""A session ends in numbers only: wiped on every way out, and never `live` when anything went wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from vouchbox.camera.ring import FrameRing
from vouchbox.errors import (
    CameraMissing,
    CameraUnplugged,
    ClipError,
    MemoryLockError,
    ModelError,
    RoomGone,
    VouchboxError,
)
from vouchbox.machine import Pace
from vouchbox.messages import (
    VISION_SESSION_BUDGET,
    Examination,
    Level,
    Outcome,
    Progress,
    Prompt,
    SourceKind,
    TestName,
    TestResult,
    TestStatus,
    VisionToVault,
    decode,
    decoder,
    encode,
)
from vouchbox.reasons import Reason
from vouchbox.vision import examination, liveness
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.thinning import KEPT, NEEDED

Ask = Callable[..., Any]
Play = Callable[..., Any]
Picture = Callable[..., Any]


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[FrameRing]:
    """Every ring that a session makes."""
    made: list[FrameRing] = []

    class Watched(FrameRing):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            made.append(self)

    monkeypatch.setattr(examination, "FrameRing", Watched)
    return made


@pytest.fixture
def all_tests_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Liveness is another test's matter: here every test of it is a success."""
    success = tuple(TestResult(name, TestStatus.SUCCESS, 1.0, 0.5, 10) for name in TestName)
    monkeypatch.setattr(liveness.LivenessSession, "results", lambda _self: success)


def test_a_person_in_view_gives_an_examination_that_crosses_the_wall(
    models_on_each_runtime: Models, still_clip: list[Any], play: Play, ask: Ask, rings: list[FrameRing]
) -> None:
    source = play(still_clip)
    found = Examiner(models_on_each_runtime).examine(ask(), source)
    assert found.frames == 30
    assert found.duration_s == pytest.approx(29 / 15)
    assert all(component.passed for component in found.quality)
    assert [test.name for test in found.tests] == list(TestName)
    assert found.tests[0].measured == 10
    assert found.tests[0].status is not TestStatus.NOT_RUN
    assert found.source.kind is SourceKind.SIMULATED
    assert found.runtime == models_on_each_runtime.runtime.label
    assert [model.role for model in found.models] == ["detector", "landmarks", "embedding", "liveness"]
    assert {time.stage for time in found.timings} >= {"capture", "face", "quality", "last-frame-to-verdict"}
    assert decode(encode(found), decoder(VisionToVault)) == found
    assert found.wiped
    assert source.closed
    assert [ring.wiped for ring in rings] == [True]


@pytest.mark.usefixtures("all_tests_succeed")
def test_the_embedding_is_there_only_when_asked_for_and_live(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    examiner = Examiner(models)
    wanted = examiner.examine(ask(want_embedding=True), play(still_clip))
    assert wanted.outcome is Outcome.LIVE
    vector = np.frombuffer(wanted.embedding, "<f4")
    assert vector.shape == (128,)
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)
    assert examiner.examine(ask(), play(still_clip)).embedding == b""
    two_hours_of_night = [(frame * 0.1).astype(np.uint8) for frame in still_clip]
    dark = examiner.examine(ask(want_embedding=True), play(two_hours_of_night))
    assert dark.outcome is Outcome.INCONCLUSIVE
    assert Reason.TOO_DARK in dark.reasons
    assert dark.embedding == b""


@pytest.mark.usefixtures("all_tests_succeed")
def test_a_recording_is_never_live_at_level_active(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    request = ask(Level.ACTIVE, prompts=(Prompt.BLINK,), seconds=1.0)
    source = play(still_clip, kind=SourceKind.CLIP)
    found = Examiner(models).examine(request, source)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.reasons == (Reason.CHALLENGE_NOT_RUN,)
    assert found.embedding == b""


@pytest.mark.usefixtures("all_tests_succeed")
@pytest.mark.parametrize("at", [0, 7])
@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (CameraUnplugged("gone", "plug in"), Reason.CAMERA_UNPLUGGED),
        (ClipError("broken", "another"), Reason.CLIP_UNREADABLE),
        (ModelError("bad", "again"), Reason.MODEL_UNAVAILABLE),
        (MemoryLockError("no", "limit"), Reason.MEMORY_NOT_LOCKED),
        (ZeroDivisionError("our own mistake"), Reason.INTERRUPTED),
        (MemoryError(), Reason.INTERRUPTED),
    ],
)
def test_every_trouble_is_inconclusive_with_its_reason_and_wiped(
    models: Models,
    still_clip: list[Any],
    play: Play,
    ask: Ask,
    rings: list[FrameRing],
    problem: Exception,
    reason: Reason,
    at: int,
) -> None:
    heard: list[VouchboxError] = []
    source = play(still_clip, fails_at=at, problem=problem)
    found = Examiner(models, problem=heard.append).examine(ask(want_embedding=True), source)
    assert (found.outcome, found.reasons) == (Outcome.INCONCLUSIVE, (reason,))
    assert found.embedding == b""
    assert found.wiped
    assert source.closed
    assert all(ring.wiped for ring in rings)
    assert len(heard) == 1
    assert "our own mistake" not in str(heard[0])


def test_a_camera_that_is_not_there_is_named(models: Models, play: Play, ask: Ask) -> None:
    source = play([], open_problem=CameraMissing("no camera", "plug in"))
    found = Examiner(models).examine(ask(), source)
    assert found.reasons == (Reason.CAMERA_MISSING,)
    assert (found.frames, found.source.width, found.quality) == (0, 0, ())
    assert all(test.status is TestStatus.NOT_RUN for test in found.tests)
    assert source.closed


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143), RoomGone("vault", "again")])
def test_whatever_leaves_the_session_leaves_wiped_memory(
    models: Models, still_clip: list[Any], play: Play, ask: Ask, rings: list[FrameRing], end: BaseException
) -> None:
    source = play(still_clip, fails_at=5, problem=end)
    with pytest.raises(type(end)):
        Examiner(models).examine(ask(), source)
    assert [ring.wiped for ring in rings] == [True]
    assert source.closed
    assert all(network.wiped for network in models.networks)


def test_when_the_vault_is_gone_nothing_stays(
    models: Models, still_clip: list[Any], play: Play, ask: Ask, rings: list[FrameRing]
) -> None:
    def gone(_: Progress) -> None:
        raise RoomGone("the vault is gone", "start it")

    with pytest.raises(RoomGone):
        Examiner(models).examine(ask(), play(still_clip), gone)
    assert [ring.wiped for ring in rings] == [True]


@pytest.mark.usefixtures("all_tests_succeed")
def test_memory_that_is_not_wiped_is_never_live(
    models: Models, still_clip: list[Any], play: Play, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Models, "wipe", lambda _self: False)
    found = Examiner(models).examine(ask(want_embedding=True), play(still_clip))
    assert (found.outcome, found.wiped, found.embedding) == (Outcome.INCONCLUSIVE, False, b"")


def test_cancelling_stops_at_once(models: Models, still_clip: list[Any], play: Play, ask: Ask) -> None:
    asked = itertools.count(1)
    found = Examiner(models).examine(ask(), play(still_clip), cancelled=lambda: next(asked) >= 4)
    assert (found.outcome, found.reasons, found.frames) == (Outcome.CANCELLED, (Reason.CANCELLED,), 4)
    assert found.wiped


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([np.zeros((480, 640, 3), np.uint8)] * 30, Reason.CAMERA_BLACK),
        ([np.full((480, 640, 3), 90, np.uint8)] * 30, Reason.CAMERA_COVERED),
    ],
    ids=["black", "covered"],
)
def test_a_camera_that_sees_nothing_is_named(
    models: Models, frames: list[Any], reason: Reason, play: Play, ask: Ask
) -> None:
    assert Examiner(models).examine(ask(), play(frames)).reasons == (reason,)


def test_a_frozen_camera_is_named(models: Models, picture_of: Picture, play: Play, ask: Ask) -> None:
    found = Examiner(models).examine(ask(), play([picture_of(160)] * 30))
    assert found.reasons == (Reason.CAMERA_FROZEN,)


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        ({"centres": ()}, Reason.NO_FACE),
        ({"face_px": 40}, Reason.FACE_TOO_SMALL),
        ({"face_px": 130, "centres": ((180, 240), (460, 240))}, Reason.SEVERAL_FACES),
    ],
)
@pytest.mark.usefixtures("all_tests_succeed")
def test_nobody_too_far_and_too_many_are_told_what_to_change(
    models: Models, picture_of: Picture, play: Play, ask: Ask, scene: dict[str, Any], reason: Reason
) -> None:
    frames = [picture_of(**scene, noise=i) for i in range(24)]
    found = Examiner(models).examine(ask(), play(frames))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert reason in found.reasons


@pytest.mark.usefixtures("all_tests_succeed")
def test_a_clip_of_a_second_is_too_short(models: Models, still_clip: list[Any], play: Play, ask: Ask) -> None:
    found = Examiner(models).examine(ask(), play(still_clip[:15]))
    assert (found.outcome, found.reasons) == (Outcome.INCONCLUSIVE, (Reason.TOO_SHORT,))


def slowly(picture_of: Picture, rate: float, seconds: float) -> list[Any]:
    """The swaying portrait at another rate."""
    times = [n / rate for n in range(round(seconds * rate) + 1)]
    return [
        picture_of(160.0, ((320 + round(6 * np.sin(3 * t)), 240),), noise=n, degrees=2 * np.sin(2 * t))
        for n, t in enumerate(times)
    ]


@pytest.mark.usefixtures("all_tests_succeed")
def test_a_session_below_the_rate_that_the_tests_need_is_never_live(
    models: Models, picture_of: Picture, play: Play, ask: Ask
) -> None:
    request = ask(Level.ACTIVE, seconds=2.0, want_embedding=True)
    slow = NEEDED[Level.ACTIVE] - 0.5
    found = Examiner(models).examine(request, play(slowly(picture_of, slow, 2.5), frame_rate=slow))
    assert (found.outcome, found.reasons) == (Outcome.INCONCLUSIVE, (Reason.FRAME_RATE_TOO_LOW,))
    assert found.embedding == b""
    enough = NEEDED[Level.ACTIVE] + 0.5
    found = Examiner(models).examine(request, play(slowly(picture_of, enough, 2.5), frame_rate=enough))
    assert found.outcome is Outcome.LIVE


def test_a_hot_machine_looks_at_fewer_frames_says_how_many_and_still_judges(
    models: Models, still_clip: list[Any], play: Play, ask: Ask, rings: list[FrameRing]
) -> None:
    looked: list[float] = []
    examiner = Examiner(models, pace=lambda: Pace.LEAST, seen=lambda s: looked.append(s.observation.seconds))
    found = examiner.examine(ask(), play(still_clip))
    assert found.frames == len(looked)
    assert found.frames + found.skipped == 30
    assert found.frames == pytest.approx(30 * KEPT[Level.PASSIVE] / 15.0, abs=1)
    assert found.duration_s == pytest.approx(29 / 15, abs=0.1)
    assert found.dropped == 0
    assert found.tests[0].status is not TestStatus.NOT_RUN
    assert decode(encode(found), decoder(VisionToVault)) == found
    assert [ring.wiped for ring in rings] == [True]


@pytest.mark.parametrize("prompt", [Prompt.BLINK, Prompt.TURN_LEFT])
def test_while_a_prompt_is_open_no_frame_is_left_out(
    models: Models, still_clip: list[Any], play: Play, ask: Ask, prompt: Prompt
) -> None:
    request = ask(Level.ACTIVE, prompts=(prompt,), seconds=3.0)
    shown: list[float] = []
    looked: list[float] = []

    def seen(frame: Any) -> None:
        looked.append(frame.observation.seconds)

    def told(progress: Progress) -> None:
        if progress.prompt is prompt:
            shown.append(looked[-1])

    found = Examiner(models, pace=lambda: Pace.LEAST, seen=seen).examine(request, play(still_clip), told)
    assert shown
    assert found.skipped > 0, "before the prompt the machine is spared"
    after = [second for second in looked if second >= shown[0]]
    assert len(after) == round((29 / 15 - shown[0]) * 15) + 1


def test_a_frame_that_is_left_out_still_hears_the_cancel(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    asked = itertools.count(1)
    examiner = Examiner(models, pace=lambda: Pace.LEAST)
    found = examiner.examine(ask(), play(still_clip), cancelled=lambda: next(asked) >= 2)
    assert (found.outcome, found.frames, found.skipped) == (Outcome.CANCELLED, 1, 1)


def test_a_clip_without_a_frame_is_inconclusive(models: Models, play: Play, ask: Ask) -> None:
    found = Examiner(models).examine(ask(), play([]))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.frames == 0


def test_a_clock_that_stands_still_ends_in_a_timeout(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    source = play(still_clip * 3)
    moving = source.capture

    def stuck(into: Any) -> Any:
        stamp = moving(into)
        return None if stamp is None else replace(stamp, timestamp_ns=5)

    source.capture = stuck
    ticks = itertools.count(0.0, 10.0)
    found = Examiner(models, monotonic=lambda: next(ticks)).examine(ask(), source)
    assert found.reasons == (Reason.TIMEOUT,)


def test_progress_carries_an_outline_and_stays_far_below_the_budget(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    sent: list[Progress] = []
    Examiner(models).examine(ask(seconds=1.5), play(still_clip), sent.append)
    assert 5 <= len(sent) <= 10
    assert all(len(p.outline) == 74 and 0 <= min(p.outline) <= max(p.outline) <= 1000 for p in sent)
    fractions = [p.fraction for p in sent]
    assert fractions == sorted(fractions)
    largest = max(len(encode(p)) for p in sent)
    assert largest * examination_messages() < VISION_SESSION_BUDGET * 0.8


def examination_messages() -> int:
    """How many Progress messages a session may send."""
    from vouchbox.vision.progress import MESSAGES_LIMIT

    return MESSAGES_LIMIT


def test_a_subject_that_can_see_the_screen_is_shown_the_prompts(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    source = play(still_clip)
    shown: list[Prompt | None] = []
    source.show = shown.append
    sent: list[Progress] = []
    request = ask(Level.ACTIVE, prompts=(Prompt.TURN_LEFT,), seconds=1.0)
    found = Examiner(models).examine(request, source, sent.append)
    assert shown == [Prompt.TURN_LEFT, None]
    assert Prompt.TURN_LEFT in [p.prompt for p in sent]
    assert found.outcome is not Outcome.LIVE


def test_an_examination_holds_no_landmarks_and_no_pixels(
    models: Models, still_clip: list[Any], play: Play, ask: Ask
) -> None:
    found = Examiner(models).examine(ask(), play(still_clip))
    assert isinstance(found, Examination)
    assert len(msgspec.msgpack.encode(found)) < 4096
