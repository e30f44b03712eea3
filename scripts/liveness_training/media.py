"""What paper and screens do to a picture that is shown on them: ink and raster, panel and pixel grid.

A medium is an RGBA texture (float32, alpha 0..1) with the picture somewhere in it, and a second step on the
camera's own grid, where rasters beat with the sensor. Physics in short words, not a model of one product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera_model import Picture, Random, blur, encoded, filmed

_GREY = np.float32([0.3, 0.59, 0.11])


@dataclass(frozen=True)
class Medium:
    """A texture [h, w, 4] and where the shown picture lies in it: left, top, and texels per picture pixel."""

    texture: Picture
    left: float
    top: float
    scale: float
    screen: bool


def printed(picture: Picture, random: Random) -> Picture:
    """Ink on paper: gamut, tone, saturation lost, the white of the paper, its grain, sometimes no colour."""
    x = np.clip(picture, 0, 255) / np.float32(255.0)
    grey = (x @ _GREY)[..., None]
    colour = 0.0 if random.random() < 0.1 else random.uniform(0.45, 1.15)
    x = grey + (x - grey) * np.float32(colour)
    mix = np.eye(3) + random.normal(0, 0.05, (3, 3))
    x = np.clip(x @ mix.T.astype(np.float32), 0, 1) ** np.float32(np.exp(random.normal(0, 0.2)))
    black, white = random.uniform(12, 60), random.uniform(185, 245)
    paper = np.float32(white * (1 + random.normal(0, 0.025, 3)))
    x = black + x * (paper - black)
    height, width = x.shape[:2]
    fibre = blur(random.standard_normal((height, width, 1), np.float32)[..., 0], random.uniform(0.4, 1.5))
    return np.asarray(x + (random.exponential(2.5) * fibre)[..., None], np.float32)


def on_paper(picture: Picture, random: Random) -> Medium:
    """A print with its margins, or cut tight."""
    height, width = picture.shape[:2]
    ink = printed(filmed(picture, random, 0.4) if random.random() < 0.5 else picture, random)
    margin = 0 if random.random() < 0.45 else int(random.uniform(0.02, 0.2) * min(height, width))
    texture = np.empty((height + 2 * margin, width + 2 * margin, 4), np.float32)
    texture[..., :3] = random.uniform(195, 250) * (1 + random.normal(0, 0.02, 3))
    texture[..., 3] = 1.0
    texture[margin : margin + height, margin : margin + width, :3] = ink
    if random.random() < 0.12:
        _cut_round(texture, random)
    if random.random() < 0.15:
        fold = int(random.uniform(0.2, 0.8) * texture.shape[1])
        texture[:, fold : fold + 2, :3] *= np.float32(random.uniform(0.8, 1.15))
    return Medium(texture, margin, margin, 1.0, False)


def _cut_round(texture: Picture, random: Random) -> None:
    """Cut with scissors along an ellipse, not quite smoothly."""
    height, width = texture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (x / width - 0.5) / random.uniform(0.4, 0.52), (y / height - 0.5) / random.uniform(0.42, 0.54)
    angle = np.arctan2(v, u)
    rim = 1.0 + 0.03 * np.sin(random.integers(5, 12) * angle + random.uniform(0, 6))
    texture[..., 3] = (np.hypot(u, v) < rim).astype(np.float32)


def on_screen(picture: Picture, random: Random) -> Medium:
    """A phone, tablet or monitor that plays a recording: gamma and gamut of a panel, bars, bezel."""
    height, width = picture.shape[:2]
    x = filmed(picture, random, 0.6) if random.random() < 0.7 else picture
    if random.random() < 0.5:
        x = encoded(x, random, 20)
    x = np.clip(x, 0, 255) / np.float32(255.0)
    grey = (x @ _GREY)[..., None]
    x = grey + (x - grey) * np.float32(random.uniform(0.75, 1.5))
    x = np.clip(x, 0, 1) ** np.float32(np.exp(random.normal(0.05, 0.22)))
    white = np.float32(
        [1, 1, 1] + random.normal(0, 0.03, 3) + random.normal(0.03, 0.06) * np.array([-1, 0, 1.4])
    )
    x = x * white * np.float32(255.0 * np.exp(random.normal(0.0, 0.25))) + np.float32(
        random.exponential(10.0)
    )
    around = (random.uniform(0, 0.35), random.uniform(0, 0.12)) if random.random() < 0.6 else (0.0, 0.0)
    bar_y, bar_x = int(around[0] * height), int(around[1] * width)
    bezel = int(random.uniform(0.01, 0.12) * min(height, width)) + 1
    tall, wide = height + 2 * (bar_y + bezel), width + 2 * (bar_x + bezel)
    texture = np.zeros((tall, wide, 4), np.float32)
    case = random.choice([random.uniform(5, 40), random.uniform(120, 235)], p=[0.8, 0.2])
    texture[..., :3] = case * (1 + random.normal(0, 0.03, 3))
    inner = texture[bezel : tall - bezel, bezel : wide - bezel, :3]
    inner[:] = random.choice([3.0, 28.0, 235.0], p=[0.6, 0.2, 0.2]) + random.exponential(8.0)
    _furniture(inner, random, bar_y)
    inner[bar_y : bar_y + height, bar_x : bar_x + width] = x
    texture[..., 3] = _rounded(tall, wide, int(random.uniform(0, 0.1) * min(tall, wide)))
    return Medium(texture, bezel + bar_x, bezel + bar_y, 1.0, True)


def _furniture(inner: Picture, random: Random, bar: int) -> None:
    """Buttons, a clock, lines of text in the bars of a player."""
    height, width = inner.shape[:2]
    for _ in range(int(random.integers(0, 9))):
        y = (
            int(random.uniform(0, max(bar, 4)))
            if random.random() < 0.5
            else height - 1 - int(random.uniform(0, max(bar, 4)))
        )
        left, long = int(random.uniform(0, width)), int(random.uniform(3, 0.3 * width))
        colour = random.uniform(60, 255, 3)
        inner[max(y - int(random.integers(1, 4)), 0) : y + 1, left : left + long] = colour


def _rounded(height: int, width: int, corner: int) -> Picture:
    mask = np.ones((height, width), np.float32)
    if corner < 2:
        return mask
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx = np.maximum(np.maximum(corner - x, x - (width - 1 - corner)), 0)
    dy = np.maximum(np.maximum(corner - y, y - (height - 1 - corner)), 0)
    return np.clip(corner - np.hypot(dx, dy) + 0.5, 0, 1).astype(np.float32)


def rastered(seen: Picture, u: Picture, v: Picture, random: Random) -> Picture:
    """Halftone dots of four inks at their own angles, as the sensor samples them: strongest in half tones."""
    period = random.uniform(1.3, 5.0)
    depth = np.float32(random.uniform(0.02, 0.22))
    x = seen / np.float32(255.0)
    for channel, degrees in enumerate((15.0, 75.0, 0.0)):
        a = np.radians(degrees + random.uniform(-3, 3))
        one = np.cos((np.cos(a) * u + np.sin(a) * v) * np.float32(2 * np.pi / period))
        two = np.cos((np.cos(a) * v - np.sin(a) * u) * np.float32(2 * np.pi / period))
        half = np.clip(4.0 * x[..., channel] * (1.0 - x[..., channel]), 0, 1)
        seen[..., channel] += depth * np.float32(110.0) * half * one * two
    return seen


def gridded(seen: Picture, u: Picture, v: Picture, random: Random) -> Picture:
    """The panel's pixel grid under the sensor's: stripes of red, green and blue, and rows. Sampled at single
    points, so that grids finer than the sensor's fold down to moire, as they really do."""
    pitch = np.exp(random.uniform(np.log(0.28), np.log(3.2)))
    depth = random.uniform(0.01, 0.16) if random.random() < 0.75 else 0.0
    for channel in range(3):
        stripe = np.cos((u / pitch + channel / 3.0) * np.float32(2 * np.pi))
        row = np.cos(v / pitch * np.float32(2 * np.pi))
        seen[..., channel] *= 1 + np.float32(depth) * stripe + np.float32(0.6 * depth) * row
    if random.random() < 0.35:
        height = seen.shape[0]
        bands = np.sin(
            np.arange(height, dtype=np.float32) * 2 * np.pi / random.uniform(0.1, 1.2) / height
            + random.uniform(0, 6)
        )
        seen *= 1 + np.float32(random.uniform(0.01, 0.1)) * bands[:, None, None]
    return seen


