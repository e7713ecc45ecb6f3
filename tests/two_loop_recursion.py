"""The oracle of L-BFGS: the two-loop recursion, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np


def two_loops(pairs, gradient, precondition):
    """H g by Nocedal & Wright's algorithm 7.4 over [(s, y), ...], oldest first, with H₀ = γ P of the newest pair."""
    q = gradient.copy()
    alphas = []
    for s, y in reversed(pairs):
        alphas.append(s @ q / (s @ y))
        q -= alphas[-1] * y
    gamma = 1.0
    if pairs:
        s, y = pairs[-1]
        gamma = s @ y / (y @ precondition(y))
    r = gamma * precondition(q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r += s * (alpha - y @ r / (s @ y))
    return r


def as_matrix(precondition, shape):
    """Of the linear map of arrays of a shape, by its columns."""
    size = int(np.prod(shape))
    columns = jax.vmap(precondition)(jnp.eye(size, dtype=jnp.float64).reshape(size, *shape))
    return np.asarray(columns).reshape(size, size).T
