"""How the programs that optimizers run in are compiled, and the memory of those that were."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cache
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding

from nst_jax import devices

_ON_CPU: dict[str, str | bool] = {
    # Products and convolutions by Eigen instead of YNNPACK, which is slower in these programs (docs/speed.md).
    "xla_cpu_experimental_ynn_fusion_type": "",
    # Otherwise the style layers' share of the gradient is computed long before it is needed, and kept.
    "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED",
}


@runtime_checkable
class Compile(Protocol):
    """What compiles the loop: `Programs`, or what does more, such as keeping programs on disk."""

    def __call__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], *, donate: int, key: tuple, result: Any
    ) -> Any:
        """The function compiled for arguments like these.

        Args:
          function: pure.
          arguments: pytrees of arrays, or of their shapes with shardings.
          donate: which argument's memory the result may take.
          key: what the function was made from; functions of one key are the same.
          result: a pytree of the structure of the function's result; its leaves do not count.

        Returns:
          What takes such arguments, and has the `memory_analysis` of JAX's compiled programs.
        """
        ...


class Programs:
    """Compiles functions, and remembers the latest programs."""

    def __init__(self, most: int = 16) -> None:
        """Compiles nothing yet.

        Args:
          most: how many programs to remember; each takes some 12 MB.
        """
        self._most, self._known, self._lock = most, OrderedDict[Hashable, Any](), Lock()

    def __call__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], *, donate: int, key: tuple, result: Any
    ) -> Any:
        """See `Compile`."""
        leaves, structure = jax.tree.flatten(arguments)
        about = (key, donate, structure, tuple(map(_described, leaves)), configuration())
        with self._lock:
            if about in self._known:
                self._known.move_to_end(about)
                return self._known[about]
        made = self.compiled(function, arguments, donate, key, result)
        with self._lock:
            self._known[about] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made

    def compiled(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], donate: int, key: tuple, result: Any
    ) -> Any:
        """Compiles a function, whether or not it is known; see `Compile`."""
        lowered = jax.jit(function, donate_argnums=donate).lower(*arguments)
        return lowered.compile(options(platform_of(arguments)))


remembered = Programs()
"""What compiles unless another is handed in; one for the process, as JAX's own memory of programs is."""


@cache
def options(platform: str) -> dict[str, str | bool]:
    """Gives the compiler's options.

    Args:
      platform: of the devices, such as "cpu".

    Returns:
      What `jax.jit` and `lower(...).compile` take; what this version of XLA does not know is left out.
    """
    return {name: value for name, value in _ON_CPU.items() if _known({name: value})} if platform == "cpu" else {}


def platform_of(arguments: Any) -> str:
    """Tells for which platform a program with these arguments is.

    Args:
      arguments: pytrees of arrays, or of their shapes; those that have a sharding say where they are.

    Returns:
      Such as "cpu"; of JAX's default device where they do not say.
    """
    for leaf in jax.tree.leaves(arguments):
        if sharding := getattr(leaf, "sharding", None):
            return next(iter(sharding.device_set)).platform
    return devices.platform()


def configuration() -> tuple[Any, ...]:
    """Gives what of JAX's configuration a program depends on.

    Returns:
      The values.
    """
    return tuple(getattr(jax.config, name) for name in ("jax_enable_x64", "jax_default_matmul_precision"))


def _known(option: dict[str, str | bool]) -> bool:
    somewhere = SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
    number = jax.ShapeDtypeStruct((), jnp.float32, sharding=somewhere)
    try:
        jax.jit(lambda x: x).lower(number).compile(option)
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _described(leaf: Any) -> Hashable:
    return leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False), getattr(leaf, "sharding", None)
