"""Options of XLA's for the programs that optimisers run in."""

from functools import cache

import jax

_ON_CPU: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Products and convolutions by Eigen instead of YNNPACK, which is slower in these programs (docs/speed.md)."""


@cache
def options() -> dict[str, str | bool]:
    """For `jax.jit` and `lower(...).compile`; empty where this version of XLA, or the backend, does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x).lower(0.0).compile(_ON_CPU)
    except jax.errors.JaxRuntimeError:
        return {}
    return _ON_CPU
