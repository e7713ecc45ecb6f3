"""Programs as an earlier run traced and lowered them, which spares a start Python's part of compiling.

Tracing the loop and lowering it to StableHLO takes Python about a second, every time; JAX's own cache holds only what
XLA makes of it afterwards. Here the StableHLO is kept as well, 130 kB in the format of `jax.export`, which holds no
pickle. It is found again by a hash of all that it depends on, the source of this package included, and made anew when
it is damaged or missing.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jax
from jax import export

from nst_jax.cli import program_cache
from nst_jax.optim import compiler
from nst_jax.pictures import files

_DIGEST = 32  # bytes of SHA-256, in front of a file's contents
_ready: dict[str, Any] = {}


class Program:
    """A compiled function; pytrees in and out."""

    def __init__(self, flat: Any, result: Any) -> None:
        self._flat, self._result = flat, result

    def __call__(self, *arguments: Any) -> Any:
        """Runs it."""
        return jax.tree.unflatten(self._result, self._flat(*jax.tree.leaves(arguments)))

    def memory_analysis(self) -> Any:
        """As that of JAX's compiled programs."""
        return self._flat.memory_analysis()


def program(
    function: Callable[..., Any], name: str, settings: str, arguments: tuple[Any, ...], donated: int, result: Any
) -> Program:
    """A function compiled for arguments like these, from the user's cache if it is there; once in a process.

    Args:
      function: pure, of this package alone: beside the arguments it depends on nothing but the package's source.
      name: what JAX calls the program in its logs and its cache.
      settings: what else the function was made from, the same text in every process.
      arguments: pytrees of arrays, or of their shapes.
      donated: which argument's memory the result may take.
      result: a pytree of the structure of the function's result; its leaves do not count.
    """
    leaves, structure = jax.tree.flatten(arguments)
    shapes = [(leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False)) for leaf in leaves]
    backend = (jax.default_backend(), jax.devices()[0].device_kind)
    tracing = [getattr(jax.config, name) for name in ("jax_enable_x64", "jax_default_matmul_precision")]  # what it sees
    about = (settings, structure, shapes, jax.__version__, backend, tracing, _source())
    key = f"{name}-{hashlib.sha256(repr(about).encode()).hexdigest()}"
    if key not in _ready:

        def flat(*leaves: Any) -> list[Any]:
            return jax.tree.leaves(function(*jax.tree.unflatten(structure, leaves)))

        exported = _load(key) or _keep(key, export.export(jax.jit(flat))(*leaves))

        def call(*leaves: Any) -> Any:
            return exported.call(*leaves)

        call.__name__ = name
        first = len(jax.tree.leaves(arguments[:donated]))
        own = tuple(range(first, first + len(jax.tree.leaves(arguments[donated]))))
        _ready[key] = compiler.compiled(jax.jit(call, donate_argnums=own), *leaves)
    return Program(_ready[key], jax.tree.structure(result))


def _load(key: str) -> export.Exported | None:
    if program_cache.folder is None:
        return None
    path = program_cache.folder / f"{key}.stablehlo"
    with suppress(OSError):
        whole = path.read_bytes()
        if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
            return export.deserialize(bytearray(whole[_DIGEST:]))
    return None


def _keep(key: str, exported: export.Exported) -> export.Exported:
    """Writes it; JAX tells the user of a cache that cannot be written (see `program_cache.heal`)."""
    if program_cache.folder is not None:
        whole = exported.serialize()
        with suppress(OSError):
            program_cache.folder.mkdir(parents=True, exist_ok=True)
            with files.atomic(program_cache.folder / f"{key}.stablehlo") as temporary:
                temporary.write_bytes(hashlib.sha256(whole).digest() + whole)
    return exported


@cache
def _source() -> str:
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
