"""One camera for both classes: what lens, sensor, image processor and encoder do to whatever stands before
it, live face or recapture alike, so that no trace of the camera tells the classes apart.

All functions take and return float32 pictures [h, w, 3], RGB 0..255, and draw from the generator they are
given.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Random = np.random.Generator

AS_IT_IS = 0.25
"""Share of pictures that a good camera changes hardly at all. The frames we learn from were filmed once
already; without these, one more generation of noise would stand for bona fide."""


def blur(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur; nothing below a fifth of a pixel."""
    if sigma < 0.2:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def graded(picture: Picture, random: Random, strength: float = 1.0) -> Picture:
    """White balance, exposure, gamma, contrast and saturation of a camera that adapts."""
    gains = np.exp(random.normal(0, 0.07 * strength, 3) + random.normal(0, 0.16 * strength))
    x = np.clip(picture * gains.astype(np.float32) / 255.0, 0.0, 1.0)
    x = x ** np.float32(np.exp(random.normal(0, 0.16 * strength)))
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * np.float32(np.exp(random.normal(0, 0.18 * strength)))
    contrast = np.float32(np.exp(random.normal(0, 0.10 * strength)))
    return np.asarray(np.clip((x - 0.45) * contrast + 0.45, 0.0, 1.0) * 255.0, np.float32)


def noisy(picture: Picture, random: Random) -> Picture:
    """Shot and read noise, partly smoothed as image processors do, with its own colour."""
    height, width = picture.shape[:2]
    read, shot = random.exponential(1.4), random.exponential(0.10)
    # OpenCV's generator is several times quicker; its seed comes from ours.
    cv2.setRNGSeed(int(random.integers(2**31 - 1)))
    luma, chroma = np.empty((height, width, 1), np.float32), np.empty((height, width, 3), np.float32)
    cv2.randn(luma, 0.0, 1.0)
    cv2.randn(chroma, 0.0, 1.0)
    grain = 0.7 * luma + random.uniform(0.2, 0.9) * chroma
    if random.random() < 0.5:
        grain = blur(grain, random.uniform(0.3, 0.9)) * np.float32(1.6)
    return np.asarray(picture + grain * (read + shot * np.sqrt(np.maximum(picture, 0.0))), np.float32)


def sharpened(picture: Picture, amount: float, sigma: float) -> Picture:
    """Unsharp masking, which phones and webcams overdo."""
    return np.asarray(picture + amount * (picture - blur(picture, sigma)), np.float32)


def encoded(picture: Picture, random: Random, worst: int = 30) -> Picture:
    """One generation of lossy coding: JPEG, or a VP8 key frame (WebP), which is coded as video is."""
    quality = int(random.integers(worst, 97))
    kind, flag = (
        (".jpg", cv2.IMWRITE_JPEG_QUALITY) if random.random() < 0.45 else (".webp", cv2.IMWRITE_WEBP_QUALITY)
    )
    return coded(picture, kind, flag, quality)


def coded(picture: Picture, kind: str, flag: int, quality: int) -> Picture:
    """Written as `kind` (".jpg", ".webp") with `quality` under OpenCV's `flag`, and read again."""
    good, data = cv2.imencode(  # noqa: TID251 - training material
        kind, np.clip(picture, 0, 255).astype(np.uint8), [flag, quality]
    )
    if not good:
        raise ValueError("the picture can't be encoded")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)


def moved(picture: Picture, random: Random) -> Picture:
    """Blur of a hand or head that moved during the exposure."""
    length = int(random.integers(2, 6))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = random.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    cv2.line(
        kernel,
        tuple(int(v) for v in np.round(length - step)),
        tuple(int(v) for v in np.round(length + step)),
        1.0,
    )
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)


def coarser(picture: Picture, factor: float) -> Picture:
    """Through a sensor or stream of fewer pixels and back to the same size."""
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture, (max(8, round(width * factor)), max(8, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def filmed(picture: Picture, random: Random, strength: float = 1.0) -> Picture:
    """Everything between the scene and the decoded frame; `strength` scales how bad a camera may be."""
    if random.random() < AS_IT_IS:
        return np.clip(encoded(picture, random, 60) if random.random() < 0.5 else picture, 0, 255)
    x = picture
    if random.random() < 0.3 * strength:
        x = coarser(x, random.uniform(0.5, 0.95))
    if random.random() < 0.5:
        x = blur(x, min(random.exponential(0.45), 1.6) * strength)
    if random.random() < 0.06 * strength:
        x = moved(x, random)
    if random.random() < 0.8:
        x = graded(x, random, 0.75 * strength)
    if random.random() < 0.75:
        x = noisy(np.clip(x, 0, 255), random)
    if random.random() < 0.3:
        x = sharpened(x, random.uniform(0.2, 1.0), random.uniform(0.6, 1.6))
    if random.random() < 0.2:
        x = np.asarray(cv2.medianBlur(np.clip(x, 0, 255).astype(np.uint8), 3), np.float32)
    if random.random() < 0.8:
        x = encoded(x, random)
    return np.clip(x, 0, 255)
