"""What a network that is compared looks like; subclass it to add one (see README.md)."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from statistics import median

from vouchbox.camera.source import Image
from vouchbox.vision.observation import Box


class Network:
    """One liveness network, or several that give one score together.

    `name` heads its column, `files` are its weights, `note` says in a few words what it sees.
    """

    name: str
    note: str = ""
    threshold: float = 0.5
    files: Sequence[Path] = ()

    def judge(self, picture: Image, box: Box) -> float | None:
        """The score 0..1, higher is more bona fide, of the face in `box` (pixels of the RGB picture, which
        it may leave); None where nothing can be said."""
        raise NotImplementedError

    def pool(self, scores: Sequence[float]) -> float:
        """One score for the frames of a video: the median, unless the network has a rule of its own."""
        return float(median(scores))

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.files)

    @cached_property
    def identity(self) -> str:
        """Its files' digests and its module's code, for the cache."""
        module = sys.modules[type(self).__module__].__file__
        paths = [*self.files, *([Path(module)] if module else [])]
        return " ".join([self.name, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)])
