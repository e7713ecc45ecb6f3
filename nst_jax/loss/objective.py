"""Equation 7 and its parts, per lane: what is minimized."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError
from nst_jax.loss import losses, style_losses
from nst_jax.loss.regions import Regions, guided_layer_loss
from nst_jax.loss.strips import statistics
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import LossWeights, check_weights
from nst_jax.network.layers import halvings
from nst_jax.network.vgg import check_depth, check_layers

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Losses(NamedTuple):
    """The loss and its parts, each [lanes] float32, in the paper's units; in records and outcomes each a float.

    Example:
      >>> goal = nst.objective(photo, painting, content_layers=("conv1_1",), style_layers=("conv1_1",))
      >>> losses = goal(photo[None])
      >>> losses.total.shape, round(losses.content.item(), 3), list(losses.style_layers)
      ((1,), 0.0, ['conv1_1'])
    """

    total: Array
    """Equation 7, plus the weighted total variation and terms."""
    content: Array
    """Equation 1, summed over content layers with their weights."""
    style: Array
    """Equation 5."""
    style_layers: dict[str, Array]
    """Equation 4 of each style layer, or what `style_losses.layer_loss` has in its place, without its weight."""
    tv: Array
    """Total variation, without its weight."""
    terms: dict[str, Array]
    """Of each `Term` by its name, without its weight."""


@flax.struct.dataclass
class Term:
    """A further term of the loss, of one's own, which is added to equation 7 with a weight.

    Attributes:
      function: pure, from images [lanes, height, width, 3] float32 RGB, 0..1, to one loss for each lane, [lanes]. With
        `layers` it takes a second argument, their activations as `nst_jax.network.features` gives them.
      weight: a number for all lanes or one for each; finite and not negative.
      name: what it is called in losses and messages; the function's own name unless given.
      layers: those whose activations the function takes.

    Example:
      >>> darkness = nst.Term(lambda images: images.mean((1, 2, 3)), weight=1e3, name="darkness")
      >>> low = {"content_layers": ("conv1_1",), "style_layers": ("conv1_1",)}
      >>> goal = nst.objective(photo, painting, terms=[darkness], **low)
      >>> round(goal(jnp.ones((1, 43, 64, 3))).terms["darkness"].item(), 3)
      1.0
    """

    function: Callable[..., Array] = flax.struct.field(pytree_node=False)
    weight: Any = 1.0
    name: str = flax.struct.field(pytree_node=False, default="")
    layers: tuple[str, ...] = flax.struct.field(pytree_node=False, default=())

    def __call__(
        self, images: Float[AnyArray, "lanes ..."], activations: Mapping[str, Float[Array, "lanes ..."]]
    ) -> Float[Array, "lanes"]:
        """Computes the term's loss of each lane, without its weight.

        Args:
          images: [lanes, height, width, 3] float32 RGB, 0..1.
          activations: {layer: [lanes, height', width', N]}, of `layers` at least.

        Returns:
          [lanes].

        Raises:
          InputError: the function returns another shape.
        """
        own = ({layer: activations[layer] for layer in self.layers},) if self.layers else ()
        loss = jnp.asarray(self.function(images, *own))
        if loss.shape != images.shape[:1]:
            raise InputError(
                f"term {self.label!r}: returns shape {loss.shape}; must be one loss a lane, {images.shape[:1]}"
            )
        return loss

    @property
    def label(self) -> str:
        """The name, or the function's."""
        return self.name or getattr(self.function, "__name__", type(self.function).__name__)


