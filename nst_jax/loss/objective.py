"""Equation 7 and its parts, per lane: what is minimized."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError, argument
from nst_jax.loss import losses
from nst_jax.loss.strips import activations, for_values, statistics
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS, halvings
from nst_jax.network.vgg import check_layers

Array = jax.Array
AnyArray = jax.Array | np.ndarray


class Targets(NamedTuple):
    """What the images are compared with, computed once. The leading axis is one per lane, or 1 when lanes share it.

    Example:
      >>> style = nst.loss.style_targets(params, painting[None], ("conv1_1",))
      >>> nst.loss.Targets(content={}, style=style).style["conv1_1"].shape
      (1, 64, 64)
    """

    content: dict[str, Float[Array, "#lanes _ _ N"]]
    """P of equation 1: {layer: [lanes or 1, height', width', N]}."""
    style: dict[str, Float[Array, "#lanes N N"]]
    """A / M_a of equation 4: {layer: [lanes or 1, N, N]}."""


class LossWeights(NamedTuple):
    """The traced weights of equations 5 and 7; each is a [lanes] (or [1]) float32 array.

    Example:
      >>> weights = nst.loss.loss_weights(alpha=[1e-4, 1e-3], beta=1.0)
      >>> weights._fields
      ('alpha', 'beta', 'content_layers', 'style_layers', 'tv')
      >>> weights.alpha.shape, weights.beta.shape
      ((2,), (1,))
    """

    alpha: Float[Array, "#lanes"]
    beta: Float[Array, "#lanes"]
    content_layers: dict[str, Float[Array, "#lanes"]]
    """Of several content layers, as equation 5 has them of style layers."""
    style_layers: dict[str, Float[Array, "#lanes"]]
    """w_l."""
    tv: Float[Array, "#lanes"]
    """Of total variation, which is not in the paper."""


class Losses(NamedTuple):
    """The loss and its parts, each [lanes] float32, in the paper's units; in records and outcomes each a float.

    Example:
      >>> goal = nst.objective(photo, painting, content_layer="conv1_1", style_layers=("conv1_1",))
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
    """Equation 4 of each style layer, without its weight."""
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
      >>> goal = nst.objective(photo, painting, content_layer="conv1_1", style_layers=("conv1_1",), terms=[darkness])
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
      pool: "avg" or "max".
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".
      strips: see `loss.strips.statistics`: the same values and gradients in less memory.
      terms: further ones, from `plus`.

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
    precision: str = flax.struct.field(pytree_node=False, default="float32")
    strips: tuple[int, ...] = flax.struct.field(pytree_node=False, default=())
    terms: tuple[Term, ...] = ()

    def plus(self, *terms: Term) -> "Objective":
        """Adds further terms, whose weighted losses are added to the total.

        Args:
          *terms: of one's own.

        Returns:
          An objective with these terms and those it had.

        Raises:
          InputError: two terms of one name, an unknown layer, or a weight that is negative or not finite.
        """
        added = []
        for term in terms:
            weight = np.atleast_1d(np.asarray(term.weight, np.float32))
            check_weights(f"term {term.label!r}: weight", weight, all_zero=True)
            layers = check_layers(term.layers, f"term {term.label!r}: layers") if term.layers else ()
            added.append(replace(term, weight=jnp.asarray(weight), layers=layers))
        names = [term.label for term in (*self.terms, *added)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"term {twice[0]!r}: two terms have this name; give each a name of its own")
        return replace(self, terms=(*self.terms, *added))

    def __call__(self, images: Float[AnyArray, "lanes ..."]) -> Losses:
        """Computes equation 7 and its parts.

        Args:
          images: [lanes, height, width, 3] float32 RGB, 0..1 (values outside are not clipped).

        Returns:
          `Losses` of [lanes] each.

        Raises:
          InputError: images of another shape, targets and weights of different layers, a content target of another
            size, or as `Term`.
        """
        if images.ndim != 4:
            raise InputError(f"images of shape {images.shape}: must be [lanes, height, width, 3]")
        targets, loss_weights = self.targets, self.loss_weights
        for kind, have, want in (
            ("content", targets.content, loss_weights.content_layers),
            ("style", targets.style, loss_weights.style_layers),
        ):
            if set(have) != set(want):
                raise InputError(f"{kind} layers: targets are of {sorted(have)}, weights of {sorted(want)}; must agree")
        for layer, target in targets.content.items():
            positions = tuple(side >> halvings(layer) for side in images.shape[1:3])
            if target.shape[1:3] != positions:
                sizes = f"{target.shape[1:3]}, the images' {positions}"
                raise InputError(
                    f"content target of {layer}: its positions are {sizes}; the pictures' sizes must agree"
                )
        wanted = dict.fromkeys(layer for term in self.terms for layer in term.layers)
        styles, content, activations = statistics(
            self.params, images, targets.style, targets.content, wanted,
            pool=self.pool, precision=self.precision, strips=self.strips,
        )  # fmt: skip
        style = {layer: losses.style_layer_loss(styles[layer], target) for layer, target in targets.style.items()}
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

    def unknown(self, lanes: int, dtype: Any = jnp.float32) -> Losses:
        """Gives the shapes of a call, without tracing the network for them.

        Args:
          lanes: how many.
          dtype: of the losses.

        Returns:
          `Losses` of [lanes] each, all NaN.
        """
        each = jnp.full(lanes, jnp.nan, dtype)
        style, terms = dict.fromkeys(self.targets.style, each), {term.label: each for term in self.terms}
        return Losses(each, each, each, style, each, terms)


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def content_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: tuple[str, ...] = (CONTENT_LAYER,),
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Float[Array, "_ _ _ N"]]:
    """Computes P of equation 1 for content pictures. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of the size that the optimized images will have.
      layers: names.
      pool: "avg" or "max".
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      {layer: [lanes or 1, height', width', N] float32}.

    Raises:
      InputError: as `network.features`.

    Example:
      >>> nst.loss.content_targets(params, photo[None], ("conv1_1",))["conv1_1"].shape
      (1, 43, 64, 64)
    """
    strips = for_values(*images.shape[-3:-1])
    plain = not strips
    return activations(params, images, layers, pool=pool, precision=precision, strips=strips, plain=plain)


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def style_targets(
    params: Any,
    images: Float[AnyArray, "..."],
    layers: tuple[str, ...] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Float[Array, "_ N N"]]:
    """Computes A / M_a of equation 4 for style pictures. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: [lanes or 1, height, width, 3] float32 RGB, 0..1; of any size, both sides at least 32.
      layers: names.
      pool: "avg" or "max".
      precision: how products are rounded on TPU and GPU: "float32", "tensorfloat32" or "bfloat16".

    Returns:
      {layer: [lanes or 1, N, N] float32}.

    Raises:
      InputError: as `network.features`.

    Example:
      >>> nst.loss.style_targets(params, painting[None], ("conv1_1",))["conv1_1"].shape
      (1, 64, 64)
    """
    layers, strips = check_layers(layers), for_values(*images.shape[-3:-1])
    plain = not strips
    return statistics(params, images, layers, {}, pool=pool, precision=precision, strips=strips, plain=plain).styles


