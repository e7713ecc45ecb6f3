"""What a table's lanes share and what they do not: targets, weights and start images for any choice of lanes."""

import copy
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax import devices
from nst_jax.errors import InputError, argument
from nst_jax.loss import targets
from nst_jax.loss.objective import Losses, Objective, Term, check_terms
from nst_jax.loss.regions import Regions
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import LossWeights, translated
from nst_jax.measures import measures
from nst_jax.measures.measures import Measures, StyleReference, Summary
from nst_jax.network.vgg import prepare
from nst_jax.optim.box import Box
from nst_jax.transfer import recolor
from nst_jax.transfer.guides import Guides
from nst_jax.transfer.lanes import Lane, Table, used_layers
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.starts import Starts
from nst_jax.transfer.styles import Styles

Array = jax.Array


class Problem:
    """The lanes of a table as an `optim.engine.Problem`: targets computed once for each picture, objectives over them.

    Attributes:
      table: with the settings that all lanes share.
      lanes: those that are numbered here.
      content_layers, style_layers: those that any lane of the table uses, in the network's order. Each is in every
        lane, with weight zero where it is not wanted, so that one program serves all.
      shape: of the images, (height, width, 3).
      dtype: of the images, float32.
      strips: see `loss.strips.statistics`.
      guides: the regions; None where there are none.

    Example:
      >>> from nst_jax.transfer.lanes import table
      >>> settings = nst.Settings(content_layers=("conv1_1",), style_layers=("conv1_1",))
      >>> lanes = table(["photo"], ["painting"], nst.transfer.Axes(ratio=(1e-4, 1e-3)), settings)
      >>> problem = nst.transfer.Problem(params, {"photo": photo}, {"painting": painting}, lanes)
      >>> len(problem), problem.shape, problem.starts([0, 1]).shape
      (2, (43, 64, 3), (2, 43, 64, 3))
      >>> problem.objective([0, 1])(problem.starts([0, 1])).total.shape
      (2,)
    """

    def __init__(
        self,
        params: Any,
        contents: Mapping[str, np.ndarray],
        styles: Mapping[Any, np.ndarray | Sequence[np.ndarray]],
        table: Table,
        *,
        own: Sequence[Lane] | None = None,
        start: np.ndarray | Mapping[str, np.ndarray] | None = None,
        frozen: np.ndarray | None = None,
        kept: np.ndarray | None = None,
        masks: Mapping[str, Any] | None = None,
        prepared: Any = None,
        terms: Sequence[Term] = (),
        strips: tuple[int, ...] = (),
        complete: bool = False,
    ) -> None:
        """Computes all pictures' targets.

        Args:
          params: parameters, as `load_weights` gives them.
          contents: [height, width, 3] float32 RGB, 0..1, by the names that the lanes call them; all of one size.
          styles: likewise, of any size, by what `Lane.painting` calls them. Several of one name are blended.
          table: the lanes, and the settings that all share.
          own: those of the table's lanes that are to be minimized; all by default.
          start, frozen, kept: see `Starts`.
          masks: [h, w] bool or float, 0..1, of any size, by the names in the setting `region`.
          prepared: the parameters from `network.prepare`, where they are at hand.
          terms: added to each lane's loss; their weights are of all lanes or one for each of `own`.
          strips: see the attribute.
          complete: tells of losses that have no weight, and measures by pictures whose loss has none; a sweep of many
            lanes saves itself that.

        Raises:
          InputError: content pictures of different sizes, a start that is not there, or as `Guides` and
            `Objective.plus`.
        """
        settings = table.settings.on(devices.platform())
        table = table._replace(settings=settings)
        self.table, self.lanes, self.strips = table, tuple(table.lanes if own is None else own), strips
        self._complete = complete
        self.content_layers = used_layers(
            (lane.content_layers for lane in table.lanes if complete or lane.alpha), unweighted=complete
        )
        self.style_layers = used_layers(
            (lane.style_layers for lane in table.lanes if complete or lane.beta), unweighted=complete
        )
        self._of_lanes: dict[Lane, Settings] = {}
        contents = {lane.content: contents[lane.content] for lane in table.lanes}
        self.shape, self.dtype = shape_of(contents), np.dtype(np.float32)
        self._contents, self._params = contents, params
        self.guides = self._guides_of(settings, masks or {})
        if self.guides and self.guides.kept is not None:
            kept = self.guides.kept if kept is None else kept | self.guides.kept
        self._starts = Starts(contents, settings, start, frozen, kept)
        self._network = {"pool": settings.pool, "padding": settings.padding, "precision": settings.precision}
        self._summaries: dict[tuple[str, bool] | None, Summary] = {}  # None is for noise
        seen = dict.fromkeys(map(self._content_of, table.lanes))
        self._content_targets = {which: self._content_target(self._seen(*which)) for which in seen}
        self._styles = Styles(params, contents, styles, self.style_layers, settings, self._network, self.guides)
        self._styled = {
            self._styles.key(lane): lane
            for lane in table.lanes
            if lane.beta or (complete and (lane.style or self.guides))
        }
        made = {which: self._styles.target(lane) for which, lane in self._styled.items()}
        self._style_targets = {which: target for which, (target, _) in made.items()}
        self._painted = {which: painted for which, (_, painted) in made.items()}
        self._references: dict[Hashable, StyleReference] = {}  # of paintings, for measures
        self._any_luminance = any(map(self._in_grey, table.lanes))
        deepest = (*self.content_layers, *self.style_layers, *(layer for term in terms for layer in term.layers))
        self._prepared = jax.device_put(prepare(params, deepest) if prepared is None else prepared)
        named: Any = dict.fromkeys(self.style_layers)
        self._blank = Objective(None, Targets({}, named), self._loss_weights(self.lanes)).plus(*terms)
        self._terms = self._blank.terms
        for term in self._terms:
            if len(term.weight) not in (1, len(self.lanes)):
                lanes = f"{len(term.weight)} given for {len(self.lanes)} lanes"
                raise InputError(f"term {term.label!r}: weight: {lanes}; give one, or one for each")

    def __len__(self) -> int:
        """How many lanes there are."""
        return len(self.lanes)

    def cut(self, strips: tuple[int, ...]) -> "Problem":
        """Makes the same problem, with objectives in these strips; see `loss.strips.statistics`."""
        made = copy.copy(self)
        made.strips = strips
        return made

    def check_regions(self) -> None:
        """Warns of layers at which a region's style is left out; raises InputError where it is at all of them."""
        if not self.guides:
            return
        told = [line for painted in self._painted.values() for line in self.guides.missing(painted)]
        for line in dict.fromkeys(told):
            warnings.warn(line, stacklevel=2)

    def after(self, before: Mapping[str, np.ndarray]) -> "Problem":
        """Makes the same problem, started from each lane's picture at the scale before.

        Args:
          before: [height', width', 3] float32 each, by the lanes' names.

        Returns:
          The problem.
        """
        made = copy.copy(self)
        made._starts = self._starts.after(before, self.lanes)
        return made

    @jax.transfer_guard("allow")
    def objective(self, lanes: Sequence[int]) -> Objective:
        """Makes equation 7 for these lanes, by their numbers and in this order; of the same shapes for as many."""
        chosen = [self.lanes[lane] for lane in lanes]
        some_style = next(iter(self._style_targets), None)  # a lane without style has weights zero; any will do
        content = _stacked(self._content_targets, [self._content_of(lane) for lane in chosen])
        style = _stacked(self._style_targets, [self._styles.key(lane) if lane.beta else some_style for lane in chosen])
        grey = np.array([self._in_grey(lane) for lane in chosen]) if self._any_luminance else None
        regions = None
        if self.guides:
            of_styles = [self._painted[self._styles.key(lane) if lane.beta else some_style] for lane in chosen]
            painted = {layer: np.concatenate([own[layer] for own in of_styles]) for layer in self.style_layers}
            regions = self.guides.of_lanes([self._own(lane).region_weights for lane in chosen], painted)
        terms = tuple(
            term if len(term.weight) == 1 else replace(term, weight=term.weight[np.asarray(lanes)])
            for term in self._terms
        )
        return Objective(
            self._prepared, Targets(content, style), self._loss_weights(chosen), **self._network, strips=self.strips,
            style_loss=self.table.settings.style_loss, regions=regions, terms=terms, luminance=grey,
        )  # fmt: skip

    def spread(self, objective: Objective) -> Objective:
        """Says of each leaf of an objective whether it is of lanes; the others are shared by all."""

        def each(tree: Any, of_lanes: bool) -> Any:
            return jax.tree.map(lambda _: of_lanes, tree)

        targets = Targets(
            each(objective.targets.content, len(self._content_targets) > 1),
            each(objective.targets.style, len(self._style_targets) > 1),
        )
        terms = tuple(
            replace(term, weight=len(known.weight) > 1)
            for term, known in zip(objective.terms, self._terms, strict=True)
        )
        params, loss_weights = each(objective.params, False), each(objective.loss_weights, True)
        regions, grey = objective.regions, each(objective.luminance, True)
        if regions:
            regions = Regions(each(regions.guides, False), each(regions.weights, True))
        return replace(
            objective, params=params, targets=targets, loss_weights=loss_weights, regions=regions, terms=terms,
            luminance=grey,
        )  # fmt: skip

    @jax.transfer_guard("allow")
    def starts(self, lanes: Sequence[int]) -> Array:
        """Makes the start images of these lanes, [lanes, height, width, 3] float32 RGB; not clipped to 0..1."""
        return jnp.stack([self._starts.of(self.lanes[lane]) for lane in lanes])

    @jax.transfer_guard("allow")
    def boxes(self, lanes: Sequence[int]) -> Box:
        """Makes what the images of these lanes stay in: the settings' bounds, and the frozen pixels."""
        return self._starts.boxes([self.lanes[lane] for lane in lanes], self.dtype, by_pixel=self._any_luminance)

    def picture(self, lane: Lane, image: np.ndarray) -> np.ndarray:
        """Makes the picture that a lane's image stands for.

        Args:
          lane: the lane.
          image: [height, width, 3] float32, as the optimizer has it.

        Returns:
          [height, width, 3] float32 RGB: the image itself or, where only luminance is transferred, the image's
          luminance with the photograph's colors. It may be given again, which changes nothing.
        """
        if not self._in_grey(lane):
            return image
        return recolor.grey(image) + recolor.chroma(self._contents[lane.content])

    def unknown(self, lanes: int) -> Losses:
        """Makes the losses of so many lanes, [lanes] float32 each, all NaN."""
        return self._blank.unknown(lanes)

    def refuse(self, lane: int, losses: Losses) -> None:
        """Checks the terms of a lane whose start has no finite loss.

        Args:
          lane: its number.
          losses: at its start, as floats.

        Raises:
          InputError: a term is not finite.
        """
        check_terms(losses, self.lanes[lane].name)

    @jax.transfer_guard("allow")
    def measure(self, lane: Lane, image: np.ndarray) -> Measures:
        """Measures a lane's picture by all of `style_layers`, whichever the lane has.

        The photograph counts for lanes with α, the painting for lanes with β; each is summarized once.

        Args:
          lane: the lane.
          image: [height, width, 3] float32 RGB; measured as a file of 8 bits would hold it, and by its luminance where
            only that is transferred.

        Returns:
          The measures.
        """
        content = self._summary_of(self._content_of(lane)) if lane.alpha or self._complete else None
        style = None
        if lane.beta or self._complete:
            style = self._reference_of(self._styles.key(lane))
        image = recolor.grey(image) if self._in_grey(lane) else image
        return measures.compare(self._summarize(image), content, style)

    def _content_target(self, picture: np.ndarray) -> dict[str, Array]:
        if not self.content_layers:
            return {}
        return targets.content_targets(self._params, picture[None], self.content_layers, **self._network)

    def _guides_of(self, settings: Settings, masks: Mapping[str, Any]) -> Guides | None:
        if not settings.region:
            return None
        rest = {bool(lane.style) for lane in self.table.lanes}
        if len(rest) > 1:
            only = "some lanes have a painting for what no region covers and some have none; give all one, or none"
            raise InputError(f"{argument('region')}: {only}")
        height, width = self.shape[:2]
        found = Guides(settings, masks, height, width, self.style_layers, rest=rest.pop())
        for lane in self.table.lanes:
            found.check_weights(self._own(lane).region_weights)
        return found

    def _reference_of(self, which: Hashable) -> StyleReference:
        if which not in self._references:
            found = self._styles.mixture(self._styled[which], measures.MOMENTS)
            moments = {layer: np.asarray(own[0]) for layer, own in found.items()}
            self._references[which] = measures.style_reference(moments, self._summary_of(None))
        return self._references[which]

    def _loss_weights(self, lanes: Sequence[Lane]) -> LossWeights:
        settings = self.table.settings

        # In NumPy: JAX would wait here for the targets, which are computed while the loop is traced.
        def column(values: Sequence[float]) -> Any:
            return np.asarray(values, np.float32)

        def weights(layers: Sequence[str], of_lanes: Sequence[dict[str, float]]) -> dict[str, Any]:
            return {layer: column([own.get(layer, 0.0) for own in of_lanes]) for layer in layers}

        given = LossWeights(
            alpha=column([lane.alpha for lane in lanes]),
            beta=column([lane.beta for lane in lanes]),
            content_layers=weights(self.content_layers, [dict(lane.content_layers) for lane in lanes]),
            style_layers=weights(self.style_layers, [dict(lane.style_layers) for lane in lanes]),
            tv=column([self._own(lane).tv for lane in lanes]),
        )
        height, width = self.shape[:2]
        return translated(given, settings.convention, height, width, settings.ratio_size)

    def _summary_of(self, which: tuple[str, bool] | None) -> Summary:
        if which not in self._summaries:
            picture = measures.noise_reference(*self.shape[:2]) if which is None else self._seen(*which)
            self._summaries[which] = self._summarize(picture)
        return self._summaries[which]

    def _own(self, lane: Lane) -> Settings:
        if lane not in self._of_lanes:
            self._of_lanes[lane] = lane.within(self.table.settings)
        return self._of_lanes[lane]

    def _in_grey(self, lane: Lane) -> bool:
        return self._own(lane).color == "luminance"

    def _content_of(self, lane: Lane) -> tuple[str, bool]:
        return lane.content, self._in_grey(lane)

    def _seen(self, content: str, in_grey: bool) -> np.ndarray:
        return recolor.grey(self._contents[content]) if in_grey else self._contents[content]

    def _summarize(self, picture: np.ndarray) -> Summary:
        # With the parameters of all layers: the lanes' may end before conv4_2.
        return measures.summarize(self._params, picture, self.style_layers, **self._network)


def shape_of(contents: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Finds the one shape of content pictures.

    Args:
      contents: [height, width, 3] each, by name.

    Returns:
      The shape.

    Raises:
      InputError: they have several.
    """
    sizes = {name: picture.shape for name, picture in contents.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {shape[1]}x{shape[0]}" for name, shape in sizes.items())
        after = f"content pictures must have one size after {argument('size')}"
        raise InputError(f"{after}, so that lanes can be batched: {listed}")
    return next(iter(sizes.values()))


def _stacked(targets: Mapping[Any, dict[str, Array]], names: Sequence[Any]) -> dict[str, Array]:
    """One target for each lane, or the only one there is for all, with a leading axis of length one."""
    if len(targets) <= 1:
        return next(iter(targets.values()), {})
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *(targets[name] for name in names))
