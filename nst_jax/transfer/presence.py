"""How much of the photograph a picture has, asked for: the α/β that gives it, found on small, short lanes.

Presence is what `measures` tells as the correlation: Pearson's, of a picture's activations of conv4_2 with the
photograph's. It rises with α/β, but where depends on the pictures, the layers, the network and the size. The lanes of
the search have all of the run's settings but for the size and the number of evaluations, and α/β by positions, as
coarser scales have (`scales.settings_at`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.loss.conventions import PAPER
from nst_jax.network.layers import CONTENT_LAYER, positions_of
from nst_jax.pictures import images
from nst_jax.transfer import scales
from nst_jax.transfer.arguments import paintings_of, picture
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.bracketing import search
from nst_jax.transfer.guides import NO_REGIONS, OfRegions
from nst_jax.transfer.lanes import table
from nst_jax.transfer.names import power
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import Transfer

SIDE = 128
"""Pixels of the longest side of the search's lanes: with less, what a picture gains with its size differs too much from
painting to painting (docs/presence.md)."""
EVALUATIONS = 120
"""Of a lane of the search, at most."""
LANES = 2
"""In the search's batch, for one presence: what it begins from is good enough that they lie on both sides."""
MORE_LANES = 4
"""In the search's batch, for several."""
WITHIN = 0.05
"""How far what comes of a run may be from what was asked."""
_USUAL = (0.27, 0.5, 0.77, 0.93)
"""Presence at a tenth of the default α/β, at it, and at ten and a hundred times: what the search begins from."""
_GAIN = 0.08
"""The presence that a picture has more in a large size than at SIDE, with the same α/β by positions."""
_GAINING = ((0.0, 0.2, 0.35, 0.45, 0.6, 0.8, 1.0), (0.0, 0.5, 1.0, 1.0, 0.65, 0.0, 0.0))
"""Presence, and what part of that it gains: most where photograph and painting are in balance."""
_MEANT_FOR = 192
"""Pixels of the longest side that the paper's default α/β is for."""


class Found(NamedTuple):
    """The α/β for a presence.

    Example:
      >>> from nst_jax.transfer.presence import Found
      >>> found = Found(asked=0.6, ratio=1.4e-3, expected=0.6, reached=True)
      >>> found.ratio
      0.0014
    """

    asked: float
    ratio: float
    """α/β, at the settings' own size."""
    expected: float
    """The presence that the run's picture is expected to have: the one asked for, or the nearest that there is."""
    reached: bool
    """Whether the two are within WITHIN."""

    def __str__(self) -> str:
        """What was found, for people; for one that is not reached, that it is not, with the nearest."""
        at = f"α/β {power(self.ratio)}"
        if self.reached:
            return f"presence {self.asked:g}: {at} (expected {self.expected:.2f})"
        return f"presence {self.asked:g}: cannot be reached; the nearest is {self.expected:.2f}, at {at}"


def ratios_for(
    presences: Sequence[float], content: Any, style: Any, settings: Settings, *, regions: OfRegions = NO_REGIONS,
    params: Any = None, **options: Any,
) -> list[Found]:  # fmt: skip
    """Finds the α/β at which a run's pictures have certain presences.

    All rounds of the search are one program, of a batch of lanes at SIDE; all presences share what is measured.

    Args:
      presences: each from 0 to 1.
      content: the photograph, [height, width, 3] float RGB, 0..1.
      style: the painting, of any size, or several to blend; None where regions alone have a style.
      settings: of the run. Its `presence`, `ratio`, `alpha` and `beta` do not count.
      regions: what the settings name.
      params: the network's parameters, instead of those that the settings name.
      **options: what else the run's `Transfer` gets, such as `start`, `keep`, `optimizer` and `compile`.

    Returns:
      What was found, for each presence in the order given.

    Raises:
      InputError: a presence that is not allowed, a photograph in which nothing varies, or as `Transfer`.

    Example:
      >>> from nst_jax.transfer.presence import ratios_for
      >>> settings = nst.Settings(size=64, evaluations=4)
      >>> (found,) = ratios_for([0.6], photo, painting, settings)
      >>> found.asked, found.ratio > 0
      (0.6, True)
    """
    if not presences:
        return []
    for presence in presences:
        if not 0 <= presence <= 1:
            raise InputError(f"{argument('presence')}: {presence:g} is not allowed; must be from 0 to 1")
    photo, painted = picture(content, "content"), {} if style is None else {"painting": paintings_of(style)}
    styles = painted | {name: [painting] for name, painting in regions.paintings.items()}
    full = Scale(*images.fitted(photo.shape[:2], settings.size), settings.evaluations)
    small = scale_of_search(full)
    settings = replace(settings, presence=None, ratio=None, alpha=None, beta=None)
    at_search = scales.settings_at(small, full, settings)

    def measured(ratios: list[float]) -> list[float]:
        lanes = table(["photo"], [*painted] or [""], Axes(ratio=tuple(ratios)), at_search)
        work = Transfer(params, {"photo": photo}, styles, lanes, count=1, masks=regions.masks, **options)
        problem = work.problem(work.scales[-1])
        engine = work.engine(problem, len(lanes.lanes), (), fixed=True)
        found = dict.fromkeys(range(len(lanes.lanes)), np.nan)
        while not engine.finished:
            for over in engine.advance().finished:
                lane = problem.lanes[over.lane]
                found[over.lane] = problem.measure(lane, problem.picture(lane, over.image)).correlation
        return [carried(presence, small, full) for presence in found.values()]

    points = search(measured, presences, _first(presences, settings, full))
    if not points:
        raise InputError(
            f"{argument('presence')}: cannot be told, since nothing varies in the photograph; give a ratio"
        )
    return [
        Found(presence, float(f"{point.ratio:.3g}"), point.value, abs(point.value - presence) <= WITHIN)
        for presence, point in zip(presences, points, strict=True)
    ]


def scale_of_search(full: Scale) -> Scale:
    """Gives the size of the search's lanes and their evaluations, for a run whose pictures are `full`."""
    least = -(-images.MIN_SIDE * max(full.height, full.width) // min(full.height, full.width))
    side = min(max(SIDE, least), max(full.height, full.width))
    return Scale(*images.fitted((full.height, full.width), side), min(full.evaluations, EVALUATIONS))


def carried(presence: float, small: Scale, full: Scale) -> float:
    """Estimates the presence at a run's size from that of a lane of the search with the same α/β by positions.

    Args:
      presence: at `small`.
      small: the search's.
      full: the run's.

    Returns:
      The presence at `full`, which rises with that at `small`.
    """
    smaller = (small.height * small.width) / (full.height * full.width)
    return presence + _GAIN * (1 - smaller**2) * float(np.interp(presence, *_GAINING))


def _first(presences: Sequence[float], settings: Settings, full: Scale) -> list[float]:
    """The ratios to begin with: around those that usually give the least and the greatest presence."""
    alpha, beta = settings.alpha_beta
    usual = alpha / beta
    if settings.convention == PAPER:  # the others take means over positions
        own, meant = (
            positions_of(CONTENT_LAYER, *images.fitted((full.height, full.width), size))
            for size in (settings.ratio_size or max(full.height, full.width), _MEANT_FOR)
        )
        usual *= meant / own
    ends = [float(np.interp(presence, _USUAL, (-1, 0, 1, 2))) for presence in (min(presences), max(presences))]
    decades = np.linspace(ends[0] - 0.3, ends[1] + 0.3, LANES if len(presences) == 1 else MORE_LANES)
    return [float(usual * 10**each) for each in decades]
