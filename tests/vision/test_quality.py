"""Each fault of a picture fails its own component and tells the person the one thing to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from vouchbox.camera.source import Image, Stamp
from vouchbox.messages import QualityComponent
from vouchbox.reasons import Reason
from vouchbox.vision import quality
from vouchbox.vision.models import Models
from vouchbox.vision.observation import Face
from vouchbox.vision.observer import Observer
from vouchbox.vision.quality import FrameQuality, SessionQuality, Values
from vouchbox.vision.scratch import unlocked
from vouchbox.vision.stages import StageClock

Spoil = Callable[[Image], Image]


def _pooled(models: Models, frame: Image) -> dict[str, QualityComponent]:
    observer = Observer(models, unlocked, frame.shape[1], frame.shape[0], StageClock(), False)
    pool = SessionQuality()
    for index in range(2):
        seen = observer.observe(frame, Stamp(index, index), index / 15)
        pool.add(seen.observation.faces, seen.quality)
    return {component.name: component for component in pool.components()}


def _darker(frame: Image) -> Image:
    return (frame * 0.12).astype(np.uint8)


def _brighter(frame: Image) -> Image:
    return np.clip(frame.astype(np.float32) * 1.5 + 70, 0, 255).astype(np.uint8)


def _blurred(frame: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 5.0), np.uint8)


def _flat(frame: Image) -> Image:
    return (frame * 0.06 + 120).astype(np.uint8)


def _half_lit(frame: Image) -> Image:
    lit = frame.astype(np.float32)
    lit[:, 320:] *= 0.12
    return lit.astype(np.uint8)


def test_a_good_portrait_passes_every_component(models: Models, picture_of: Callable[..., Image]) -> None:
    found = _pooled(models, picture_of(160))
    assert [c.name for c in found.values() if not c.passed] == []
    assert len(found) == 10


@pytest.mark.parametrize(
    ("spoil", "component", "reason"),
    [
        (_darker, "UnderExposurePrevention", Reason.TOO_DARK),
        (_brighter, "OverExposurePrevention", Reason.TOO_BRIGHT),
        (_blurred, "Sharpness", Reason.BLURRED),
        (_flat, "DynamicRange", Reason.LOW_CONTRAST),
        (_half_lit, "IlluminationUniformity", Reason.UNEVEN_LIGHT),
    ],
)
def test_each_fault_has_its_component_and_its_advice(
    models: Models, picture_of: Callable[..., Image], spoil: Spoil, component: str, reason: Reason
) -> None:
    found = _pooled(models, spoil(picture_of(160)))
    assert not found[component].passed
    assert found[component].reason is reason


def test_a_face_of_40_pixels_is_told_to_come_closer(models: Models, picture_of: Callable[..., Image]) -> None:
    found = _pooled(models, picture_of(40, ((120, 90),), size=(240, 180)))
    assert found["InterEyeDistance"].reason is Reason.FACE_TOO_SMALL


def test_a_face_that_fills_the_picture_is_told_to_step_back(
    models: Models, picture_of: Callable[..., Image]
) -> None:
    assert _pooled(models, picture_of(430))["HeadSize"].reason is Reason.FACE_TOO_CLOSE


def _values(**changed: float) -> Values:
    values = np.full(len(quality.RULES), 100.0, np.float32)
    for position, rule in enumerate(quality.RULES):
        values[position] = changed.get(rule.name, 100.0)
    return values


def test_no_face_is_the_only_thing_said_when_nobody_is_there() -> None:
    pool = SessionQuality()
    for _ in range(20):
        pool.add(0, None)
    (only,) = pool.components()
    assert (only.name, only.value, only.reason) == ("SingleFacePresent", 0, Reason.NO_FACE)


@pytest.mark.parametrize(
    ("luma", "also"), [(8.0, (Reason.TOO_DARK,)), (250.0, (Reason.TOO_BRIGHT,)), (120.0, ())]
)
def test_when_the_light_hides_the_face_the_person_hears_of_the_light(
    luma: float, also: tuple[Reason, ...]
) -> None:
    pool = SessionQuality()
    pool.add(0, None, luma)
    assert quality.reasons(pool.components()) == (Reason.NO_FACE, *also)


def test_two_faces_are_refused_but_a_passer_by_is_not() -> None:
    crowd, passing = SessionQuality(), SessionQuality()
    for index in range(20):
        crowd.add(2 if index % 2 else 1, _values())
        passing.add(2 if index < 3 else 1, _values())
    assert quality.reasons(crowd.components()) == (Reason.SEVERAL_FACES,)
    assert quality.reasons(passing.components()) == ()


def test_turning_and_blinking_for_a_prompt_are_no_faults() -> None:
    pool = SessionQuality()
    for index in range(20):
        pool.add(1, _values() if index < 5 else _values(HeadPose=20.0, EyesOpen=5.0))
    assert quality.reasons(pool.components()) == ()
    assert quality.hint(_values(HeadPose=10.0, EyesOpen=0.0)) is None


def test_a_face_that_never_looks_at_the_camera_is_told_so() -> None:
    pool = SessionQuality()
    for _ in range(20):
        pool.add(1, _values(HeadPose=20.0, EyesOpen=10.0))
    assert quality.reasons(pool.components()) == (Reason.HEAD_TURNED, Reason.EYES_CLOSED)


def test_every_advice_is_given_at_once_while_capturing() -> None:
    for rule in quality.RULES[:-2]:
        assert quality.hint(_values(**{rule.name: rule.threshold - 1.0})) is rule.reason


def test_fitness_falls_with_the_weakest_part(models: Models, picture_of: Callable[..., Image]) -> None:
    frame = picture_of(160)
    observer = Observer(models, unlocked, 640, 480, StageClock(), False)
    face = observer.observe(frame, Stamp(0, 0), 0.0).observation.face
    assert isinstance(face, Face)
    measure, crop = FrameQuality(unlocked), np.full((192, 192, 3), 120, np.uint8)
    crop[::3] = 60
    open_eyes = measure.measure(crop, face, 640, 480)
    shut_eyes = measure.measure(crop, replace(face, left_eye=0.05, right_eye=0.05), 640, 480)
    assert quality.fitness(shut_eyes) < quality.fitness(open_eyes)
