"""Who stands where: from a subject's spec to the people, prints and screens that are drawn."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import Figure, figure
from vouchbox.simulator.subject.live import LivePeople, Standing
from vouchbox.simulator.subject.motion import LIVE, Motion
from vouchbox.simulator.subject.portraits import portrait
from vouchbox.simulator.subject.scene import room
from vouchbox.simulator.subject.spec import Distance, Faces, PortraitName, SubjectSpec

EYES_SHARE = 0.175
"""Distance between the eyes over the picture's height, for one face at the normal distance."""

_CLOSENESS = {Distance.FAR: 0.42, Distance.NORMAL: 1.0, Distance.NEAR: 1.7}

_PLACES: dict[Faces, tuple[tuple[float, float, float], ...]] = {
    Faces.NOBODY: (),
    Faces.ONE: ((0.5, 0.49, 1.0),),
    Faces.TWO: ((0.29, 0.52, 0.72), (0.73, 0.45, 0.66)),
    Faces.TEN: tuple((0.1 + 0.2 * n, 0.62, 0.36) for n in range(5))
    + tuple((0.1 + 0.2 * n, 0.25, 0.34) for n in range(5)),
}
"""For each person the face's place in parts of width and height, and its size."""


class Performance(Protocol):
    """What happens before the camera: people, a print, a screen, a mask."""

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """The prompt on the screen from `time_s` on."""
        ...

    def draw(self, time_s: float) -> Image:
        """What the lens sees at `time_s`; times never decrease."""
        ...


def perform(spec: SubjectSpec, size: tuple[int, int]) -> Performance:
    """Set the scene for pictures of `size` (width, height)."""
    return people(spec, size)


def people(spec: SubjectSpec, size: tuple[int, int]) -> LivePeople:
    """Live people in a room; the first has the spec's portrait, the next the other one, and so on."""
    width, height = size
    names = [spec.portrait, *(name for name in PortraitName if name is not spec.portrait)]
    standing = []
    for number, (across, down, large) in enumerate(_PLACES[spec.faces]):
        eyes_px = EYES_SHARE * height * large * _CLOSENESS[spec.distance]
        motion = Motion(LIVE, spec.seed + 101 * number, spec.follow)
        standing.append(Standing(_own(names[number % 2], eyes_px), motion, (across * width, down * height)))
    return LivePeople(tuple(standing), room(size, spec.seed))


@lru_cache(maxsize=8)
def _prepared(name: PortraitName, eyes_px: float) -> Figure:
    return figure(portrait(name), eyes_px)


def _own(name: PortraitName, eyes_px: float) -> Figure:
    """A figure whose lids can move without moving anyone else's."""
    return _prepared(name, eyes_px).copy()
