"""Where a rising curve, measured a batch of points at a time and with noise, takes the values that are asked."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

NEAR = 0.2
"""Of the curve's values: a line between points so near to each other is as good as more points."""
CLOSE = 0.15
"""Decades between points, within which noise decides which of them has the greater value."""
_SHORT = 0.7
"""Decades, over which a curve of pictures is straight within .03."""
FLAT = 0.01
"""By how much values differ over a decade where more of it changes nothing."""


class Point(NamedTuple):
    """Where the curve has a value that was asked for, or the nearest to it."""

    ratio: float
    value: float
    """The curve's there: the one asked for, unless it has no such value."""


def search(
    measure: Callable[[list[float]], Sequence[float]],
    asked: Sequence[float],
    first: Sequence[float],
    *,
    rounds: int = 4,
    decades: tuple[float, float] = (-12.0, 12.0),
) -> list[Point]:
    """Finds the arguments at which a curve has certain values; all of them share what is measured.

    What was measured is made monotone first, by the means of neighbors that are not, and taken as straight between
    points, over the logarithm of the ratio.

    Args:
      measure: from positive ratios, always as many as `first`, to the curve's values, which rise from 0 to 1 but for
        noise. Those that are NaN do not count.
      asked: values, in any order.
      first: the ratios to measure first, two or more.
      rounds: how often to measure at most.
      decades: the least and the greatest logarithm, to base 10, of a ratio that may be measured.

    Returns:
      A point for each value asked: where the curve has no such value, its nearest. No points
      where no measured value is a number.

    Example:
      >>> from nst_jax.transfer.bracketing import search
      >>> (point,) = search(lambda ratios: [ratio / (1 + ratio) for ratio in ratios], [0.5], [0.01, 0.1, 10.0])
      >>> round(point.ratio, 1), round(point.value, 2)
      (1.0, 0.5)
    """
    at, values, ratios = np.empty(0), np.empty(0), list(first)
    for _ in range(rounds):
        found = np.asarray(measure(ratios), float)
        told = np.isfinite(found)
        at = np.concatenate([at, np.log10(ratios)[told]])
        values = np.concatenate([values, found[told]])
        if not len(at):
            return []
        order = np.argsort(at, kind="stable")
        at, values = at[order], values[order]
        further = _further(at, rising(values), asked, len(first), decades)
        if not further:
            break
        ratios = [float(10**each) for each in further]
    rise = rising(values)
    return [_point(at, rise, value) for value in asked]


def rising(values: np.ndarray) -> np.ndarray:
    """Makes values monotone with the least change, in the sum of squares: neighbors that fall get their mean.

    Args:
      values: [n].

    Returns:
      [n], none less than the one before.
    """
    pools: list[tuple[float, int]] = []  # mean, and of how many
    for value in values:
        pools.append((float(value), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (upper, many), (lower, few) = pools[-2:]
            pools[-2:] = [((many * upper + few * lower) / (many + few), many + few)]
    return np.concatenate([np.full(count, mean) for mean, count in pools])


def _point(at: np.ndarray, rise: np.ndarray, value: float) -> Point:
    if not rise[0] < value < rise[-1]:  # of all ratios that are as good, the one that is least extreme
        as_good = np.flatnonzero(rise <= rise[0] + FLAT)[-1] if value <= rise[0] else np.argmax(rise >= rise[-1] - FLAT)
        return Point(float(10 ** at[as_good]), float(rise[as_good]))
    levels, where = np.unique(rise, return_inverse=True)
    middles = np.bincount(where, at) / np.bincount(where)
    return Point(float(10 ** np.interp(value, levels, middles)), value)


def _further(
    at: np.ndarray, rise: np.ndarray, asked: Sequence[float], count: int, decades: tuple[float, float]
) -> list[float]:
    """The logarithms to measure next, as many as `count`; none when there is nothing left to learn."""
    risen = rise[-1] - rise[0] > NEAR  # else all may lie before the rise, or after it, which the height tells
    ends: dict[tuple[float, float], None] = {}  # what to measure within
    for value in asked:
        if value < rise[0]:
            over = (risen or rise[0] < 0.5) and _level(at - at[0], rise - rise[0])
            if at[0] > decades[0] and not over:
                ends[float(at[0]), max(decades[0], float(at[0]) - 3)] = None
        elif value > rise[-1]:
            over = (risen or rise[-1] > 0.5) and _level(at[-1] - at[::-1], rise[-1] - rise[::-1])
            if at[-1] < decades[1] and not over:
                ends[float(at[-1]), min(decades[1], float(at[-1]) + 3)] = None
        else:
            upper = max(1, int(np.searchsorted(rise, value)))
            low, high = float(at[upper - 1]), float(at[upper])
            # Over more decades the line would cut a corner, unless its ends are nearer still.
            near = NEAR if high - low <= _SHORT else NEAR / 4
            if rise[upper] - rise[upper - 1] > near and high - low > CLOSE:
                ends[low, high] = None
    shares = [len(part) for part in np.array_split(np.arange(count), len(ends))] if ends else []
    pairs = [(*pair, share) for pair, share in zip(ends, shares, strict=True)]
    return [float(each) for start, end, share in pairs for each in np.linspace(start, end, share + 2)[1:-1]]


def _level(away: np.ndarray, change: np.ndarray) -> bool:
    """Whether a curve has become flat at an end, from distances to it, which grow, and changes from it."""
    far = away >= 1
    return bool(far.any()) and float(change[far][0]) < FLAT
