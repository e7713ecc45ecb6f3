"""What the environment asks of JAX where JAX cannot do it."""

import os
import subprocess
import sys
from typing import Any

from nst_jax.errors import InputError

_PLATFORMS = "import jax; print(*sorted({'cpu', *(device.platform for device in jax.devices())}), sep=', ')"
_CHOICE = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
_ALLOWED = "https://docs.jax.dev/en/latest/config_options.html"


def check_values() -> None:
    """Imports JAX, which reads its settings from the environment; raises InputError when one has no such value."""
    try:
        import jax  # noqa: F401, PLC0415 (which `--help` does not need)
    except ValueError as error:
        raise InputError(f"{_blamed(str(error))}: {error}; {_ALLOWED} has what is allowed") from None


def refusal() -> str | None:
    """Finds out why something that JAX was to do has failed.

    Returns:
      One line, if JAX cannot compute anything at all as it is set: on a platform that is not there, say. Else None.
    """
    if "jax" not in sys.modules:
        return None
    import jax  # noqa: PLC0415

    try:
        with jax.transfer_guard("allow"):
            jax.jit(_sample)().block_until_ready()
    except Exception as error:  # of any kind: an assertion of JAX's where JAX_PLATFORMS=cuda finds no GPU
        about, why = _blamed(str(error)), f" ({error})" if str(error) else ""
        if any(os.environ.get(name) for name in _CHOICE):
            return f"{about}: JAX cannot compute there; there is {_there()}{why}"
        return f"{about}: JAX cannot compute anything so{why}"
    return None


def _sample() -> Any:
    """A little of all that this package computes."""
    import jax  # noqa: PLC0415

    return jax.vmap(lambda row: row[row.argmax()] / (1 + row.sum()))(jax.numpy.zeros((1, 2)))


def _blamed(message: str) -> str:
    """The variables that a message of JAX's is about, as far as it can be told."""
    every = {name: value for name, value in os.environ.items() if name.startswith("JAX_") and value}
    words = {name: (name.lower().removeprefix("jax_"), f"'{value}'") for name, value in every.items()}
    about = [name for name in every if any(word in message.lower() for word in words[name])]
    # The cache's are mostly this program's own.
    chosen = about or [name for name in _CHOICE if name in every] or [name for name in every if "CACHE" not in name]
    return " ".join(f"{name}={every[name]}" for name in chosen) or "JAX"


def _there() -> str:
    """The platforms that JAX finds when it is left to choose, as a process of its own tells: this one has chosen."""
    environment = {name: value for name, value in os.environ.items() if name not in _CHOICE}
    found = subprocess.run(
        [sys.executable, "-c", _PLATFORMS], env=environment, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "nothing that it could name"
