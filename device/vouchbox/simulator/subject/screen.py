"""A recording shown on a phone or a monitor: bezel, backlight, moire between two pixel grids, glare.

The recording was made before and knows no prompt: it plays its own sequence of movements, unless an operator
picks them. The screen itself is only held (phone) or stands there (monitor).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.messages import Prompt
from vouchbox.simulator.subject.figure import CAMERA_EYES
from vouchbox.simulator.subject.motion import Motion
from vouchbox.simulator.subject.paper import AROUND_PX, flat_sheet
from vouchbox.simulator.subject.scene import Sensor, lay_over
from vouchbox.simulator.subject.warp import Floats, Place, lookup, project, region, sample, solid

MOIRE = 0.055
"""Amplitude of the colour fringes, as a share."""

BACKLIGHT = (0.94, 1.0, 1.10)
BLACK_LEVEL = 14.0
"""What a screen's black gives off, in grey values."""

FRINGE_UNIT = 200
"""The value of a fringe that leaves a pixel as it is."""

_HALF = 2
_TURNS = np.arange(256, dtype=np.float64)[:, None] / 256.0 + np.array([0.0, 1 / 3, 2 / 3])
_STRIPES = (
    np.round(FRINGE_UNIT * (1.0 + MOIRE * np.cos(2 * np.pi * _TURNS)) - 0.5 * FRINGE_UNIT * MOIRE)
    .astype(np.uint8)
    .reshape(1, 256, 3)
)
_LINES = (
    np.round(0.5 * FRINGE_UNIT * MOIRE * (1.0 + np.cos(2 * np.pi * _TURNS[:, :1])))
    .astype(np.uint8)
    .repeat(3, axis=1)
    .reshape(1, 256, 3)
)
"""By 1/256 of a turn: stripes of red, green and blue, and lines between rows; their sum is a fringe."""


@dataclass(frozen=True, slots=True)
class Device:
    """A screen: `shows` is the part of the recording's width that is visible, `share` the screen's height
    over the picture's, `bezel_px` its frame, `corner_px` its rounding, `pitch_px` one of its pixels."""

    shows: float
    share: float
    bezel_px: int
    corner_px: int
    pitch_px: float


PHONE = Device(shows=0.62, share=0.90, bezel_px=13, corner_px=26, pitch_px=0.945)
MONITOR = Device(shows=1.0, share=0.93, bezel_px=9, corner_px=3, pitch_px=1.93)


class Recording(Protocol):
    """What the screen plays."""

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """The script's next movement."""
        ...

    def draw(self, time_s: float) -> Image:
        """The recorded picture."""
        ...


