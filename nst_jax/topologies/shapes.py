"""A table's lanes as a problem of shapes alone: enough to compile its program, and nothing is computed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.loss.objective import Losses, Objective
from nst_jax.network.layers import CONVOLUTIONS, LAYERS
from nst_jax.optim.box import Box
from nst_jax.transfer.lanes import Table, paintings
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.region_names import written
from nst_jax.transfer.settings import Settings


class OfShapes:
    """What `transfer.problem.Problem` is, as `optim.engine.Problem` asks for it; starts are never asked for.

    Attributes:
      shape: of the images, (height, width, 3).
      dtype: of the images, float32.
    """

    def __init__(self, table: Table, height: int, width: int, slots: int, strips: tuple[int, ...] = ()) -> None:
        """Traces what computes the targets.

        Args:
          table: the lanes.
          height: of the pictures.
          width: likewise.
          slots: of the batch.
          strips: see `loss.strips.statistics`.
        """
        self.shape, self.dtype = (height, width, 3), np.dtype(np.float32)
        self._lanes = len(table.lanes)
        own = [lane.within(table.settings).color for lane in table.lanes]
        self._in_grey = "luminance" in own
        colors = {"color": "painting"}  # which change no shape, and are computed from values
        plain = tuple(
            replace(lane, own=tuple((dict(lane.own) | colors).items()) if lane.own else ()) for lane in table.lanes
        )
        table = table._replace(lanes=plain, settings=replace(table.settings, init="noise", **colors))
        blended = len(table.settings.style_blend or [1])
        made: list[Problem] = []
        masks, kept = bands(table.settings, height, width), None
        if table.settings.keep:
            kept = np.zeros(self.shape[:2], bool)
        if masks:
            table = table._replace(settings=replace(table.settings, region_edges="all"))  # all regions are everywhere

        def goal(params: Any, picture: Any) -> Objective:
            contents = {lane.content: picture for lane in table.lanes}
            styles: dict[Any, Any] = {name: [picture] * blended for name in paintings(table)}  # of any size
            made.append(
                Problem(params, contents, styles, table, kept=kept, masks=masks, prepared=params, strips=strips)
            )
            found = made[0].objective([lane % self._lanes for lane in range(slots)])
            return replace(found, luminance=jnp.zeros(slots, bool)) if self._in_grey else found

        picture = jax.ShapeDtypeStruct(self.shape, jnp.float32)
        self._goal = jax.eval_shape(goal, network(table), picture)
        self._made = made[0]

    def __len__(self) -> int:
        """How many lanes there are."""
        return self._lanes

    def objective(self, lanes: Sequence[int]) -> Any:
        """Gives the shapes of equation 7 for all slots."""
        return self._goal

    def spread(self, objective: Any) -> Any:
        """See `Problem.spread`."""
        return self._made.spread(objective)

    def starts(self, lanes: Sequence[int]) -> Any:
        """Never asked for."""
        raise NotImplementedError

    def boxes(self, lanes: Sequence[int]) -> Box:
        """See `Problem.boxes`."""
        found = self._made.boxes(lanes)
        if not self._in_grey:
            return found
        each = np.zeros((len(lanes), *self.shape[:2], 1), self.dtype)
        return found._replace(lower=each, upper=each)

    def unknown(self, lanes: int) -> Losses:
        """See `Problem.unknown`."""
        return self._made.unknown(lanes)

    def refuse(self, lane: int, losses: Any) -> None:
        """Never called."""


def bands(settings: Settings, height: int, width: int) -> dict[str, np.ndarray]:
    """Makes masks for all regions, none of which covers the last rows, [height, width] float32 each."""
    regions = list(map(written, settings.region))
    masks = {}
    for number, region in enumerate(regions):
        mask = np.zeros((height, width), np.float32)
        first, last = (height * (number + one) // (len(regions) + 1) for one in (0, 1))
        mask[first:last] = 1
        masks |= {name: mask for name in (region.mask, region.painting_mask) if name}
    return masks


def convolutions(table: Table) -> list[str]:
    """Names all convolutions as far as the deepest that a lane uses; as in `Problem`, without a weight it is none."""
    used = {
        layer
        for lane in table.lanes
        for weighed, layers in ((lane.alpha, lane.content_layers), (lane.beta, lane.style_layers))
        for layer, weight in layers
        if weighed and weight
    }
    return [name for name in LAYERS[: 1 + max(map(LAYERS.index, used))] if name in CONVOLUTIONS]


def network(table: Table) -> dict[str, Any]:
    """Gives the shapes of the parameters that the lanes use, as they are prepared for accelerators.

    Args:
      table: the lanes.

    Returns:
      Parameters, as `network.prepare` gives them.
    """

    def shaped(*sides: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sides, jnp.float32)

    layers = {
        name: {"kernel": shaped(3, 3, *CONVOLUTIONS[name]), "bias": shaped(CONVOLUTIONS[name][1])}
        for name in convolutions(table)
    }
    return {"params": layers, "preprocessing": {"mean": shaped(3), "scale": shaped(3)}, "transformed": {}}
