"""How the programs that optimizers run in are compiled."""

from functools import cache
from typing import Any

import jax

from nst_jax.cli import allocator

_ON_CPU: dict[str, str | bool] = {
    # Products and convolutions by Eigen instead of YNNPACK, which is slower in these programs (docs/speed.md).
    "xla_cpu_experimental_ynn_fusion_type": "",
    # Otherwise the style layers' share of the gradient is computed long before it is needed, and kept.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


def compiled(function: Any, *arguments: Any) -> Any:
    """A function under jit, compiled for arguments like these, to be run many times."""
    program = function.lower(*arguments).compile(options())
    allocator.keep_freed_memory()
    return program


@cache
def options() -> dict[str, str | bool]:
    """For `jax.jit` and `lower(...).compile`; what this version of XLA, or the backend, does not know is left out."""
    return {name: value for name, value in _ON_CPU.items() if _known({name: value})}


def _known(option: dict[str, str | bool]) -> bool:
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda x: x).lower(0.0).compile(option)
    except jax.errors.JaxRuntimeError:
        return False
    return True
