"""Equation 7 and its parts, per lane: what is minimized."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.loss.strips import activations, for_values, statistics
from nst_jax.network.layers import halvings
from nst_jax.network.vgg import check_layers

Array = jax.Array
CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


class Targets(NamedTuple):
    """What the images are compared with, computed once. The leading axis is one per lane, or 1 when lanes share it."""

    content: dict[str, Array]
    """P of equation 1: {layer: [lanes or 1, height', width', N]}."""
    style: dict[str, Array]
    """A / M_a of equation 4: {layer: [lanes or 1, N, N]}."""


class LossWeights(NamedTuple):
    """The traced weights of equations 5 and 7; each is a [lanes] (or [1]) float32 array."""

    alpha: Array
    beta: Array
    content_layers: dict[str, Array]
    style_layers: dict[str, Array]
    tv: Array


class Losses(NamedTuple):
    """The loss and its parts, each [lanes] float32, in the paper's units."""

    total: Array
    """Equation 7, plus the weighted total variation."""
    content: Array
    """Equation 1, summed over content layers with their weights."""
    style: Array
    """Equation 5."""
    style_layers: dict[str, Array]
    """Equation 4 of each style layer, without its weight."""
    tv: Array
    """Total variation, without its weight."""


@flax.struct.dataclass
class Objective:
    """A pure function from images to `Losses`; a pytree, so that it passes through jit as an argument."""

    params: Any
    targets: Targets
    loss_weights: LossWeights
    pool: str = flax.struct.field(pytree_node=False, default="avg")
    precision: str = flax.struct.field(pytree_node=False, default="float32")
    strips: tuple[int, ...] = flax.struct.field(pytree_node=False, default=())
    """See `strips.statistics`: the same values and gradients in less memory."""

    def __call__(self, images: Array) -> Losses:
        """Equation 7 and its parts.

        Args:
          images: [lanes, height, width, 3] float32 RGB, 0..1 (values outside are not clipped).

        Returns:
          `Losses` of [lanes] each.

        Raises:
          InputError: targets and weights are of different layers, or a content target of another size.
        """
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
        styles, content = statistics(
            self.params, images, targets.style, targets.content,
            pool=self.pool, precision=self.precision, strips=self.strips,
        )  # fmt: skip
        style = {layer: losses.style_layer_loss(styles[layer], target) for layer, target in targets.style.items()}
        lanes = jnp.zeros(images.shape[0], images.dtype)
        content_total = lanes + losses.weighted_sum(content, loss_weights.content_layers)
        style_total = lanes + losses.weighted_sum(style, loss_weights.style_layers)
        tv = losses.total_variation(images)
        total = loss_weights.alpha * content_total + loss_weights.beta * style_total + loss_weights.tv * tv
        return Losses(total, content_total, style_total, style, tv)

    def unknown(self, images: Array) -> Losses:
        """NaN in place of each term of these images: the shapes of a call, without tracing the network for them."""
        lanes = jnp.full(images.shape[0], jnp.nan, images.dtype)
        return Losses(lanes, lanes, lanes, dict.fromkeys(self.targets.style, lanes), lanes)


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def content_targets(
    params: Any,
    images: Array,
    layers: tuple[str, ...] = (CONTENT_LAYER,),
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Array]:
    """P of equation 1 for content pictures [lanes or 1, height, width, 3]; the size must be the optimized image's."""
    strips = for_values(*images.shape[-3:-1])
    plain = not strips
    return activations(params, images, layers, pool=pool, precision=precision, strips=strips, plain=plain)


@partial(jax.jit, static_argnames=("layers", "pool", "precision"))
def style_targets(
    params: Any,
    images: Array,
    layers: tuple[str, ...] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    precision: str = "float32",
) -> dict[str, Array]:
    """A / M_a of equation 4 for style pictures [lanes or 1, height, width, 3] of any size."""
    layers, strips = check_layers(layers), for_values(*images.shape[-3:-1])
    plain = not strips
    return statistics(params, images, layers, {}, pool=pool, precision=precision, strips=strips, plain=plain).styles


def blend(targets: Iterable[dict[str, Array]], weights: Iterable[float]) -> dict[str, Array]:
    """One style target for several style pictures: their weighted mean.

    For weights v_k that add up to one, Σ v_k |G - A_k|² and |G - Σ v_k A_k|² differ by a constant only, so that both
    have the same gradient.

    Args:
      targets: one `style_targets` for each style picture, of the same layers.
      weights: one for each; finite, not negative, not all zero. They are divided by their sum.

    Raises:
      InputError: as said.
    """
    targets, shares = list(targets), np.asarray(list(weights), np.float64)
    if len(shares) != len(targets):
        raise InputError(f"--style-blend: {len(shares)} weights for {len(targets)} style pictures; give one for each")
    check_weights("--style-blend", shares)
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
    """The weights of equations 5 and 7 for any number of lanes.

    Args:
      alpha, beta, tv: a number for all lanes or one for each lane; finite and not negative. In a lane, α and β must
        not both be zero.
      content_layers, style_layers: layer names, each of which gets one over their number (equation 5's w_l), or
        {layer: weight}, the weight a number for all lanes or one for each. A zero leaves the layer out of a lane.
        A lane with a positive α needs a positive content layer weight, one with a positive β a style layer weight.

    Raises:
      InputError: a weight that is negative, infinite or NaN, weights that are all zero, an unknown layer.
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


def _layer_weights(argument: str, layers: Iterable[str] | Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(layers, Mapping):
        names = tuple(dict.fromkeys(layers))
        layers = dict.fromkeys(names, 1.0 / max(1, len(names)))
    if not layers:
        return {}
    weights = {name: np.atleast_1d(np.asarray(layers[name], np.float32)) for name in check_layers(layers, argument)}
    for layer, values in weights.items():
        check_weights(f"{argument}, {layer}", values, all_zero=True)
    return weights


def check_weights(argument: str, values: np.ndarray, *, all_zero: bool = False) -> None:
    """Raises InputError unless all values are finite and not negative and, without `all_zero`, one is positive."""
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        wrong = values[~(np.isfinite(values) & (values >= 0))][0]
        raise InputError(f"{argument}: {wrong:g} is not allowed; must be a finite number, zero or more")
    if not all_zero and not np.any(values > 0):
        raise InputError(f"{argument}: all are zero; at least one must be positive")
