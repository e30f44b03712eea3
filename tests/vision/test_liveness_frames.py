"""The liveness tests on pictures: real heads against sheets made of them, and simulated sessions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.source import Image, Stamp
from vouchbox.config import Camera
from vouchbox.messages import Examination, Examine, Level, Outcome, Prompt, TestName, TestStatus
from vouchbox.simulator.subject.source import simulated
from vouchbox.vision.continuity import Continuity
from vouchbox.vision.examination import Examiner
from vouchbox.vision.geometry import Geometry
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Observation
from vouchbox.vision.observer import Observer
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock

PROMPTS = (Prompt.TURN_LEFT, Prompt.MOVE_CLOSER, Prompt.TURN_RIGHT)


def frames_of(path: Path, rate: float, begin: float, seconds: float) -> list[Image]:
    source = ClipSource(path, pace="fast", max_rate=rate)
    shape = source.open()
    frame = np.zeros((shape.height, shape.width, 3), np.uint8)
    taken: list[Image] = []
    while isinstance(stamp := source.capture(frame), Stamp) and stamp.timestamp_ns < (begin + seconds) * 1e9:
        if stamp.timestamp_ns >= begin * 1e9:
            taken.append(frame.copy())
    source.close()
    return taken


def watched(models: Models, frames: list[Image], rate: float) -> list[Observation]:
    height, width = frames[0].shape[:2]
    observer = Observer(models, unlocked, width, height, StageClock(), False)
    return [
        observer.observe(frame, Stamp(n, round(n / rate * 1e9)), n / rate).observation
        for n, frame in enumerate(frames)
    ]


def on_a_sheet(picture: Image, frames: int, degrees: float) -> list[Image]:
    """The picture on a flat sheet that is turned to and fro, by exact homographies."""
    height, width = picture.shape[:2]
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * [width, height]
    random = np.random.default_rng(1)
    shown = []
    for n in range(frames):
        angle = np.radians(degrees) * np.sin(2 * np.pi * n / frames)
        away = 2.0 * width + corners[:, 0] * np.sin(angle)
        seen = (
            np.stack([corners[:, 0] * np.cos(angle), corners[:, 1]], axis=1) * (2.0 * width / away)[:, None]
        )
        place = (seen + [width / 2, height / 2]).astype(np.float32)
        carry = cv2.getPerspectiveTransform((corners + [width / 2, height / 2]).astype(np.float32), place)
        frame = cv2.warpPerspective(picture, carry, (width, height), borderValue=(120, 120, 120))
        shown.append(np.clip(frame + random.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
    return shown


def geometry_of(seen: list[Observation]) -> TestStatus:
    geometry = Geometry()
    for observation in seen:
        geometry.observe(observation)
    return geometry.result().status


def continuity_of(seen: list[Observation]) -> TestStatus:
    continuity = Continuity()
    for observation in seen:
        continuity.observe(observation)
    return continuity.result().status


@pytest.mark.real_data
def test_a_real_head_that_turns_is_a_head_and_its_picture_on_a_sheet_is_none(
    real_data: Path, models: Models
) -> None:
    clip = real_data / "sivakumar1982+capstone_group_4" / "videos" / "Bala.mp4"
    live = watched(models, frames_of(clip, 15.0, 3.0, 7.0), 15.0)
    assert geometry_of(live) is TestStatus.SUCCESS
    assert continuity_of(live) is TestStatus.SUCCESS
    (still, *_) = frames_of(clip, 15.0, 0.5, 0.2)
    assert geometry_of(watched(models, on_a_sheet(still, 60, 38.0), 15.0)) is TestStatus.FAIL


@pytest.mark.real_data
def test_a_loop_and_a_still_made_of_a_real_clip_are_not_continuous(real_data: Path, models: Models) -> None:
    clip = real_data / "sivakumar1982+capstone_group_4" / "videos" / "Jaya.mp4"
    frames = frames_of(clip, 15.0, 2.0, 2.2)
    random = np.random.default_rng(1)

    def filmed(shown: list[Image]) -> list[Image]:
        noise = [random.normal(0, 1.5, shown[0].shape) for _ in range(3)]
        return [
            np.clip(frame + np.roll(noise[n % 3], 31 * n), 0, 255).astype(np.uint8)
            for n, frame in enumerate(shown)
        ]

    assert continuity_of(watched(models, filmed(frames * 3), 15.0)) is TestStatus.FAIL
    assert continuity_of(watched(models, filmed([frames[0]] * 60), 15.0)) is TestStatus.FAIL


@pytest.mark.real_data
@pytest.mark.parametrize(
    "path",
    [
        "rizkiarm+LipNet/GRID/bbaf2n.mpg",
        "intel-iot-devkit+sample-videos/preview/head-pose-face-detection-male.gif",
        "rohintangirala+eulerian-remote-heartrate-detection/videos/face.mp4",
    ],
)
def test_talkers_a_dithered_preview_and_a_very_still_man_raise_no_alarm(
    real_data: Path, models: Models, path: str
) -> None:
    seen = watched(models, frames_of(real_data / path, 15.0, 0.0, 6.0), 15.0)
    assert continuity_of(seen) is TestStatus.SUCCESS
    assert geometry_of(seen) is TestStatus.NOT_RUN


def session(models: Models, subject: str) -> Examination:
    camera = Camera(source=f"simulated:{subject}", pace="fast")
    request = Examine("simulated-session", Level.ACTIVE, PROMPTS, False, 5.0)
    return Examiner(models).examine(request, simulated(subject, camera))


@pytest.mark.parametrize("portrait", ["collins", "hopper"])
def test_a_simulated_person_who_follows_is_live(models: Models, portrait: str) -> None:
    seen = session(models, f"{portrait}?seed=5")
    assert (seen.outcome, seen.reasons) == (Outcome.LIVE, ())
    assert all(record.met_s is not None for record in seen.prompts)


@pytest.mark.parametrize("follow", ["no", "late", "wrong"])
def test_a_person_who_does_not_follow_is_not_live(models: Models, follow: str) -> None:
    seen = session(models, f"collins?seed=5&follow={follow}")
    assert seen.outcome is not Outcome.LIVE
    assert {test.name: test.status for test in seen.tests}[TestName.CHALLENGE] is TestStatus.FAIL


@pytest.mark.parametrize("attack", ["print", "bent-print", "replay-phone", "replay-monitor", "mask"])
def test_no_simulated_attack_is_live(models: Models, attack: str) -> None:
    seen = session(models, f"{attack}:hopper?seed=5")
    assert seen.outcome is Outcome.ATTACK_SUSPECTED
    assert any(test.status is TestStatus.FAIL for test in seen.tests)