class Replay:
    """Draws the screen in a room. `film` is height and width of the recording; `script` says when the
    recorded person did what, in seconds; `closeness` enlarges the screen in the picture. With `cued` an
    operator has a film of each movement and plays the one that the prompt asks for."""

    def __init__(
        self,
        device: Device,
        recording: Recording,
        film: tuple[int, int],
        sensor: Sensor,
        script: tuple[tuple[float, Prompt | None], ...],
        motion: Motion,
        room: Image,
        eyes_px: float,
        closeness: float,
        cued: bool = False,
    ) -> None:
        self._device, self._recording, self._sensor, self._motion = device, recording, sensor, motion
        self._script, self._room, self._eyes_px = list(script), room, eyes_px
        self._cued = cued
        height, width = room.shape[:2]
        self._film = np.zeros((*film, 3), np.uint8)
        levels = (
            np.arange(256)[:, None, None] * (1.0 - BLACK_LEVEL / 255.0) * np.array(BACKLIGHT) + BLACK_LEVEL
        )
        self._glow = np.clip(levels, 0, 255).astype(np.uint8).reshape(1, 256, 3)
        tall = round(device.share * height * closeness)
        wide = round(tall * device.shows * width / height)
        self._texture = _casing(device, wide, tall)
        self._window = (AROUND_PX + device.bezel_px, AROUND_PX + device.bezel_px, wide, tall)
        self._sheet = flat_sheet(self._texture.shape, CAMERA_EYES * eyes_px)
        self._solid = solid(self._texture[..., 3], self._sheet)
        self._glare = _glare(width, height)

    def show(self, prompt: Prompt | None, time_s: float) -> None:
        """Nobody in a recording sees a prompt; whoever plays it may."""
        if self._cued:
            self._recording.show(prompt, time_s)

    def draw(self, time_s: float) -> Image:
        """The picture at `time_s`, RGB, before the sensor."""
        while self._script and self._script[0][0] <= time_s:
            at, prompt = self._script.pop(0)
            self._recording.show(prompt, at)
        self._sensor.expose(self._recording.draw(time_s), self._film)
        self._fill_window()
        posture = self._motion.posture(time_s)
        height, width = self._room.shape[:2]
        falls = project(self._sheet, posture, self._eyes_px, (0.5 * width, 0.5 * height))
        place = region(falls, self._solid, (width, height))
        texels = lookup(self._sheet, falls, place)
        drawn = sample(self._texture, texels)
        rgb = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB)
        lit = cv2.multiply(rgb, self._fringes(texels, place), scale=1.0 / FRINGE_UNIT)
        left = int(np.clip(width * (0.25 + 0.012 * posture.yaw), 0, width // 2))
        top = int(np.clip(height * (0.25 + 0.012 * posture.pitch), 0, height // 2))
        glare = self._glare[top : top + height, left : left + width][place]
        shown = cv2.add(lit, np.ascontiguousarray(glare)).astype(np.uint8, copy=False)
        picture = self._room.copy()
        picture[place] = lay_over(shown, drawn[..., 3], np.ascontiguousarray(self._room[place]))
        return picture

    def _fill_window(self) -> None:
        left, top, wide, tall = self._window
        visible = round(self._film.shape[1] * self._device.shows)
        first = (self._film.shape[1] - visible) // 2
        shown = cv2.resize(
            self._film[:, first : first + visible], (wide, tall), interpolation=cv2.INTER_LINEAR
        )
        self._texture[top : top + tall, left : left + wide, :3] = cv2.LUT(shown, self._glow)

    def _fringes(self, texels: Floats, place: Place) -> Image:
        """Beats between the screen's pixel grid and the sensor's, for red, green and blue stripes, in
        FRINGE_UNIT.

        At a whole pixel x, cos(2 pi u / pitch) equals cos(2 pi (u / pitch - n x)) for a whole n: with n near
        the local frequency the phase is slow, and half of the picture's resolution is enough.
        """
        order = round(1.0 / self._device.pitch_px * 2) / 2
        phase = texels[::_HALF, ::_HALF] * np.float32(256 / self._device.pitch_px)
        rows, columns = place
        phase[..., 0] -= np.arange(columns.start, columns.stop, _HALF, dtype=np.float32) * (256 * order)
        phase[..., 1] -= np.arange(rows.start, rows.stop, _HALF, dtype=np.float32)[:, None] * (256 * order)
        turn = phase.astype(np.int32).astype(np.uint8)
        stripes = cv2.LUT(cv2.cvtColor(turn[..., 0], cv2.COLOR_GRAY2RGB), _STRIPES)
        lines = cv2.LUT(cv2.cvtColor(turn[..., 1], cv2.COLOR_GRAY2RGB), _LINES)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        field = cv2.resize(cv2.add(stripes, lines), size, interpolation=cv2.INTER_LINEAR)
        return field.astype(np.uint8, copy=False)


def _casing(device: Device, wide: int, tall: int) -> NDArray[np.uint8]:
    """The device switched off: RGBA, a dark frame with round corners and a lighter rim."""
    outer_w, outer_h = wide + 2 * device.bezel_px, tall + 2 * device.bezel_px
    y, x = np.mgrid[0:outer_h, 0:outer_w].astype(np.float32)
    corner = float(device.corner_px)
    inset_x = np.maximum(np.maximum(corner - x, x - (outer_w - 1 - corner)), 0.0)
    inset_y = np.maximum(np.maximum(corner - y, y - (outer_h - 1 - corner)), 0.0)
    depth = corner - np.hypot(inset_x, inset_y)
    alpha = np.clip(depth + 0.5, 0.0, 1.0)
    rim = np.exp(-((np.minimum(np.minimum(depth, x), np.minimum(y, outer_h - 1 - y)) - 1.5) ** 2) / 2.0)
    rgb = 18.0 + 60.0 * rim[..., None] * np.ones(3, np.float32)
    texture = np.zeros((outer_h + 2 * AROUND_PX, outer_w + 2 * AROUND_PX, 4), np.uint8)
    texture[AROUND_PX:-AROUND_PX, AROUND_PX:-AROUND_PX, :3] = np.clip(rgb, 0, 255)
    texture[AROUND_PX:-AROUND_PX, AROUND_PX:-AROUND_PX, 3] = alpha * 255
    return texture


def _glare(width: int, height: int) -> Image:
    """A lamp mirrored in the glass: twice one picture's reach, to be moved as the screen tilts."""
    y, x = np.mgrid[0 : height + height // 2, 0 : width + width // 2].astype(np.float32)
    u, v = x / width - 1.05, y / height - 0.42
    lamp = 70.0 * np.exp(-(((u + 0.4 * v) / 0.10) ** 2) - ((v - 0.2 * u) / 0.16) ** 2)
    window = 26.0 * np.exp(-(((u + 0.5 * v + 0.45) / 0.20) ** 2))
    return np.repeat(np.clip(lamp + window, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
