"""What the style of lanes is: the targets of their paintings, in the colors and regions that the settings ask for."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import argument
from nst_jax.loss import targets
from nst_jax.loss.regions import Guidance, guidance
from nst_jax.transfer import recolor
from nst_jax.transfer.guides import Guides
from nst_jax.transfer.lanes import Lane
from nst_jax.transfer.settings import Settings

Array = jax.Array
Target = dict[str, Array]
"""By style layer, [1, N, K] or, with regions, [1, regions, N, K]; see `loss.style_targets`."""


class Styles:
    """The style targets of lanes at one scale; each is computed when it is asked for."""

    def __init__(
        self,
        params: Any,
        contents: Mapping[str, np.ndarray],
        styles: Mapping[Any, np.ndarray | Sequence[np.ndarray]],
        layers: Sequence[str],
        settings: Settings,
        network: Mapping[str, str],
        guides: Guides | None,
    ) -> None:
        """Keeps what the targets are made of.

        Args:
          params: parameters, as `load_weights` gives them.
          contents: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them.
          styles: likewise, by what `Lane.painting` and `Lane.sized` call them. Several of one name are blended.
          layers: the style layers.
          settings: of all lanes, but for those that are a lane's own.
          network: pool, padding and precision.
          guides: the regions; None where there are none.
        """
        self._params, self._contents, self._styles, self._layers = params, contents, styles, layers
        self._settings, self._network, self._guides = settings, dict(network), guides

    def key(self, lane: Lane) -> Hashable:
        """What a lane's targets depend on: lanes with equal keys share them."""
        own = lane.within(self._settings)
        colors = () if own.color == "painting" else (own.color, own.color_match, lane.content)
        return lane.painting, *colors

    def target(self, lane: Lane) -> tuple[Target, dict[str, np.ndarray]]:
        """Computes what a lane's style is compared with.

        Args:
          lane: the lane.

        Returns:
          Its target, with regions that of each that is present at the layer, [1, regions, N, K]; and, by layer, which
          of these are present in their paintings, too. Of one that is not there is the whole painting's target.
        """
        style_loss = self._settings.style_loss
        if not self._guides:
            return self._of_paintings(lane, self._listed(lane.painting), style_loss), {}
        each = [self._of_region(lane, number, style_loss) for number in range(len(self._guides.regions))]
        several, painted = {}, {}
        for layer, numbers in self._guides.present.items():
            rows = [each[number][0][layer] for number in numbers]
            none = jnp.zeros((1, 0, *each[0][0][layer].shape[1:]))
            several[layer] = jnp.stack(rows, 1) if rows else none
            painted[layer] = np.array([[each[number][1].get(layer, True) for number in numbers]], bool)
        return several, painted

    def mixture(self, lane: Lane, style_loss: str) -> Target:
        """Computes what the whole picture would have of the statistics of all of a lane's paintings.

        Args:
          lane: the lane.
          style_loss: what the moments are for.

        Returns:
          Its target without regions, [1, N, K]; with them their mean, each weighing its share of the picture, and what
          stays the photograph the photograph's.
        """
        if not self._guides:
            return self._of_paintings(lane, self._listed(lane.painting), style_loss)
        each = [self._of_region(lane, number, style_loss)[0] for number in range(len(self._guides.regions))]
        shares = [*map(float, self._guides.shares)]
        if self._guides.kept is not None and self._layers:
            kept = guidance(
                {"kept": self._guides.kept.astype(np.float32)}, self._layers, "simple", self._network["pool"]
            )
            each.append(self._of(self._contents[lane.content], style_loss, kept))
            shares.append(float(self._guides.kept.mean()))
        return targets.blend(each, shares)

    def _listed(self, name: Hashable) -> Sequence[np.ndarray]:
        paintings: Any = self._styles[name]
        return paintings if isinstance(paintings, list | tuple) else [paintings]

    def _of_region(self, lane: Lane, number: int, style_loss: str) -> tuple[Target, dict[str, bool]]:
        """The target of one of the regions, and at which layers its painting has it, if not all."""
        assert self._guides
        region = self._guides.regions[number]
        several = self._listed(lane.sized(region.painting) if region.painting else lane.painting)
        guided = self._guides.of_painting(region, *several[0].shape[:2])
        mask, found = guided or (None, None)
        masks = (mask, self._guides.masks[number])
        if not found:
            return self._of_paintings(lane, several, style_loss, masks, blended=not region.painting), {}
        painting = recolor.painted(several[0], self._contents[lane.content], lane.within(self._settings), masks)
        whole, of_mask = self._of(painting, style_loss), self._of(painting, style_loss, found)
        present = {layer: bool(there[0]) for layer, there in found.present.items()}
        return {layer: of_mask[layer] if present[layer] else whole[layer] for layer in whole}, present

    def _of_paintings(
        self, lane: Lane, paintings: Sequence[np.ndarray], style_loss: str, masks: recolor.Weights = (None, None),
        *, blended: bool = True,
    ) -> Target:  # fmt: skip
        own, photo = lane.within(self._settings), self._contents[lane.content]
        each = [self._of(recolor.painted(one, photo, own, masks), style_loss) for one in paintings]
        shares = (self._settings.style_blend if blended else None) or [1.0] * len(each)
        return targets.blend(each, shares, argument("style_blend"))

    def _of(self, painting: np.ndarray, style_loss: str, region: Guidance | None = None) -> Target:
        if not self._layers:
            return {}
        guides = region and {
            layer: np.moveaxis(np.asarray(channel), 0, -1)[None] for layer, channel in region.channels.items()
        }
        found = targets.style_targets(
            self._params, painting[None], self._layers, **self._network, style_loss=style_loss, guides=guides
        )
        return {layer: target[:, 0] for layer, target in found.items()} if region else found
