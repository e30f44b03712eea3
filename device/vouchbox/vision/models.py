"""The four networks of the vision room, loaded and checked once at start.

They are shared by all sessions, one session at a time; what a session left in them is wiped at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from vouchbox.messages import ModelIdentity
from vouchbox.vision import manifest
from vouchbox.vision.detector import Detector
from vouchbox.vision.embedding import Embedder
from vouchbox.vision.landmarks import LandmarkFinder
from vouchbox.vision.passive import PassiveNetwork
from vouchbox.vision.runtime import Network, Runtime, RuntimeName, choose
from vouchbox.vision.scratch import unlocked


@dataclass(frozen=True)
class Models:
    """Detector, landmarks, embedding and liveness, and the runtime that runs them."""

    runtime: Runtime
    detector: Network
    landmarks: Network
    embedding: Network
    liveness: Network

    @classmethod
    def load(cls, folder: Path | None = None, runtime: RuntimeName = "auto", threads: int = 1) -> Models:
        """Load from `folder` (None: the models that ship); raises ModelError or RuntimeMissing."""
        # OpenCV's worker threads cost more than they bring for pictures this small.
        cv2.setNumThreads(threads)
        chosen = choose(runtime)
        known = manifest.load(folder)
        detector, landmarks, embedding, liveness = (
            Network(chosen, known, role, threads)
            for role in ("detector", "landmarks", "embedding", "liveness")
        )
        # Each role's own demands on shapes are met now, not when a person stands there.
        Detector(detector, unlocked)
        LandmarkFinder(landmarks, unlocked)
        Embedder(embedding)
        PassiveNetwork(liveness, unlocked)
        return cls(chosen, detector, landmarks, embedding, liveness)

    @property
    def networks(self) -> tuple[Network, ...]:
        """All networks."""
        return (self.detector, self.landmarks, self.embedding, self.liveness)

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """Roles and digests, for the verdict."""
        return tuple(network.identity for network in self.networks)

    def wipe(self) -> bool:
        """Make every network forget its last picture; True when none is left in an input."""
        for network in self.networks:
            network.wipe()
        return all(network.wiped for network in self.networks)
