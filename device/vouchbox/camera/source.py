"""What a source of frames is. Cameras, clips and simulated subjects all look like this.

A source writes each frame straight into memory that it is handed (a slot of the locked ring) and keeps
no copy. It never decides anything about a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vouchbox.messages import Prompt, SourceKind

Image = NDArray[np.uint8]
"""Height x width x 3, RGB, 0..255."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """What an opened source delivers: pixels and nominal frames per second."""

    width: int
    height: int
    frame_rate: float


@dataclass(frozen=True, slots=True)
class Stamp:
    """One captured frame: its number, the sensor's time in nanoseconds, frames lost since the one before."""

    index: int
    timestamp_ns: int
    dropped: int = 0


@runtime_checkable
class FrameSource(Protocol):
    """A source of frames. Call order: open, capture until None, close (always, also after an error)."""

    kind: SourceKind
    name: str

    def open(self) -> FrameFormat:
        """Start; raises CameraMissing or ClipError."""
        ...

    def capture(self, into: Image) -> Stamp | None:
        """Write the next frame into `into` (format.height x format.width x 3); None when a clip has ended.

        Raises CameraUnplugged when no frame comes in time. The timestamp never decreases.
        """
        ...

    def close(self) -> None:
        """Stop the camera and wipe every buffer of its own; safe to call twice."""
        ...


@runtime_checkable
class PromptDisplay(Protocol):
    """A source whose subject can see the prompts: the simulated subject. Cameras show them elsewhere."""

    def show(self, prompt: Prompt | None) -> None:
        """The prompt that is on the screen from now on (None: no prompt)."""
        ...
