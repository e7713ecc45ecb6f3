"""How the input of a stretch of layers is cut into strips of rows, and what each strip depends on.

A strip's own rows are computed from a *slab*, which has more rows on both sides, as many as the convolutions and pools
reach. All slabs lie within the picture and are of one height. At the picture's edges a slab ends where the picture
does, so that what is beyond the border is the picture's; elsewhere it is wrong, and spoils rows beyond the strip's own,
which are left out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from nst_jax.network.layers import CONVOLUTIONS, LAYERS, halvings

Array = jax.Array
AnyArray = jax.Array | np.ndarray
Whole = Int[Array, ""] | int | np.integer
"""A whole number, traced or not."""


class Slab(NamedTuple):
    """A strip of one image with the rows around it; rows are those of the input."""

    image: Whole
    start: Array
    """The slab's first row."""
    low: Whole
    high: Array
    """The strip's own rows are from `low` to before `high`."""


class Slabs:
    """The slabs of an input.

    Attributes:
      count: how many there are, of all images.
      height: of each, in rows.
    """

    def __init__(self, after: str | None, last: str, pool: str, strips: int, shape: tuple[int, ...]) -> None:
        """Cuts.

        Args:
          after: the layer whose activations the input is; None: it is the picture.
          last: the last layer of the stretch.
          pool: see `network.features`.
          strips: how many of an image; fewer where it has not so many rows.
          shape: of the input, [images, height, width, channels].
        """
        images, self._rows = shape[:2]
        self._halved = halvings(after) if after else 0
        step = self.stride(last)  # no pair of rows that a pool makes one of may be cut in two
        self._halo = -(-reach(after, last, pool) // step) * step
        self._strip = -(-self._rows // (strips * step)) * step
        self._strips = -(-self._rows // self._strip)
        self.height = min(self._rows, self._strip + 2 * self._halo + self._rows % step)
        self.count = images * self._strips

    def stride(self, layer: str) -> int:
        """Counts the rows of the input that make one of this layer's, a power of two.

        Args:
          layer: a name, of this stretch.
        """
        return 2 ** (halvings(layer) - self._halved)

    def at(self, i: Whole) -> Slab:
        """Finds slab number `i`, from zero to before `count`."""
        image, strip = i // self._strips, i % self._strips
        low = strip * self._strip
        high = jnp.where(strip == self._strips - 1, self._rows, low + self._strip)
        # What is left to the last start is a multiple of the step, as halo and strip are: every slab starts at one.
        return Slab(image, jnp.clip(low - self._halo, 0, self._rows - self.height), low, high)

    def cut(
        self, slab: Slab, x: Float[AnyArray, "_ height width channels"], layer: str | None = None
    ) -> Float[Array, "1 _ width channels"]:
        """Takes a slab's rows.

        Args:
          slab: from `at`.
          x: the input, or the activations of `layer`, [images or 1, height, width, channels].
          layer: a name; None: `x` is the input.

        Returns:
          [1, rows, width, channels].
        """
        stride = self.stride(layer) if layer else 1
        image = slab.image if x.shape[0] > 1 else 0
        shape = (1, self.height // stride, *x.shape[2:])
        return lax.dynamic_slice(x, (image, slab.start // stride, 0, 0), shape)

    def own(
        self, slab: Slab, value: Float[AnyArray, "1 rows width channels"], layer: str
    ) -> Float[Array, "1 rows width channels"]:
        """Puts zeros where rows are not the strip's.

        Args:
          slab: from `at`.
          value: a layer's activations of the slab, [1, rows, width, channels].
          layer: its name.

        Returns:
          [1, rows, width, channels].
        """
        stride = self.stride(layer)
        rows = slab.start // stride + jnp.arange(value.shape[1])
        mine = (slab.low // stride <= rows) & (rows < slab.high // stride)
        return jnp.where(mine[None, :, None, None], value, 0)


def reach(after: str | None, last: str, pool: str) -> int:
    """Counts the rows of the input, on either side of its own, that a strip depends on.

    Args:
      after: the layer whose activations the input is; None: it is the picture.
      last: the last layer of the stretch.
      pool: see `network.features`; the binomial filter takes one row more on each side than the others' windows.

    Returns:
      Rows.
    """
    first = LAYERS.index(after) + 1 if after else 0
    rows = 0
    for layer in reversed(LAYERS[first : LAYERS.index(last) + 1]):
        rows = rows + 1 if layer in CONVOLUTIONS else 2 * rows + (pool == "binomial")
    return rows
