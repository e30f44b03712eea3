"""A model is used only when it is, byte for byte, the one that the manifest states."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.errors import ModelError
from vouchbox.vision import manifest
from vouchbox.vision.models import Models
from vouchbox.vision.runtime import Network, choose


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped models that a test may damage."""
    copy = tmp_path / "models"
    shutil.copytree(manifest.default_folder(), copy)
    return copy


def test_the_models_that_ship_are_the_ones_that_the_manifest_states() -> None:
    shipped = manifest.load()
    for role in ("detector", "landmarks", "embedding", "liveness"):
        assert len(shipped.read(role)) == shipped.entry(role).bytes


@pytest.mark.parametrize("role", ["detector", "landmarks", "embedding", "liveness"])
def test_one_changed_bit_refuses_to_load(folder: Path, role: str) -> None:
    file = folder / manifest.load(folder).entry(role).file
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match="not the one that the manifest states"):
        Models.load(folder)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "says"),
    [(Path.unlink, "can't read the detector model"), (_truncate, "bytes instead of")],
    ids=["missing", "truncated"],
)
def test_a_missing_or_truncated_model_is_named(
    folder: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(folder / manifest.load(folder).entry("detector").file)
    with pytest.raises(ModelError, match=says):
        manifest.load(folder).read("detector")


@pytest.mark.parametrize(
    "text",
    ["", "model = 3", "[[model]]\nrole='detector'", "\x00", "[[model]]\nrole=" + "[" * 2000],
    ids=["empty", "wrong type", "missing keys", "not toml", "deep"],
)
def test_a_broken_manifest_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.toml").write_text(text)
    with pytest.raises(ModelError, match="manifest"):
        manifest.load(tmp_path)


def test_a_missing_manifest_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="can't read the model manifest"):
        manifest.load(tmp_path)


def test_a_role_twice_and_a_role_not_there_are_refused(folder: Path) -> None:
    text = (folder / "manifest.toml").read_text()
    with pytest.raises(ModelError, match="no telepathy model"):
        manifest.load(folder).entry("telepathy")
    (folder / "manifest.toml").write_text(text.replace('role = "landmarks"', 'role = "detector"'))
    with pytest.raises(ModelError, match="twice"):
        manifest.load(folder)


@pytest.mark.parametrize("name", ["../detector.tflite", "/etc/passwd", "a/../../b"])
def test_a_model_outside_the_folder_is_never_read(folder: Path, name: str) -> None:
    text = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(text.replace('file = "detector.tflite"', f'file = "{name}"'))
    with pytest.raises(ModelError, match="outside the model folder"):
        manifest.load(folder).read("detector")


def test_other_shapes_than_stated_refuse_to_load(folder: Path) -> None:
    text = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(text.replace("[1, 192, 192, 3]", "[1, 96, 96, 3]"))
    with pytest.raises(ModelError, match="other inputs"):
        Network(choose("litert"), manifest.load(folder), "landmarks")


def test_a_model_in_the_wrong_role_refuses_to_load(folder: Path) -> None:
    text = (folder / "manifest.toml").read_text()
    swapped = text.replace('role = "detector"', 'role = "x"').replace(
        'role = "landmarks"', 'role = "detector"'
    )
    (folder / "manifest.toml").write_text(swapped.replace('role = "x"', 'role = "landmarks"'))
    with pytest.raises(ModelError):
        Models.load(folder)
