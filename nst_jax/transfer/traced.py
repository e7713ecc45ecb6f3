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

from nst_jax.optim.compiler import Programs, configuration, options, platform_of
from nst_jax.pictures import files

_DIGEST = 32  # bytes of SHA-256, in front of a file's contents


class Program:
    """A compiled function; pytrees in and out."""

    def __init__(self, flat: Any, result: Any) -> None:
        self._flat, self._result = flat, result

    def __call__(self, *arguments: Any) -> Any:
        """Runs the function; arguments and result are its own pytrees."""
        return jax.tree.unflatten(self._result, self._flat(*jax.tree.leaves(arguments)))

    def memory_analysis(self) -> Any:
        """Gives what JAX's compiled programs do."""
        return self._flat.memory_analysis()

    def as_text(self) -> str:
        """Gives what JAX's compiled programs do."""
        return self._flat.as_text()


class TracedPrograms(Programs):
    """Compiles functions of this package alone: beside their arguments and key they depend on nothing but its source.

    A key begins with a text that is the same in every process. What has another key, others wrote: nobody could tell
    whether its source has changed, and it is compiled as `Programs` does it.
    """

    def __init__(self, folder: Path | None, after: Callable[[], None] = lambda: None) -> None:
        """Nothing is read yet.

        Args:
          folder: where the programs are kept; None keeps none.
          after: called when a program has been compiled.
        """
        super().__init__()
        self._folder, self._after = folder, after

    def compiled(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], donate: int, key: tuple, result: Any
    ) -> Any:
        """Compiles a function, from the folder if it is there; see `Compile`."""
        platform = platform_of(arguments)
        if not isinstance(key[0], str) or platform != jax.default_backend():  # which is what JAX exports for
            program = super().compiled(function, arguments, donate, key, result)
            self._after()
            return program
        leaves, structure = jax.tree.flatten(arguments)
        shapes = [(leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False)) for leaf in leaves]
        spread = [str(getattr(leaf.sharding, "spec", None)) for leaf in leaves]
        backend = (platform, jax.devices()[0].device_kind)
        about = (key, structure, shapes, spread, jax.__version__, backend, configuration(), _source())
        path = self._folder and self._folder / f"advance-{hashlib.sha256(repr(about).encode()).hexdigest()}.stablehlo"

        def flat(*leaves: Any) -> list[Any]:
            return jax.tree.leaves(function(*jax.tree.unflatten(structure, leaves)))

        exported = _load(path) or _keep(path, export.export(jax.jit(flat))(*leaves))

        def advance(*leaves: Any) -> Any:
            return exported.call(*leaves)

        first = len(jax.tree.leaves(arguments[:donate]))
        own = tuple(range(first, first + len(jax.tree.leaves(arguments[donate]))))
        program = jax.jit(advance, donate_argnums=own).lower(*leaves).compile(options(platform))
        self._after()
        return Program(program, jax.tree.structure(result))


def _load(path: Path | None) -> export.Exported | None:
    if path is not None:
        with suppress(OSError):
            whole = path.read_bytes()
            if hashlib.sha256(whole[_DIGEST:]).digest() == whole[:_DIGEST]:
                return export.deserialize(bytearray(whole[_DIGEST:]))
    return None


def _keep(path: Path | None, exported: export.Exported) -> export.Exported:
    """Writes it; JAX tells the user of a cache that cannot be written."""
    if path is not None:
        whole = exported.serialize()
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.atomic(path) as temporary:
                temporary.write_bytes(hashlib.sha256(whole).digest() + whole)
    return exported


@cache
def _source() -> str:
    """Of all modules of the package, whichever room they are in."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return found.hexdigest()
