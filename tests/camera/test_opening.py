"""From the configuration's words to a source, without touching a device."""

from __future__ import annotations

import importlib

import pytest

from vouchbox.camera.opening import open_source
from vouchbox.camera.picamera2_source import Picamera2Source
from vouchbox.config import Camera
from vouchbox.errors import UsageError
from vouchbox.messages import SourceKind


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        ("picamera2", SourceKind.SENSOR, "picamera2:0"),
        ("picamera2:1", SourceKind.SENSOR, "picamera2:1"),
        ("webcam", SourceKind.WEBCAM, "webcam:0"),
        ("webcam:2", SourceKind.WEBCAM, "webcam:2"),
        ("clip:/nowhere/a:b.mp4", SourceKind.CLIP, "a:b.mp4"),
    ],
)
def test_finds_the_source_that_is_named(words: str, kind: SourceKind, name: str) -> None:
    source = open_source(Camera(source=words))
    assert (source.kind, source.name) == (kind, name)


@pytest.mark.parametrize(
    "words",
    ["", "camera", "webcam:front", "webcam:-1", "webcam:٣", "webcam:999", "picamera2:x", "clip:", "http://a"],
)
def test_refuses_what_names_no_source(words: str) -> None:
    with pytest.raises(UsageError):
        open_source(Camera(source=words))


def test_only_the_camera_that_the_box_drives_itself_is_a_sensor() -> None:
    sources = {
        found
        for module in ("camera.clip", "camera.webcam", "camera.picamera2_source", "simulator.subject.source")
        for found in vars(importlib.import_module(f"vouchbox.{module}")).values()
        if isinstance(getattr(found, "kind", None), SourceKind)
    }
    assert {source.kind for source in sources} == set(SourceKind)
    assert [source for source in sources if source.kind is SourceKind.SENSOR] == [Picamera2Source]


def test_says_that_the_simulated_subject_lives_in_the_simulator() -> None:
    with pytest.raises(UsageError, match="vouchbox simulate"):
        open_source(Camera(source="simulated:anna"))
