"""How a face's points move over time: joints that are no movement, movements that come twice, stillness.

Pure arithmetic on times (seconds, rising), points (frames x points x 2, in distances between the eyes) and
changes of the picture; it knows no limits beyond which something is an attack. Those stand in continuity.py.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

CUT_EACH = 1.3
"""What face and picture must both reach in a joint: a flash or a slip of the landmarks alone is no cut."""

LOOP_S = 1.8
"""Length of the movement that is searched for elsewhere in the clip."""

LOOP_LAG_S = 1.2
"""How much later the same movement may begin again at the earliest."""

LOOP_LASTS_S = 0.5
"""A recording that begins again goes on being the same for at least so long. Two turns that a person makes
when asked twice may be alike, too, but what was before and after them is not."""

SWAY_S = 3.0
"""Stillness is judged only over so long a time."""

LONGEST_PAUSE_S = 0.6
"""Across a longer absence of the face nothing is said about a joint."""

_STEP_FLOOR = 0.02
_CHANGE_FLOOR = 0.3
_AROUND = 3
_MOVED = 0.04
_FEWEST = 20


def strongest_cut(
    times: NDArray[np.float64], points: NDArray[np.float64], changes: NDArray[np.float64]
) -> float:
    """The largest factor by which one step of the face, and the change of the picture with it, exceed
    those of the three steps on both sides. A turn or a jerk spreads over several frames, a cut does not;
    a flash changes the picture alone, a slip of the landmarks the face alone."""
    if len(times) < 2 * _AROUND:
        return 0.0
    pauses = np.maximum(np.diff(times), 1.0 / 120.0)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(axis=1)
    usual = float(np.median(pauses))
    worst = 0.0
    for k in range(2, len(steps)):
        if pauses[k] > LONGEST_PAUSE_S:
            continue
        around = [j for j in range(max(0, k - _AROUND), min(len(steps), k + _AROUND + 1)) if j != k]
        allowed = max(steps[j] * pauses[k] / max(pauses[j], usual) for j in around)
        of_face = steps[k] / (allowed + _STEP_FLOOR)
        longer = max(1.0, float(pauses[k]) / usual)
        of_picture = changes[k + 1] / ((max(changes[j + 1] for j in around) + _CHANGE_FLOOR) * longer)
        if min(of_face, of_picture) >= CUT_EACH:
            worst = max(worst, float(np.sqrt(of_face * of_picture)))
    return worst


def likeness(times: NDArray[np.float64], points: NDArray[np.float64]) -> float:
    """The smallest difference between two movements of LOOP_S, LOOP_LAG_S or more apart, that lasts for
    LOOP_LASTS_S: mean squared distance over the smaller one's own variance. 1 when nothing moved enough to
    compare."""
    if len(times) < 12:
        return 1.0
    pause = max(float(np.median(np.diff(times))), 1.0 / 120.0)
    width = max(6, round(LOOP_S / pause))
    path = points.reshape(len(points), -1) / np.sqrt(points.shape[1])
    sums = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(path, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((path**2).sum(axis=1))])
    mean = (sums[width:] - sums[:-width]) / width
    variance = (squares[width:] - squares[:-width]) / width - (mean**2).sum(axis=1)
    best = 1.0
    lasting = max(1, round(LOOP_LASTS_S / pause))
    for lag in range(max(6, round(LOOP_LAG_S / pause)), len(path) - width - lasting + 2):
        distance = np.concatenate([[0.0], np.cumsum(((path[lag:] - path[:-lag]) ** 2).sum(axis=1))])
        apart = (distance[width:] - distance[:-width]) / width
        moved = np.minimum(variance[: len(apart)], variance[lag : lag + len(apart)])
        difference = np.where(moved > _MOVED**2, apart / np.maximum(moved, _MOVED**2), 1.0)
        best = min(best, float(sliding_window_view(difference, lasting).max(axis=1).min()))
    return best


def slow_sway(times: NDArray[np.float64], points: NDArray[np.float64]) -> tuple[float, float]:
    """Root mean square movement of the face's middle after averaging blocks of 0.3 s, and its variance
    over what the frame-to-frame noise leaves in such averages. (1, 1000) for a clip below SWAY_S."""
    if len(times) < _FEWEST or times[-1] - times[0] < SWAY_S:
        return 1.0, 1000.0
    middle = points.mean(axis=1)
    block = max(2, round(0.3 / max(float(np.median(np.diff(times))), 1.0 / 120.0)))
    blocks = len(middle) // block
    slow = middle[: blocks * block].reshape(blocks, block, 2).mean(axis=1)
    variance = float(((slow - slow.mean(axis=0)) ** 2).sum(axis=1).mean())
    noise = float((np.diff(middle, axis=0) ** 2).sum(axis=1).mean()) / 2.0 / block
    return float(np.sqrt(variance)), variance / max(noise, 1e-12)
