"""The command line; nobody imports it."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; see `nst_jax.cli.entry.main`."""
    from nst_jax.cli.entry import main as run  # noqa: PLC0415 (so that other modules of the room load without it)

    return run(arguments)
