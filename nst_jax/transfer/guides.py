"""Regions of a picture, each with a painting of its own: their masks and paintings, and what guides the losses.

Gatys, Ecker, Bethge, Hertzmann and Shechtman, *Controlling Perceptual Factors in Neural Style Transfer* (arXiv
1611.07865); `loss.regions` has the equations. What no region covers is a region too, the rest: it has the painting that
is given without a mask or, where none is, stays the photograph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.loss.regions import Guidance, Regions, guidance
from nst_jax.transfer.arguments import levels, picture
from nst_jax.transfer.region_names import Region, as_text, written
from nst_jax.transfer.settings import Settings

Mask = np.ndarray
"""[height, width] float32, 0..1."""
_FAINT = 0.1  # what differs by less from black or white counts as such
REST = "the rest"
"""What the region is called that no mask covers."""


class OfRegions(NamedTuple):
    """The arrays of regions, by the names that the setting `region` has for them."""

    paintings: Mapping[str, np.ndarray] = MappingProxyType({})
    """[height, width, 3] float32 RGB, 0..1, of any size."""
    masks: Mapping[str, np.ndarray] = MappingProxyType({})
    """[h, w] bool or float, 0..1."""


NO_REGIONS = OfRegions()


def arrays_named(settings: Settings, regions: Sequence[Region]) -> tuple[Settings, OfRegions]:
    """Names the arrays of regions that are given as such.

    Args:
      settings: any.
      regions: of arrays.

    Returns:
      The settings, with the regions by their names; and the arrays.

    Raises:
      InputError: what is no region, or no picture.
    """
    texts, paintings, masks = [], {}, {}
    for number, region in enumerate(regions, start=1):
        if not isinstance(region, Region):
            raise InputError(f"{argument('region')}: {type(region).__name__} is no region; must be nst.Region")
        names = Region(f"mask {number}", f"painting of mask {number}")
        masks[names.mask], paintings[names.painting] = np.asarray(region.mask), picture(region.painting, "region")
        if region.painting_mask is not None:
            names = names._replace(painting_mask=f"mask {number} of the painting")
            masks[names.painting_mask] = np.asarray(region.painting_mask)
        texts.append(as_text(names))
    return (replace(settings, region=tuple(texts)) if texts else settings), OfRegions(paintings, masks)


def check_masks(settings: Settings, keep: Any, masks: Mapping[str, Any] | None) -> None:
    """Checks that the masks that the settings name are there.

    Args:
      settings: whose `keep` and `region` may name files, which somebody else has to read.
      keep: what was read, or given; None for nothing.
      masks: likewise, by their names.

    Raises:
      InputError: one is not.
    """
    if settings.keep and keep is None:
        raise InputError(f"{argument('keep')}: {settings.keep!r} is a file's name; from Python give a mask, an array")
    if settings.region and not masks:
        raise InputError(f"{argument('region')}: names files; from Python give each as nst.Region of arrays")


class Guides:
    """The regions of a table's pictures at one size, and where each is in the layers.

    Attributes:
      regions: by their names; with `REST` last where a painting is given for it.
      masks: [height, width] float32 each, of the picture's size.
      shares: each region's of the picture, [regions].
      kept: [height, width] bool, where no region is and the picture stays the photograph; None for nowhere.
      present: {layer: the numbers of the regions that have a position there}.
    """

    def __init__(
        self, settings: Settings, masks: Mapping[str, Any], height: int, width: int, layers: Sequence[str], *,
        rest: bool,
    ) -> None:  # fmt: skip
        """Brings the masks to the picture's size, and to the layers.

        Args:
          settings: whose `region`, `region_edges`, `region_weights` and `pool` count.
          masks: [h, w] bool or float, 0..1, by the names in `region`; of any size.
          height: the picture's, in pixels.
          width: likewise.
          layers: names of the style layers.
          rest: whether there is a painting for what no region covers.

        Raises:
          InputError: what is no mask, has another aspect or is nowhere white; the same for two regions; or not a weight
            for each region.
        """
        self._settings, self._given, self._size, self._layers = settings, masks, (height, width), tuple(layers)
        self.regions = tuple(map(written, settings.region))
        own = [self._brought(region.mask, height, width) for region in self.regions]
        for (first, a), (second, b) in combinations(zip(self.regions, own, strict=True), 2):
            if np.array_equal(a, b):
                raise InputError(f"{argument('region')}: {first.mask} and {second.mask} are the same mask")
        left = np.clip(1 - np.sum(own, 0), 0, 1, dtype=np.float32)
        uncovered = left > 0.5
        if rest and uncovered.any():
            self.regions, own = (*self.regions, Region(REST, None)), [*own, left]
        self.kept = uncovered if uncovered.any() and not rest else None
        self.masks, self.shares = own, np.array([mask.mean() for mask in own], np.float32)
        self.check_weights(settings.region_weights)
        found = self._guidance(dict(zip((region.mask for region in self.regions), own, strict=True)))
        self.present = {layer: np.flatnonzero(present) for layer, present in found.present.items()}
        self._guides = {
            layer: np.ascontiguousarray(np.moveaxis(np.asarray(channels)[self.present[layer]], 0, -1)[None])
            for layer, channels in found.channels.items()
        }

    def check_weights(self, weights: Sequence[float] | None) -> None:
        """Raises InputError where there are weights, and not one for each region."""
        if weights and len(weights) != len(self.regions):
            counts = f"{len(weights)} given for {len(self.regions)} regions"
            raise InputError(f"{argument('region_weights')}: {counts}; give one for each, the rest's last")

    def of_lanes(self, weights: Sequence[Sequence[float] | None], painted: Mapping[str, np.ndarray]) -> Regions:
        """Makes what an objective needs.

        w_r is a region's weight times its share of the picture. E_r is made of means over the region's positions, so
        that by itself it pulls at each pixel the more, the smaller the region is. With its share the pull is what it is
        where one style covers the whole picture, and content weighs as much against it in every region.

        Args:
          weights: of each lane, one for each region; None for one each.
          painted: {layer: [lanes or 1, regions present there]}, bool: whether the region is in its painting, too.

        Returns:
          The regions that are present at each layer.
        """
        each = np.array([np.ones(len(self.shares)) if own is None else own for own in weights], np.float32)
        weighed = each * self.shares
        return Regions(self._guides, {layer: weighed[:, own] * painted[layer] for layer, own in self.present.items()})

    def of_painting(self, region: Region, height: int, width: int) -> tuple[Mask, Guidance] | None:
        """Brings a painting's mask to its size, and to the layers.

        Args:
          region: whose painting it is.
          height: the painting's, in pixels.
          width: likewise.

        Returns:
          The mask, and the guidance of this one region; None where all of the painting counts.

        Raises:
          InputError: a mask of another aspect, or nowhere white.
        """
        name = region.painting_mask
        if name is None:
            return None
        mask = self._brought(name, height, width)
        return mask, self._guidance({name: mask})

    def missing(self, painted: Mapping[str, np.ndarray]) -> list[str]:
        """Says which regions are left out at which layers.

        Args:
          painted: see `of_lanes`; one lane's.

        Returns:
          A line for each region that is not in the picture, or in its painting, at some layer.

        Raises:
          InputError: a region that no layer sees.
        """
        told = []
        for number, region in enumerate(self.regions):
            there = {layer: number in self.present[layer] for layer in self._layers}
            both = {
                layer: bool(painted[layer][0, self.present[layer].tolist().index(number)])
                for layer in self._layers
                if there[layer] and layer in painted
            }
            told += self._left_out(region.mask, there)
            told += self._left_out(f"{region.painting_mask}", both) if both else []
        return told

    def _left_out(self, name: str, present: Mapping[str, bool]) -> list[str]:
        absent = [layer for layer, there in present.items() if not there]
        where = f"no position of {', '.join(absent)} lies inside it"
        if absent and len(absent) == len(present):
            wider = f"give a wider one, lower layers, or {argument('region_edges')} all"
            raise InputError(f"{argument('region')} {name}: {where}{self._white(name)}; {wider}")
        return [f"{name}: {where}; the region's style is left out there"] if absent else []

    def _white(self, name: str) -> str:
        given = self._given.get(name)
        if given is None:  # the rest
            return ""
        height, width = self._size
        share = 100 * float((np.asarray(given) >= 0.5).mean())
        return f", which is {share:.2g}% of it white, for a picture of {width}x{height}"

    def _brought(self, name: str, height: int, width: int) -> Mask:
        # What JPEG does to black and white is neither the beginning nor the end of a region.
        found = levels(self._given[name], height, width, f"region {name}")
        found = np.clip((found - _FAINT) / (1 - 2 * _FAINT), 0, 1, dtype=np.float32)
        if not (found >= 0.5).any():
            raise InputError(f"{argument('region')} {name}: is nowhere white; white is what belongs to the region")
        return found

    def _guidance(self, masks: Mapping[str, Mask]) -> Guidance:
        return guidance(masks, self._layers, self._settings.region_edges, self._settings.pool)
