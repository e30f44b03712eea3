"""Follows one face from frame to frame: found once, then tracked from its own landmarks.

The detector runs only while no face is known, and every CENSUS_FRAMES frames to count the faces in view.
While searching, parts of the frame take turns, so that a small face is found within a few frames and no
frame costs much more than a tracked one. A face is believed only when the landmark network is sure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vouchbox.camera.source import Image
from vouchbox.vision.detector import Detection, Detector, View, distinct, views
from vouchbox.vision.landmarks import LandmarkFinder, Mesh, region_of_detection, region_of_points
from vouchbox.vision.observation import Box

PRESENCE = 0.5
"""Below this the landmark network sees no face: the track is lost."""

CENSUS_FRAMES = 10
"""How often the faces in view are counted while one is tracked."""

SEARCH_VIEWS = 3
"""Views searched in one frame, at most, while no face is known."""

BYSTANDER = 0.5
"""A face smaller than this share of the tracked one stands behind the person and is not counted."""

SUSPECTS = 3
"""Detections that the landmark network is asked about in one frame, at most."""

SMALLEST_FACE_PX = 16.0
"""Narrower points than this are no face that anything could be said about."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What tracking knows of a frame: the face or None, whether it was tracked (False: found anew), and how
    many faces are in view as of the last count (at most 1 + SUSPECTS)."""

    mesh: Mesh | None
    tracked: bool
    faces: int


class Tracker:
    """One face of one session; frames must have one size."""

    def __init__(self, detector: Detector, finder: LandmarkFinder, width: int, height: int) -> None:
        self._detector = detector
        self._finder = finder
        self._levels = views(width, height)
        self._whole = self._levels[0][0]
        self._parts = [view for level in self._levels[1:] for view in level]
        self._wide = list(self._levels[1]) if len(self._levels) > 1 else []
        self._turn = 0
        self._since_census = 0
        self._known: Mesh | None = None
        self._faces = 0

    @property
    def crop(self) -> Image:
        """The last face as the landmark network saw it."""
        return self._finder.crop

    def follow(self, frame: Image) -> Tracked:
        """Look at the next frame."""
        before = self._known
        self._known = self._track(frame, before) if before is not None else None
        tracked = self._known is not None
        if self._known is None:
            self._known = self._search(frame)
        elif self._since_census >= CENSUS_FRAMES:
            self._census(frame, self._known)
        self._since_census += 1
        if self._known is None:
            self._faces = 0
        return Tracked(self._known, tracked, self._faces)

    def _track(self, frame: Image, before: Mesh) -> Mesh | None:
        mesh = self._finder.fit(frame, region_of_points(before.points, self._finder.pixels))
        return mesh if _believable(mesh, frame) else None

    def _search(self, frame: Image) -> Mesh | None:
        found = self._detector.find(frame, [self._whole])
        if not found:
            parts = min(SEARCH_VIEWS - 1, len(self._parts))
            found = self._detector.find(frame, [self._next_part() for _ in range(parts)])
        candidates = distinct(found)
        for candidate in candidates[:SUSPECTS]:
            mesh = self._finder.fit(frame, region_of_detection(candidate, self._finder.pixels))
            if _believable(mesh, frame):
                # The box of a detection is coarse: a second fit from the points themselves is exact.
                self._count(frame, candidates, candidate)
                self._since_census = CENSUS_FRAMES // 2
                return self._track(frame, mesh) or mesh
        return None

    def _census(self, frame: Image, known: Mesh) -> None:
        places = [self._whole]
        if self._wide:
            places.append(self._wide[self._turn % len(self._wide)])
            self._turn += 1
        found = self._detector.find(frame, places)
        self._count(frame, distinct(found), Detection(known.box, known.points[:2, :2], 1.0))
        self._since_census = 0

    def _count(self, frame: Image, found: list[Detection], main: Detection) -> None:
        others = [d for d in found if not _same(d.box, main.box) and d.side >= BYSTANDER * main.side]
        # Hands and prints on shirts excite the detector; the landmark network tells them from faces.
        self._faces = 1 + sum(
            self._finder.presence(frame, region_of_detection(other, self._finder.pixels)) >= PRESENCE
            for other in others[:SUSPECTS]
        )

    def _next_part(self) -> View:
        part = self._parts[self._turn % len(self._parts)]
        self._turn += 1
        return part


def _same(one: Box, other: Box) -> bool:
    """Whether the middle of one lies inside the other."""
    x, y = (one.left + one.right) / 2.0, (one.top + one.bottom) / 2.0
    return other.left <= x <= other.right and other.top <= y <= other.bottom


def _believable(mesh: Mesh, frame: Image) -> bool:
    """Presence, a size that can be a face, and a middle that lies in the frame."""
    box = mesh.box
    x, y = (box.left + box.right) / 2.0, (box.top + box.bottom) / 2.0
    return (
        mesh.presence >= PRESENCE
        and bool(np.isfinite(mesh.points).all())
        and box.right - box.left >= SMALLEST_FACE_PX
        and 0.0 <= x < frame.shape[1]
        and 0.0 <= y < frame.shape[0]
    )