def blend(
    targets: Iterable[dict[str, Float[Array, "_ N N"]]], weights: Iterable[float]
) -> dict[str, Float[Array, "_ N N"]]:
    """Blends several style pictures into one style target: their weighted mean.

    For weights v_k that add up to one, Σ v_k |G - A_k|² and |G - Σ v_k A_k|² differ by a constant only, so that both
    have the same gradient.

    Args:
      targets: one `style_targets` for each style picture, of the same layers.
      weights: one for each; finite, not negative, not all zero. They are divided by their sum.

    Returns:
      A target as `style_targets` gives it.

    Raises:
      InputError: not as many weights as targets, or weights that are not allowed.

    Example:
      >>> black, white = {"conv1_1": jnp.zeros((1, 64, 64))}, {"conv1_1": jnp.ones((1, 64, 64))}
      >>> nst.loss.blend([black, white], [1, 3])["conv1_1"].max().item()
      0.75
    """
    targets, shares = list(targets), np.asarray(list(weights), np.float64)
    if len(shares) != len(targets):
        raise InputError(
            f"{argument('style_blend')}: {len(shares)} weights for {len(targets)} style pictures; give one for each"
        )
    check_weights(argument("style_blend"), shares)
    if len(targets) == 1:
        return targets[0]
    shares = shares / shares.sum()
    return {
        layer: sum((v * target[layer] for v, target in zip(shares, targets, strict=True)), start=jnp.zeros(()))
        for layer in targets[0]
    }


