"""Reads models/manifest.toml and hands out the bytes of a model only after its digest was checked.

Every model is read once, at start, before any frame exists. A file that is missing, changed, of another
size or of other inputs and outputs than the manifest states is refused; nothing here ever guesses or
falls back to another file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from vouchbox.errors import ModelError
from vouchbox.messages import ModelIdentity, Sha256Hex, Word

MODEL_BYTES_LIMIT = 64 * 1024 * 1024
"""No model of this size is ever shipped; a larger file is refused unread."""

MANIFEST_BYTES_LIMIT = 1024 * 1024

_REINSTALL = "install vouchbox again, or run scripts/build_models"


class TensorEntry(Struct, frozen=True):
    """One input or output tensor: shape with batch axis, dtype as numpy names it."""

    shape: tuple[Annotated[int, Meta(ge=1)], ...]
    dtype: Word


class ModelEntry(Struct, frozen=True):
    """One model of the manifest. `decode` undoes the affine that was baked into an int8 head; its keys are
    the role's own (see detector.py and landmarks.py). Keys for people (licence, source, accuracy) are left
    to the reader of the file."""

    role: Word
    file: Annotated[str, Meta(min_length=1, max_length=128)]
    sha256: Sha256Hex
    bytes: Annotated[int, Meta(ge=1, le=MODEL_BYTES_LIMIT)]
    inputs: Annotated[tuple[TensorEntry, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[TensorEntry, ...], Meta(min_length=1)]
    decode: dict[str, float | list[float]] = {}

    @property
    def identity(self) -> ModelIdentity:
        """Role and digest, as a verdict states them."""
        return ModelIdentity(role=self.role, sha256=self.sha256)


class _File(Struct, frozen=True):
    model: tuple[ModelEntry, ...]


class Manifest:
    """The models of one folder, by role."""

    def __init__(self, folder: Path, entries: tuple[ModelEntry, ...]) -> None:
        self.folder = folder
        self._entries = {entry.role: entry for entry in entries}
        if len(self._entries) != len(entries):
            raise ModelError("the model manifest names a role twice", _REINSTALL)

    def entry(self, role: str) -> ModelEntry:
        """The entry for `role`; raises ModelError when there is none."""
        try:
            return self._entries[role]
        except KeyError:
            raise ModelError(f"the model manifest has no {role} model", _REINSTALL) from None

    def read(self, role: str) -> bytes:
        """The checked bytes of the model for `role`; raises ModelError for anything but the stated file."""
        entry = self.entry(role)
        name = PurePosixPath(entry.file)
        if name.is_absolute() or ".." in name.parts:
            raise ModelError(f"the {role} model lies outside the model folder", _REINSTALL)
        try:
            data = (self.folder / name).read_bytes()
        except OSError as problem:
            raise ModelError(f"can't read the {role} model ({problem.strerror})", _REINSTALL) from None
        if len(data) != entry.bytes:
            raise ModelError(f"the {role} model has {len(data)} bytes instead of {entry.bytes}", _REINSTALL)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise ModelError(f"the {role} model is not the one that the manifest states", _REINSTALL)
        return data


def default_folder() -> Path:
    """The models that ship inside the package, or those of the source checkout."""
    packaged = Path(__file__).parents[1] / "models"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "models"


def load(folder: Path | None = None) -> Manifest:
    """Read `folder`/manifest.toml (None: the models that ship); raises ModelError for a wrong one."""
    folder = folder or default_folder()
    try:
        text = (folder / "manifest.toml").read_bytes()
    except OSError as problem:
        raise ModelError(f"can't read the model manifest ({problem.strerror})", _REINSTALL) from None
    if len(text) > MANIFEST_BYTES_LIMIT:
        raise ModelError("the model manifest is too large", _REINSTALL)
    try:
        parsed = msgspec.toml.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ModelError(f"the model manifest is wrong ({problem})", _REINSTALL) from None
    return Manifest(folder, parsed.model)
