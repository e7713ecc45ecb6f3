"""The weights of equations 5 and 7: α, β, w_l and that of total variation, for any number of lanes."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS
from nst_jax.network.vgg import check_layers

Array = jax.Array


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