def loss_weights(
    alpha: float | Iterable[float] = 1e-3,
    beta: float | Iterable[float] = 1.0,
    *,
    content_layers: Iterable[str] | Mapping[str, Any] = (CONTENT_LAYER,),
    style_layers: Iterable[str] | Mapping[str, Any] = STYLE_LAYERS,
    tv: float | Iterable[float] = 0.0,
) -> LossWeights:
    """Makes the weights of equations 5 and 7 for any number of lanes.

    Args:
      alpha: α of equation 7, a number for all lanes or one for each lane; finite and not negative.
      beta: β, likewise. In a lane, α and β must not both be zero.
      content_layers: as `style_layers`, for equation 1. A lane with a positive α needs a positive weight.
      style_layers: names, each of which gets one over their number (equation 5's w_l), or {layer: weight}, the weight
        a number for all lanes or one for each. A zero leaves the layer out of a lane. A lane with a positive β needs a
        positive weight.
      tv: the weight of total variation, likewise.

    Returns:
      `LossWeights` of [lanes] or [1] float32 each.

    Raises:
      InputError: a weight that is negative, infinite or NaN, weights that are all zero, numbers of lanes that differ,
        an unknown layer.

    Example:
      >>> weights = nst.loss.loss_weights(1e-3, style_layers={"conv1_1": 0.75, "conv2_1": 0.25})
      >>> {layer: weight.item() for layer, weight in weights.style_layers.items()}
      {'conv1_1': 0.75, 'conv2_1': 0.25}
    """
    alpha, beta, tv = (np.atleast_1d(np.asarray(value, np.float32)) for value in (alpha, beta, tv))
    for name, value in (("alpha", alpha), ("beta", beta), ("tv", tv)):
        check_weights(name, value, all_zero=True)
    content = _layer_weights("content layer weights", content_layers)
    style = _layer_weights("style layer weights", style_layers)
    lanes = {len(value) for value in (alpha, beta, tv, *content.values(), *style.values())} - {1}
    if len(lanes) > 1:
        numbers = " and ".join(map(str, sorted(lanes)))
        raise InputError(f"alpha, beta, tv and layer weights: for {numbers} lanes; must be one each for as many lanes")
    if np.any((alpha == 0) & (beta == 0)):
        raise InputError("alpha and beta: both are zero; at least one must be positive")
    for name, factor, layers in (("content", alpha, content), ("style", beta, style)):
        if np.any((factor > 0) & (sum(layers.values(), np.zeros(1)) == 0)):
            raise InputError(f"{name} layer weights: all are zero; at least one must be positive")
    as_arrays = {name: jax.tree.map(jnp.asarray, layers) for name, layers in (("content", content), ("style", style))}
    return LossWeights(jnp.asarray(alpha), jnp.asarray(beta), as_arrays["content"], as_arrays["style"], jnp.asarray(tv))


def _layer_weights(name: str, layers: Iterable[str] | Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(layers, Mapping):
        names = tuple(dict.fromkeys(layers))
        layers = dict.fromkeys(names, 1.0 / max(1, len(names)))
    if not layers:
        return {}
    weights = {layer: np.atleast_1d(np.asarray(layers[layer], np.float32)) for layer in check_layers(layers, name)}
    for layer, values in weights.items():
        check_weights(f"{name}, {layer}", values, all_zero=True)
    return weights


def check_terms(losses: Losses, lane: str) -> None:
    """Checks the terms of one's own at the start of a lane.

    Args:
      losses: as floats.
      lane: what it is called in the message.

    Raises:
      InputError: a term is not finite.
    """
    for name, value in losses.terms.items():
        if not np.isfinite(value):
            raise InputError(f"term {name!r}: is {value} at the start of {lane}; must be finite")


def check_weights(name: str, values: np.ndarray, *, all_zero: bool = False) -> None:
    """Checks weights of a loss.

    Args:
      name: what they are called; the message starts with it.
      values: of any shape.
      all_zero: whether all may be zero.

    Raises:
      InputError: a value is negative or not finite, or all are zero.
    """
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        wrong = values[~(np.isfinite(values) & (values >= 0))][0]
        raise InputError(f"{name}: {wrong:g} is not allowed; must be a finite number, zero or more")
    if not all_zero and not np.any(values > 0):
        raise InputError(f"{name}: all are zero; at least one must be positive")
