"""Kernels of few values: each layer's in a table of 2^bits, to be stored as 8-bit indices and to measure what it costs.

The table is that of least squared error, by Lloyd's method (S. Lloyd, Least squares quantization in PCM, IEEE
Transactions on Information Theory 28, 1982), which is k-means in one dimension. It starts from values as dense as the
cube root of the kernel's own density (Panter & Dite, Proceedings of the IRE 39, 1951), the best for many bits.
"""

from typing import Any

import numpy as np

from nst_jax.errors import InputError
from nst_jax.layers import CONVOLUTIONS

_MOST_ROUNDS = 500
_BINS = 4096  # of the estimate of the density


def quantised(params: Any, bits: int) -> tuple[Any, dict[str, np.ndarray]]:
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
        raise InputError(f"--bits: {bits} is not allowed; must be from 1 to 8")
    layers, tables = {}, {}
    for layer in CONVOLUTIONS:
        kernel = np.asarray(params["params"][layer]["kernel"], np.float32)
        table = best_table(kernel, 2**bits)
        between = (table[1:].astype(np.float64) + table[:-1]) / 2
        layers[layer] = {**params["params"][layer], "kernel": table[np.searchsorted(between, kernel)]}
        tables[layer] = np.pad(table, (0, 256 - len(table)), mode="edge")
    return {"params": layers, "preprocessing": params["preprocessing"]}, tables


def best_table(values: np.ndarray, levels: int) -> np.ndarray:
    """At most `levels` float32 values, strictly ascending, that are nearest to `values` in the mean square."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= levels:
        return distinct.astype(np.float32)
    x = distinct.astype(np.float64)
    number = np.concatenate([[0], np.cumsum(counts)])
    total = np.concatenate([[0.0], np.cumsum(counts * x)])
    table = _first_table(x, counts, levels)
    for _ in range(_MOST_ROUNDS):
        ends = np.concatenate([[0], np.searchsorted(x, (table[1:] + table[:-1]) / 2), [len(x)]])
        own, sums = np.diff(number[ends]), np.diff(total[ends])
        moved = np.where(own > 0, sums / np.maximum(own, 1), table)  # a value nothing is near to stays
        if np.array_equal(moved, table):
            break
        table = moved
    return np.unique(table.astype(np.float32))


def _first_table(x: np.ndarray, counts: np.ndarray, levels: int) -> np.ndarray:
    density, edges = np.histogram(x, bins=_BINS, weights=counts)
    cumulative = np.concatenate([[0.0], np.cumsum(np.cbrt(density))])
    return np.interp((np.arange(levels) + 0.5) / levels, cumulative / cumulative[-1], edges)
