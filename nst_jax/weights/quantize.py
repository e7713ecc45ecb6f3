"""Kernels of few values: each layer's in a table of 2^bits, to be stored as 8-bit indices and to measure what it costs.

The table is that of least squared error, k-means in one dimension: exact where a kernel has few different values, as
the shipped ones, and otherwise improved from there by Lloyd's method (S. Lloyd, Least squares quantization in PCM, IEEE
Transactions on Information Theory 28, 1982). Good tables are as dense as the cube root of the kernel's own density
(Panter & Dite, Proceedings of the IRE 39, 1951).
"""

from typing import Any

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.network.layers import CONVOLUTIONS

_MOST_ROUNDS = 500
_GROUPS = 1024


def quantized(params: Any, bits: int) -> tuple[Any, dict[str, np.ndarray]]:
    """The parameters with each kernel's values replaced by the nearest of 2^bits; biases are kept.

    Args:
      params: parameters, as `weights.load` gives them.
      bits: 1 to 8.

    Returns:
      The parameters and {layer: float32 [256]}, the tables that `weights.save` takes: ascending, the last value
      repeated. Kernels that have no more than 2^bits values are kept as they are.

    Raises:
      InputError: another number of bits.
    """
    if not 1 <= bits <= 8:
        raise InputError(f"{argument('bits')}: {bits} is not allowed; must be from 1 to 8")
    layers, tables = {}, {}
    for layer in CONVOLUTIONS:
        kernel = np.asarray(params["params"][layer]["kernel"], np.float32)
        table = best_table(kernel, 2**bits)
        between = (table[1:].astype(np.float64) + table[:-1]) / 2
        layers[layer] = {**params["params"][layer], "kernel": table[np.searchsorted(between, kernel)]}
        tables[layer] = np.pad(table, (0, 256 - len(table)), mode="edge")
    return {"params": layers, "preprocessing": params["preprocessing"]}, tables


def best_table(values: np.ndarray, levels: int) -> np.ndarray:
    """At most `levels` float32 values, strictly ascending, that are nearest to `values` in the mean square.

    The best there is for up to 1024 different values; for more, the best for 1024 groups of neighbors, improved by
    Lloyd's method until nothing moves.

    Args:
      values: of any shape, finite.
      levels: 1 or more.

    Returns:
      [levels] or fewer values, float32.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= levels:
        return distinct.astype(np.float32)
    x = distinct.astype(np.float64)
    moments = np.stack([np.concatenate([[0.0], np.cumsum(counts * x**power)]) for power in range(3)])
    ends = _best_cuts(moments, _groups(x, counts), levels)
    table = _means(moments, ends)
    for _ in range(_MOST_ROUNDS):
        nearest = np.concatenate([[0], np.searchsorted(x, (table[1:] + table[:-1]) / 2), [len(x)]])
        if np.array_equal(nearest, ends) or np.any(np.diff(nearest) == 0):
            break
        ends, table = nearest, _means(moments, nearest)
    return np.unique(table.astype(np.float32))


def _means(moments: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.diff(moments[1, ends]) / np.diff(moments[0, ends])


def _groups(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Where at most `_GROUPS` groups of ascending `x` end: narrow where it is dense, as a good table's cells are."""
    if len(x) <= _GROUPS:
        return np.arange(len(x) + 1)
    density, edges = np.histogram(x, bins=4 * _GROUPS, weights=counts)
    cumulative = np.concatenate([[0.0], np.cumsum(np.cbrt(density))])  # Panter & Dite
    limits = np.interp(np.linspace(0, 1, _GROUPS + 1)[1:-1], cumulative / cumulative[-1], edges)
    return np.unique(np.concatenate([[0], np.searchsorted(x, limits), [len(x)]]))


def _best_cuts(moments: np.ndarray, ends: np.ndarray, levels: int) -> np.ndarray:
    """Those `levels` + 1 of `ends` between which means are the best table, by dynamic programming over all of them."""
    number, total, square = (moment[None, ends] - moment[ends, None] for moment in moments)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(number > 0, square - total**2 / number, np.inf)  # of one value from each end to each later one
    least, choices = cost[0], []
    for _ in range(levels - 1):
        sums = least[:, None] + cost
        choices.append(sums.argmin(0))
        least = sums[choices[-1], np.arange(len(ends))]
    cuts = [len(ends) - 1]
    for choice in reversed(choices):
        cuts.append(choice[cuts[-1]])
    return ends[[0, *reversed(cuts)]]
