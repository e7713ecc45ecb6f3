"""The command line's entry: runs a command and says in one line what was wrong. README.md shows its use."""

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_jax.cli import jax_settings, output, program_cache
from nst_jax.cli.interrupt import ending
from nst_jax.cli.parser import parser
from nst_jax.errors import FAILED, INTERRUPTED, WRONG_INPUT, InputError, option
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; from Python too, in any thread.

    Args:
      arguments: the command's; None for those of the process, which is then taken to be the command's own.

    Returns:
      0 when done, 1 when the run failed, 2 for wrong input, 130 after Ctrl-C.
    """
    with output.unfailing(program=arguments is None):
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        chosen = _parsed(arguments)
        module, function = chosen.pop("run").split(".")
        kinds = {"settings": Settings, "axes": Axes, "options": RunOptions}
        for name, kind in kinds.items():
            fields = {key: chosen.pop(key) for key in list(chosen) if key.startswith(f"{kind.__name__}.")}
            if fields:
                values = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
                chosen[name] = kind(**{key.partition(".")[2]: value for key, value in values.items()})
        kept = None
        if "no_cache" in chosen:  # what computes
            kept = program_cache.use(not chosen.pop("no_cache"))
            jax_settings.check_values()
        command = getattr(importlib.import_module(f"nst_jax.cli.{module}"), function)
        if "compile" in inspect.signature(command).parameters:
            chosen["compile"] = _compiler(kept)
        with ending():
            return command(**chosen)
    except InputError as error:
        code, message = WRONG_INPUT, error.message(option)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except (OSError, MemoryError) as error:
        code, message = FAILED, f"{error}" or type(error).__name__
    except FloatingPointError as error:
        code, message = FAILED, f"JAX_DEBUG_NANS or JAX_DEBUG_INFS is set, and JAX found such a value: {error}"
    except Exception as error:
        if type(error).__name__ == "JaxRuntimeError":  # XLA's; JAX may not be imported here
            hint = " (a smaller --size takes less memory)" if "RESOURCE_EXHAUSTED" in str(error) else ""
            code, message = FAILED, f"{error}{hint}"
        elif refusal := jax_settings.refusal():
            code, message = WRONG_INPUT, refusal
        else:
            raise
    print("nst-jax: " + " ".join(message.split()), file=sys.stderr)
    return code


def _parsed(arguments: Sequence[str] | None) -> dict[str, Any]:
    try:
        return vars(parser().parse_args(arguments))
    except SystemExit as ended:
        if not ended.code:  # help, or the version
            output.check_taken()
        raise


def _compiler(folder: Path | None) -> Any:
    """What compiles loops: it keeps programs in the folder and, once there is one, freed memory for the next array."""
    from nst_jax.transfer import allocator  # noqa: PLC0415 (with JAX, which `--help` does not need)
    from nst_jax.transfer.traced import TracedPrograms  # noqa: PLC0415

    return TracedPrograms(folder, after=allocator.keep_freed_memory)
