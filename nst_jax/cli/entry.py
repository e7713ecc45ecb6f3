"""The command line's entry: runs a command and says in one line what was wrong. README.md shows its use."""

import importlib
import inspect
import io
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_jax.cli import program_cache
from nst_jax.cli.parser import parser
from nst_jax.errors import FAILED, INTERRUPTED, WRONG_INPUT, InputError, option
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.settings import Axes, Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns 0 when done, 1 when the run failed, 2 for wrong input, 130 after Ctrl-C."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a Greek letter, or a file name, that it cannot show ends no program
            stream.reconfigure(errors="backslashreplace")
    try:
        chosen = vars(parser().parse_args(arguments))
        module, function = chosen.pop("run").split(".")
        kinds = {"settings": Settings, "axes": Axes, "options": RunOptions}
        for name, kind in kinds.items():
            fields = {key: chosen.pop(key) for key in list(chosen) if key.startswith(f"{kind.__name__}.")}
            if fields:
                chosen[name] = kind(**{key.partition(".")[2]: value for key, value in fields.items()})
        kept = "no_cache" in chosen and program_cache.use(not chosen.pop("no_cache"))
        command = getattr(importlib.import_module(f"nst_jax.cli.{module}"), function)
        if "compile" in inspect.signature(command).parameters:
            chosen["compile"] = _compiler(kept or None)
        return command(**chosen)
    except InputError as error:
        code, message = WRONG_INPUT, error.message(option)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except (OSError, MemoryError) as error:
        code, message = FAILED, f"{error}" or type(error).__name__
    except RuntimeError as error:
        if type(error).__name__ != "JaxRuntimeError":  # XLA's, mostly for want of memory; JAX may not be imported here
            raise
        code, message = FAILED, f"{error} (a smaller --size takes less memory)"
    print("nst-jax: " + " ".join(message.split()), file=sys.stderr)
    return code


def _compiler(folder: Path | None) -> Any:
    """What compiles loops: it keeps programs in the folder and, once there is one, freed memory for the next array."""
    from nst_jax.cli import allocator  # noqa: PLC0415 (with JAX, which `--help` does not need)
    from nst_jax.transfer.traced import TracedPrograms  # noqa: PLC0415

    return TracedPrograms(folder, after=allocator.keep_freed_memory)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    if told := program_cache.heal(str(message)):
        print(f"nst-jax: note: {' '.join(told.split())}", file=sys.stderr)
