"""What of a picture's mask belongs to a layer's positions, from the pixels that each position sees, exactly.

Gatys, Ecker, Bethge, Hertzmann and Shechtman (arXiv 1611.07865, "Guided Gram Matrices") bring masks of the picture to a
layer so that a position belongs to a region if all that it sees does; EDGES has this way and two others. What a
position sees is worked out from layer to layer: of the layer before, the positions in its own window.
"""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS, EDGES, LAYERS, POOLS
from nst_jax.network.vgg import check_layers
from nst_jax.pictures.constants import MIN_SIDE

_NEIGHBORS = (1, 1, 1)  # a convolution's window; its weights differ by filter and matter to no mask
_WINDOWS = {"avg": (1, 1), "binomial": (1, 3, 3, 1), "max": (1, 1)}  # each pool's, with the weights of a mean
_Combine = Callable[[list[np.ndarray], tuple[int, ...]], np.ndarray]


def propagated(
    mask: Float[np.ndarray, "height width"],
    layers: Iterable[str],
    edges: str,
    pool: str = "avg",
    argument: str = "mask",
) -> dict[str, Float[np.ndarray, "_ _"]]:
    """Brings a mask of the picture to layers.

    Where a convolution's window ends at the border, zeros beyond it are of no picture and count for nothing; a border
    that is reflected or repeated shows it positions that it sees anyway. So this holds for every padding.

    Args:
      mask: [height, width] float, 0..1: how much each pixel belongs to the region; both sides at least 32.
      layers: names such as "conv4_2" or "pool1".
      edges: "inside": a position has the least value of all pixels that it sees; "all": the greatest; "simple": pools
        take the mean, the binomial one by its weights, and convolutions change nothing.
      pool: "avg", "binomial" or "max"; the first and the last see the same.
      argument: what holds the mask; messages start with it.

    Returns:
      {layer: [height', width'] float32, 0..1}, in the network's order, of the layer's positions.

    Raises:
      InputError: a mask of another shape, too small or with values outside 0..1, an unknown layer, no layer at all, or
        unknown edges or pool.
    """
    layers = check_layers(layers)
    for name, value, known in (("edges", edges, EDGES), ("pool", pool, POOLS)):
        if value not in known:
            raise InputError(f"{name} {value!r}: unknown; known are {', '.join(known)}")
    values = _checked(mask, argument)
    found = {}
    for layer in LAYERS[: 1 + LAYERS.index(layers[-1])]:
        if layer not in CONVOLUTIONS:
            values = _filtered(values, _WINDOWS[pool], 2, _COMBINE[edges])
        elif edges != "simple":
            values = _filtered(values, _NEIGHBORS, 1, _COMBINE[edges])
        if layer in layers:
            found[layer] = values
    return found


def _checked(mask: np.ndarray, argument: str) -> np.ndarray:
    """The mask in float32."""
    values = np.asarray(mask, np.float32)
    if values.ndim != 2 or min(values.shape) < MIN_SIDE:
        raise InputError(
            f"{argument}: has shape {values.shape}; must be [height, width], both sides at least {MIN_SIDE}"
        )
    outside = values[~((values >= 0) & (values <= 1))]  # NaN too
    if outside.size:
        raise InputError(f"{argument}: has the value {outside[0]:g}; must be from 0 to 1")
    return values


def _filtered(values: np.ndarray, weights: tuple[int, ...], stride: int, combine: _Combine) -> np.ndarray:
    """Combines the values in each window of rows, and of columns.

    Windows lie around the `stride` rows that a position is made of. What of a window is beyond the border repeats the
    outermost row: the binomial pool does so, and the least and the greatest of a window that has this row stay.
    """
    margin = (len(weights) - stride) // 2
    for _ in range(2):
        positions = values.shape[0] // stride
        wide = np.pad(values, ((margin, margin), (0, 0)), mode="edge")
        rows = [wide[first : first + stride * (positions - 1) + 1 : stride] for first in range(len(weights))]
        values = combine(rows, weights).T
    return np.ascontiguousarray(values)


def _mean(rows: list[np.ndarray], weights: tuple[int, ...]) -> np.ndarray:
    return np.einsum("k,khw->hw", np.array(weights, np.float32) / np.float32(sum(weights)), np.stack(rows))


_COMBINE: dict[str, _Combine] = {
    "inside": lambda rows, _: np.minimum.reduce(rows),
    "all": lambda rows, _: np.maximum.reduce(rows),
    "simple": _mean,
}
