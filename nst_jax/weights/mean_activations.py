"""How strongly each filter of the network responds on average: what the normalized network is made from."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import numpy as np

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS, positions_of
from nst_jax.network.vgg import features
from nst_jax.weights.normalize import Means


@jax.transfer_guard("allow")
def mean_activations(params: Any, images: Iterable[np.ndarray], *, pool: str = "avg") -> Means:
    """Each filter's mean activation over all positions of all images, which may differ in size; behind zeros.

    Args:
      params: parameters, as `weights.load` gives them.
      images: each [height, width, 3] float32 RGB, 0..1.
      pool: "avg", "binomial" or "max".

    Returns:
      {layer: [filters] float64} for the 16 convolutions.

    Raises:
      InputError: there is no image.
    """
    params = jax.device_put(params)
    sums = {layer: np.zeros(channels) for layer, (_, channels) in CONVOLUTIONS.items()}
    positions = dict.fromkeys(CONVOLUTIONS, 0)
    for image in images:
        for layer, total in jax.device_get(_sums(params, image, pool)).items():
            sums[layer] += total
            positions[layer] += positions_of(layer, *image.shape[:2])
    if not any(positions.values()):
        raise InputError("mean activations: no image given")
    return {layer: total / positions[layer] for layer, total in sums.items()}


@partial(jax.jit, static_argnames=("pool",))
def _sums(params: Any, image: jax.Array, pool: str) -> dict[str, jax.Array]:
    return {layer: x.sum((0, 1)) for layer, x in features(params, image, CONVOLUTIONS, pool=pool).items()}