def mirrored(seen: Picture, room: Picture, random: Random) -> Picture:
    """Glass: lamps and windows, and a faint picture of the room."""
    height, width = seen.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(int(random.integers(0, 3))):
        cx, cy = random.uniform(0, width), random.uniform(0, height)
        a, b = random.uniform(0.02, 0.3) * width, random.uniform(0.02, 0.3) * height
        turn = random.uniform(-0.6, 0.6)
        far = ((x - cx + turn * (y - cy)) / a) ** 2 + ((y - cy) / b) ** 2
        lamp = np.exp(-(far ** random.uniform(0.6, 2.5)))
        seen = seen + np.float32(random.uniform(15, 150)) * lamp[..., None]
    if random.random() < 0.5:
        seen = seen + np.float32(random.uniform(0.02, 0.18)) * blur(room[:, ::-1], 2.0)
    return np.asarray(seen, np.float32)


def shining(seen: Picture, random: Random) -> Picture:
    """Sheen and shadow on paper: light that changes slowly over the sheet."""
    height, width = seen.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    a = random.uniform(0, 2 * np.pi)
    ramp = (np.cos(a) * (x / width - 0.5) + np.sin(a) * (y / height - 0.5)) * random.normal(0, 0.5)
    seen = seen * (1 + np.clip(ramp, -0.5, 0.5))[..., None].astype(np.float32)
    if random.random() < 0.4:
        centre, wide = random.uniform(-0.5, 1.5), random.uniform(0.05, 0.4)
        t = np.cos(a) * x / width + np.sin(a) * y / height
        seen = seen + np.float32(random.uniform(5, 70)) * np.exp(-(((t - centre) / wide) ** 2))[..., None]
    return np.asarray(seen, np.float32)
