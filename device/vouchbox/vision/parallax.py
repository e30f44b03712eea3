"""Parallax: how far near points of a face move against far ones when it turns, claimed and confirmed.

The landmark network has learnt heads and imagines their relief on a flat picture of one, too. So two views of
a face are compared twice: what moved according to the landmarks, and what moved according to the pixels
(matching.py). Whatever a flat or slightly bent sheet can do, turned and held at any distance, is taken out of
both first; of the rest that the landmarks claim, the pixels of a head confirm most and those of a sheet
nothing. Pure arithmetic on points; it takes no decision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vouchbox.vision.observation import Parallax

Points = NDArray[np.float64]
"""n x 2, in distances between the eyes."""

FEWEST_POINTS = 24
"""Points that pixels must have found again before they can contradict or confirm: beyond 35 degrees of turn
fewer are found, and many of them wrongly."""

SMALLEST_CLAIM = 0.2
"""A claim below this (about the sine of 12 degrees) drowns in the noise of the matching."""

_LEAST_RELIEF = 0.05
"""Root mean square depth, in eye distances, that the found points must span beyond any bent sheet."""


def claim(places: Points, depths: NDArray[np.float64], landmarks: Points) -> float:
    """The sine of the turn that landmarks claim by parallax alone.

    `places` are the points in the first view, `depths` (n) their depths there, `landmarks` where the network
    sees them in the second view, carried back by the best affine map.
    """
    spans = _sheets(places)
    relief = _beyond(spans, depths)
    moved = _beyond(spans, landmarks - places)
    strength = float(relief @ relief)
    return float(np.linalg.norm(relief @ moved)) / strength if strength > 1e-9 else 0.0


def compare(
    places: Points,
    depths: NDArray[np.float64],
    landmarks: Points,
    pixels: Points,
    found: NDArray[np.bool_],
) -> Parallax | None:
    """The claim, and which share of it the pixels confirm: about 1 on a head, 0 on a sheet.

    `pixels` says where the points' surroundings were found again in the second view, valid where `found`.
    None when the landmarks claim too little, or too few points were found to say anything.
    """
    claimed = claim(places, depths, landmarks)
    if claimed < SMALLEST_CLAIM or found.sum() < FEWEST_POINTS:
        return None
    spans = _sheets(places[found])
    relief = _beyond(spans, depths[found])
    if float(np.sqrt((relief**2).mean())) < _LEAST_RELIEF:
        return None
    said = _beyond(spans, (landmarks - places)[found])
    seen = _beyond(spans, (pixels - places)[found])
    return Parallax(claimed, float((said * seen).sum() / (said**2).sum()), int(found.sum()))


def _sheets(places: Points) -> NDArray[np.float64]:
    """An orthonormal basis of what a sheet can do: shift, turn, shear and scale are linear in the place; a
    near camera and a bend of the sheet are quadratic in it, in first order."""
    x, y = (places - places.mean(axis=0)).T
    return np.asarray(np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0])


def _beyond(spans: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values - spans @ (spans.T @ values), np.float64)
