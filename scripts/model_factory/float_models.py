"""The float originals of all models as if they stood in a manifest, so that the code of the box runs them
and a measurement compares two models and nothing else. Never shipped: they lie in the cache folder.
"""

from __future__ import annotations

from pathlib import Path

from vouchbox.vision.manifest import Manifest, ModelEntry, TensorEntry

from . import sources


def float_models() -> Manifest:
    """Detector, landmarks and embedding in float. Raises FileNotFoundError before the first build."""
    detector, landmarks = sources.fetch(sources.DETECTOR), sources.fetch(sources.LANDMARKS)
    embedding = sources.FLOAT_EMBEDDING
    if not embedding.is_file():
        raise FileNotFoundError(f"{embedding} is not there: run scripts/build_models embedding first")
    return Manifest(
        sources.CACHE,
        (
            _entry("detector", detector, 128, (1, 896, 16), (1, 896, 1)),
            _entry("landmarks", landmarks, 192, (1, 1, 1, 1404), (1, 1, 1, 1)),
            _entry("embedding", embedding, 150, (1, 128)),
        ),
    )


def _entry(role: str, path: Path, pixels: int, *outputs: tuple[int, ...]) -> ModelEntry:
    return ModelEntry(
        role=role,
        file=path.name,
        sha256=sources.sha256_of(path),
        bytes=path.stat().st_size,
        inputs=(TensorEntry((1, pixels, pixels, 3), "float32"),),
        outputs=tuple(TensorEntry(shape, "float32") for shape in outputs),
    )