@flax.struct.dataclass
class Objective:
    """A pure function from images to `Losses`; a pytree, so that it passes through jit as an argument.

    Attributes:
      params: the network's, as `network.features` takes them.
      targets: what the images are compared with.
      loss_weights: α, β, w_l and the weight of total variation; of the same layers as the targets.
      pool: "avg", "binomial" or "max".
      padding: "zero", "reflect" or "replicate".
      precision: see `network.features`.
      strips: see `loss.strips.statistics`: the same values and gradients in less memory.
      style_loss: one of `style_losses.STYLE_LOSSES`; that of the style targets.
      regions: of the images, each with a style of its own; None for one style everywhere.
      terms: further ones, from `plus`.
      luminance: of which lanes only light and dark counts, [lanes or 1] bool; there the mean of an image's three
        channels stands for each of them, so that a grey image stays grey. None for no lane.

    Example:
      >>> targets = nst.loss.Targets({}, nst.loss.style_targets(params, painting[None], ("conv1_1",)))
      >>> weights = nst.loss.loss_weights(alpha=0, content_layers=(), style_layers=("conv1_1",))
      >>> goal = nst.loss.Objective(params, targets, weights)
      >>> goal(photo[None]).total.shape
      (1,)
    """

    params: Any
    targets: Targets
    loss_weights: LossWeights
    pool: str = flax.struct.field(pytree_node=False, default="avg")
    padding: str = flax.struct.field(pytree_node=False, default="zero")
    precision: str = flax.struct.field(pytree_node=False, default="float32")
    strips: tuple[int, ...] = flax.struct.field(pytree_node=False, default=())
    style_loss: str = flax.struct.field(pytree_node=False, default="gram")
    regions: Regions | None = None
    terms: tuple[Term, ...] = ()
    luminance: Any = None

    def plus(self, *terms: Term) -> "Objective":
        """Adds further terms, whose weighted losses are added to the total.

        Args:
          *terms: of one's own.

        Returns:
          An objective with these terms and those it had.

        Raises:
          InputError: two terms of one name, an unknown layer, one that the parameters do not reach, or a weight that is
            negative or not finite.
        """
        added = []
        for term in terms:
            weight = np.atleast_1d(np.asarray(term.weight, np.float32))
            check_weights(f"term {term.label!r}: weight", weight, all_zero=True)
            layers, name = term.layers, f"term {term.label!r}: layers"
            if layers:
                layers = check_layers(layers, name)
                if self.params is not None:
                    check_depth(self.params, layers, name, "give the term to `objective`, as one of its `terms`")
            added.append(replace(term, weight=jax.device_put(weight), layers=layers))
        names = [term.label for term in (*self.terms, *added)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"term {twice[0]!r}: two terms have this name; give each a name of its own")
        return replace(self, terms=(*self.terms, *added))

    @jax.transfer_guard("allow")  # of numbers, when it is called as it is
    def __call__(self, images: Float[AnyArray, "lanes ..."]) -> Losses:
        """Computes equation 7 and its parts.

        Args:
          images: [lanes, height, width, 3] float32 RGB, 0..1 (values outside are not clipped).

        Returns:
          `Losses` of [lanes] each.

        Raises:
          InputError: images of another shape, targets and weights of different layers, a content target of another
            size, style targets of another style loss, regions that are not of the images, an unknown style loss, or as
            `Term`.
        """
        targets, loss_weights = self.targets, self.loss_weights
        for kind, have, want in (
            ("content", targets.content, loss_weights.content_layers),
            ("style", targets.style, loss_weights.style_layers),
        ):
            if set(have) != set(want):
                raise InputError(f"{kind} layers: targets are of {sorted(have)}, weights of {sorted(want)}; must agree")
        for layer, target in targets.content.items():
            positions = tuple(side >> halvings(layer) for side in images.shape[-3:-1])
            if target.shape[1:3] != positions:
                sizes = f"{target.shape[1:3]}, the images' {positions}"
                raise InputError(
                    f"content target of {layer}: its positions are {sizes}; the pictures' sizes must agree"
                )
        style_losses.check_style_loss(self.style_loss)
        for layer, target in targets.style.items():
            expected = style_losses.columns(self.style_loss, target.shape[-2])
            if target.shape[-1] != expected:
                raise InputError(
                    f"style target of {layer}: has {target.shape[-1]} columns, not the {expected} of style_loss "
                    f"{self.style_loss!r}; make it by `style_targets` with that style_loss"
                )
        self._check_regions(images)
        if self.luminance is not None:
            grey = jnp.broadcast_to(jnp.mean(images, -1, keepdims=True), images.shape)
            images = jnp.where(self.luminance[:, None, None, None], grey, images)
        wanted = dict.fromkeys(layer for term in self.terms for layer in term.layers)
        styles, content, activations = statistics(
            self.params, images, targets.style, targets.content, wanted,
            pool=self.pool, padding=self.padding, precision=self.precision, strips=self.strips,
            style_loss=self.style_loss, guides=self.regions and self.regions.guides,
        )  # fmt: skip
        style = {layer: self._style_loss(layer, styles[layer], target) for layer, target in targets.style.items()}
        lanes = jnp.zeros(images.shape[0], images.dtype)
        content_total = lanes + losses.weighted_sum(content, loss_weights.content_layers)
        style_total = lanes + losses.weighted_sum(style, loss_weights.style_layers)
        tv = losses.total_variation(images)
        total = loss_weights.alpha * content_total + loss_weights.beta * style_total + loss_weights.tv * tv
        terms = {}
        for term in self.terms:
            terms[term.label] = term(images, activations)
            total = total + term.weight * terms[term.label]
        return Losses(total, content_total, style_total, style, tv, terms)

    def _style_loss(self, layer: str, representation: Array, target: Array) -> Array:
        if self.regions is None:
            return style_losses.layer_loss(representation, target, self.style_loss)
        return guided_layer_loss(representation, target, self.regions.weights[layer], self.style_loss)

    def _check_regions(self, images: Float[AnyArray, "lanes ..."]) -> None:
        if self.regions is None:
            return
        for layer, target in self.targets.style.items():
            guide, weights = (of.get(layer) for of in self.regions)
            positions = tuple(side >> halvings(layer) for side in images.shape[-3:-1])
            if guide is None or weights is None or guide.shape != (1, *positions, target.shape[1]):
                have = f"{None if guide is None else guide.shape}, for a target of {target.shape}"
                raise InputError(f"regions: guide of {layer}: is {have}; must be of the images' {positions} positions")

    def unknown(self, lanes: int, dtype: Any = jnp.float32) -> Losses:
        """Gives the shapes of a call, without tracing the network for them.

        Args:
          lanes: how many.
          dtype: of the losses.

        Returns:
          `Losses` of [lanes] each, all NaN.
        """
        each: Any = np.full(lanes, np.nan, dtype)
        style: Any = dict.fromkeys(self.targets.style, each)
        terms = {term.label: each for term in self.terms}
        return Losses(each, each, each, style, each, terms)


def check_terms(at_start: Losses, lane: str) -> None:
    """Checks the terms of one's own at the start of a lane.

    Args:
      at_start: the lane's losses, as floats.
      lane: what it is called in the message.

    Raises:
      InputError: a term is not finite.
    """
    for name, value in at_start.terms.items():
        if not np.isfinite(value):
            raise InputError(f"term {name!r}: is {value} at the start of {lane}; must be finite")
