"""Live people before the camera: each figure is turned as its motion says and put into the room."""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import Figure
from vouchbox.simulator.subject.motion import Motion
from vouchbox.simulator.subject.scene import put
from vouchbox.simulator.subject.warp import project


@dataclass(frozen=True)
class Standing:
    """One figure, how it moves, and the picture point where its face rests."""

    figure: Figure
    motion: Motion
    centre: tuple[float, float]


class LivePeople:
    """Draws everyone in view, the first of `people` in front."""

    def __init__(self, people: tuple[Standing, ...], room: Image) -> None:
        self._people = people
        self._room = room

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """Everybody sees the prompt."""
        for person in self._people:
            person.motion.show(prompt, time_s)

    def draw(self, time_s: float) -> Image:
        """The picture at `time_s`, RGB, before the sensor."""
        picture = self._room
        for person in reversed(self._people):
            figure = person.figure
            posture = person.motion.posture(time_s)
            figure.close_eyes(posture.lids)
            falls = project(figure.sheet, posture, figure.eyes_px, person.centre)
            picture = put(figure.texture, figure.sheet, falls, figure.solid, picture)
        return picture
