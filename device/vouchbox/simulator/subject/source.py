"""The simulated subject as a camera: a FrameSource whose subject sees the prompts.

It takes the place of a sensor in tests, demos and on a developer's machine. Its kind is always SIMULATED,
so a verdict can never pass it off as a person before a real camera. Times are the numbers of the frames
over the frame rate; with pace `real` they also pass on the wall, and a reader that is late loses frames.
"""

from __future__ import annotations

import time

from vouchbox.camera.source import FrameFormat, Image, Stamp
from vouchbox.config import Camera
from vouchbox.errors import CameraError, CameraUnplugged
from vouchbox.messages import Prompt, SourceKind
from vouchbox.simulator.subject.scene import Sensor
from vouchbox.simulator.subject.spec import Attack, SubjectSpec, parse
from vouchbox.simulator.subject.staging import Performance, perform


class SimulatedSubject:
    """A FrameSource and PromptDisplay; the performance is built anew each time it is opened."""

    kind = SourceKind.SIMULATED

    def __init__(self, spec: SubjectSpec, camera: Camera) -> None:
        shown = spec.face if spec.attack is Attack.NONE else f"{spec.attack}:{spec.face}"
        self.name = f"simulated:{shown}"
        self._spec, self._camera = spec, camera
        self._performance: Performance | None = None
        self._sensor: Sensor | None = None
        self._index = -1
        self._started = 0.0

    def open(self) -> FrameFormat:
        """Begin from the first frame; the same spec gives the same frames."""
        camera, spec = self._camera, self._spec
        size = (camera.width, camera.height)
        self._performance = perform(spec, size)
        self._sensor = Sensor(size, spec)
        self._index = -1
        self._started = time.monotonic()
        return FrameFormat(camera.width, camera.height, float(camera.frame_rate))

    def show(self, prompt: Prompt | None) -> None:
        """The subject sees the prompt with the frame that was captured last."""
        if self._performance is not None:
            self._performance.show(prompt, max(self._index, 0) / self._camera.frame_rate)

    def capture(self, into: Image) -> Stamp | None:
        """Draw the next frame into `into`; raises CameraUnplugged when the source is not open."""
        if self._performance is None or self._sensor is None:
            raise CameraUnplugged("the simulated camera is not open", "open it before taking frames")
        if into.shape != (self._camera.height, self._camera.width, 3):
            raise CameraError(
                f"the frame's memory is {into.shape}",
                f"give {self._camera.height} x {self._camera.width} x 3",
            )
        rate = self._camera.frame_rate
        index = self._index + 1
        if self._camera.pace == "real":
            index = max(index, int((time.monotonic() - self._started) * rate))
        dropped = index - self._index - 1 if self._index >= 0 else 0
        self._index = index
        self._sensor.expose(self._performance.draw(index / rate), into)
        if self._camera.pace == "real":
            time.sleep(max(0.0, self._started + index / rate - time.monotonic()))
        return Stamp(index, round(index / rate * 1e9), dropped)

    def close(self) -> None:
        """Forget the pictures; safe to call twice."""
        self._performance = None
        self._sensor = None


def simulated(words: str, camera: Camera) -> SimulatedSubject:
    """The subject that `simulated:WORDS` names, for example `collins?light=dark`; raises UsageError."""
    return SimulatedSubject(parse(words), camera)
