"""A live head shows depth and a paper none; the landmark model that ships sees both as they are meant."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.camera.source import Image, Stamp
from vouchbox.config import Camera
from vouchbox.errors import ModelError
from vouchbox.messages import Prompt
from vouchbox.simulator.subject import portraits
from vouchbox.simulator.subject.figure import figure
from vouchbox.simulator.subject.motion import Posture
from vouchbox.simulator.subject.paper import bend, flat_sheet
from vouchbox.simulator.subject.portraits import eye_distance
from vouchbox.simulator.subject.source import simulated
from vouchbox.simulator.subject.spec import PortraitName
from vouchbox.simulator.subject.warp import LATTICE_PX, Sheet, project
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Face
from vouchbox.vision.observer import Observer
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock

pytest.importorskip("skimage", reason="the portraits travel in the extra `simulator`")
pytest.importorskip("matplotlib", reason="the portraits travel in the extra `simulator`")

FIRST = Stamp(0, 0)
CAMERA = Camera(width=640, height=480, pace="fast")
RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 10, 151, 9, 127, 356, 234, 454, 61, 291, 152)
TURNED = Posture(yaw=28.0)


def residual(one: NDArray[np.float32], other: NDArray[np.float32], eyes_px: float) -> float:
    """Root mean square distance that the best homography leaves, in distances between the eyes."""
    plane, _ = cv2.findHomography(one.astype(np.float64), other.astype(np.float64))
    carried = cv2.perspectiveTransform(one[None].astype(np.float64), plane)[0]
    return float(np.sqrt(((carried - other) ** 2).sum(1).mean()) / eyes_px)


def seen(sheet: Sheet, texels: NDArray[np.float32], posture: Posture) -> NDArray[np.float32]:
    """Where texels of a sheet fall."""
    falls = project(sheet, posture, 84.0, (320.0, 240.0))
    at = ((texels - np.array(sheet.origin)) / LATTICE_PX).round().astype(int)
    return falls[at[:, 1], at[:, 0]]


@pytest.mark.parametrize("name", PortraitName)
def test_no_plane_explains_how_a_head_turns(name: PortraitName) -> None:
    head = figure(portraits.portrait(name), 84.0)
    points = head.landmarks[list(RIGID), :2]
    live = residual(seen(head.sheet, points, Posture()), seen(head.sheet, points, TURNED), 84.0)
    flat = flat_sheet(head.texture.shape, head.sheet.camera_px)
    bent = bend(flat, 300.0)
    paper = residual(seen(flat, points, Posture()), seen(flat, points, TURNED), 84.0)
    curved = residual(seen(bent, points, Posture()), seen(bent, points, TURNED), 84.0)
    assert paper < 0.001
    assert curved < live / 2
    assert live > 0.06


class Viewer:
    """The vision room's eyes on a simulated subject."""

    def __init__(self, models: Models, words: str) -> None:
        memory: dict[tuple[str, tuple[int, ...]], NDArray[np.uint8]] = {}
        self.subject = simulated(words, CAMERA)
        self.subject.open()
        self._observer = Observer(
            models,
            lambda name, shape, dtype: memory.setdefault((name, shape), unlocked(name, shape, dtype)),
            CAMERA.width,
            CAMERA.height,
            StageClock(),
            keep_chips=False,
        )
        self._frame: Image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)

    def look(self, prompt: Prompt | None = None) -> list[Face]:
        """One and a half seconds of faces; the prompt stands from the start."""
        if prompt is not None:
            self.subject.show(prompt)
        faces = []
        for _ in range(22):
            stamp = self.subject.capture(self._frame)
            assert stamp is not None
            face = self._observer.observe(self._frame, stamp, stamp.timestamp_ns / 1e9).observation.face
            if face is not None:
                faces.append(face)
        return faces


@pytest.fixture(scope="module")
def models() -> Models:
    try:
        return Models.load()
    except ModelError as absent:
        pytest.skip(f"the models are not built yet ({absent})")


def turn(models: Models, words: str) -> tuple[float, float]:
    """Degrees of yaw and the residual between looking ahead and having been asked to turn."""
    viewer = Viewer(models, words)
    ahead, aside = viewer.look()[5], viewer.look(Prompt.TURN_LEFT)[-1]
    left = residual(
        ahead.landmarks[list(RIGID), :2], aside.landmarks[list(RIGID), :2], eye_distance(aside.landmarks)
    )
    return aside.pose.yaw - ahead.pose.yaw, left


def test_the_landmark_model_sees_depth_in_a_head_and_none_in_a_print(models: Models) -> None:
    turned, live = turn(models, "collins")
    assert turned > 18.0
    assert live > 2.5 * turn(models, "print:collins")[1]
    assert live > 1.5 * turn(models, "bent-print:collins")[1]
    assert live > 1.5 * turn(models, "mask:hopper")[1]


@pytest.mark.parametrize("words", ["collins", "hopper", "mask:hopper"])
def test_the_landmark_model_sees_eyes_close(models: Models, words: str) -> None:
    viewer = Viewer(models, words)
    faces = viewer.look() + viewer.look(Prompt.BLINK)
    for eyes in ([face.left_eye for face in faces], [face.right_eye for face in faces]):
        assert min(eyes) < 0.65 * float(np.median(eyes))


def test_the_landmark_model_sees_a_face_come_closer(models: Models) -> None:
    viewer = Viewer(models, "hopper")
    before, after = viewer.look()[0], viewer.look(Prompt.MOVE_CLOSER)[-1]
    assert after.inter_eye_px > 1.25 * before.inter_eye_px


def test_the_stored_landmarks_are_those_of_the_model_that_ships(models: Models) -> None:
    for name in PortraitName:
        picture, stored = portraits.picture(name), portraits.landmarks(name)
        height, width = picture.shape[:2]
        observer = Observer(models, unlocked, width, height, StageClock(), keep_chips=False)
        face = observer.observe(picture, FIRST, 0.0).observation.face
        assert face is not None
        error = np.linalg.norm(face.landmarks[:, :2] - stored[:, :2], axis=1).mean()
        assert error < 0.04 * eye_distance(stored)
