"""The weights of equations 5 and 7: α, β, w_l and that of total variation, for any number of lanes and convention."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError
from nst_jax.loss.conventions import CONVENTIONS, PAPER
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS, channels_of, positions_of
from nst_jax.network.vgg import check_layers
from nst_jax.pictures import images

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
    alpha: float | Iterable[float] = CONVENTIONS[PAPER].alpha,
    beta: float | Iterable[float] = CONVENTIONS[PAPER].beta,
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
    columns: Any = (alpha, beta, content, style, tv)
    return jax.device_put(LossWeights(*columns))


def _layer_weights(name: str, layers: Iterable[str] | Mapping[str, Any]) -> dict[str, np.ndarray]:
    layers = layers if isinstance(layers, str | Mapping) else tuple(layers)
    if not layers:
        return {}
    names = check_layers(layers, name)
    given = layers if isinstance(layers, Mapping) else dict.fromkeys(names, 1.0 / len(names))
    weights = {layer: np.atleast_1d(np.asarray(given[layer], np.float32)) for layer in names}
    for layer, values in weights.items():
        check_weights(f"{name}, {layer}", values, all_zero=True)
    return weights


def translated(
    loss_weights: LossWeights, convention: str, height: int, width: int, ratio_size: int | None = None
) -> LossWeights:
    """Translates weights into those of equations 5 and 7 whose objective is exactly that of the convention.

    α and β stay as they are; the layers' weights take the factors. So the total is the other system's loss, the
    content part its content loss without α, the style part its style loss without β.

    Args:
      loss_weights: with α, β and w_l as one would give them to that system.
      convention: a name out of CONVENTIONS.
      height: the picture's, in pixels; the mean over positions depends on it.
      width: the picture's, in pixels.
      ratio_size: longest side of the picture that α and β of the paper's equations are meant for. Equation 1 is a sum
        over positions and equation 4 is not, so the same look at another size needs α by the number of positions
        (docs/figures.md); this gives the content layers' weights that factor. None: α and β are meant for this size.

    Returns:
      The weights, of the same lanes and layers.
    """
    if convention == PAPER:
        if ratio_size is None:
            return loss_weights
        as_given = images.fitted((height, width), ratio_size)
        content = {
            layer: weight * (positions_of(layer, *as_given) / positions_of(layer, height, width))
            for layer, weight in loss_weights.content_layers.items()
        }
        return loss_weights._replace(content_layers=content)
    known = CONVENTIONS[convention]
    content, style = {}, {}
    for layer, weight in loss_weights.content_layers.items():
        factor = known.content(channels_of(layer), positions_of(layer, height, width))
        content[layer] = weight * (2 * factor)  # equation 1 has ½
    for layer, weight in loss_weights.style_layers.items():
        filters = channels_of(layer)
        style[layer] = weight * (4 * filters**2 * known.style(filters))  # equation 4 has 1 / (4 N²)
    return loss_weights._replace(content_layers=content, style_layers=style)


def check_weights(name: str, values: np.ndarray, *, all_zero: bool = False) -> None:
    """Checks weights of a loss.

    Args:
      name: what they are called; the message starts with it.
      values: [n], or of another shape, which is refused.
      all_zero: whether all may be zero.

    Raises:
      InputError: there are no values, or not on one axis; one is negative or not finite, or all are zero.
    """
    if values.ndim != 1 or not values.size:
        raise InputError(f"{name}: has shape {values.shape}; must be one number or a list of them")
    if not np.all(np.isfinite(values)) or np.any(values < 0):
        wrong = values[~(np.isfinite(values) & (values >= 0))][0]
        raise InputError(f"{name}: {wrong:g} is not allowed; must be a finite number, zero or more")
    if not all_zero and not np.any(values > 0):
        raise InputError(f"{name}: all are zero; at least one must be positive")
