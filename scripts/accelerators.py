"""What accelerators that are not there would run, by their own compilers: `python scripts/accelerators.py`.

The loop of `nst-jax stylize`, or of a sweep's batch, is compiled for a device from shapes alone: equation 7 with
average pooling and L-BFGS's defaults, of square pictures. Of a step is told
- temporaries and arguments: GB of a device's memory;
- traffic: GB of it read and written, at most; of which copies, and padding of tiles in what is written;
- floors: ms that the convolutions' products take at the device's peak (on a TPU six passes of bfloat16 for float32,
  three for tensorfloat32), and ms that its memory takes for the traffic;
- ms by the compiler's own estimate of cycles, and their ratio to the higher floor, with --full, which takes minutes
  instead of seconds.

Needs libtpu for TPUs, `pip install "nst_jax[tpu-compile]"`, and for an H100 JAX's CUDA plugin,
`pip install "nst_jax[cuda-compile]"`. The figures are made by `nst_jax/topologies/`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax

from nst_jax.errors import InputError
from nst_jax.network.layers import PRECISIONS
from nst_jax.topologies.chips import named
from nst_jax.topologies.compiling import Figures, Program, compiled
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings


class Case(NamedTuple):
    """What is compiled."""

    device: str = "v5e:1x1"
    size: int = 256
    lanes: int = 1
    """Over all chips of the topology; each host has a program, of its share."""
    precision: str = "float32"
    strips: tuple[int, ...] = ()

    @property
    def program(self) -> Program:
        """The loop, of lanes that differ in their seeds."""
        seeds, settings = Axes(seed=tuple(range(self.lanes))), Settings(precision=self.precision)
        lanes = table(["photo"], ["painting"], seeds, settings)
        slots = -(-self.lanes // named(self.device).hosts)
        return Program(self.device, self.size, self.size, lanes, slots, self.strips)


STANDARD = [
    Case(), Case(precision="bfloat16"), Case(lanes=8), Case(lanes=8, precision="bfloat16"), Case(size=512),
    Case(size=1024), Case(size=1024, lanes=4), Case(size=2048), Case("v5e:2x2", lanes=8), Case("v5e:4x4", lanes=16),
]  # fmt: skip


def main() -> int:
    """Prints a table, a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", metavar="NAME", help="with the next ones, one case instead of the standard ones: v5e:2x2, h100, ..."
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--strips", type=int, nargs="*", default=(), help="of each segment (default: none)")
    parser.add_argument("--full", action="store_true", help="compile to the end")
    parser.add_argument("--kinds", action="store_true", help="tell the costs of each kind of instruction")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    chosen = parser.parse_args()
    cases = STANDARD
    if chosen.device:
        cases = [Case(chosen.device, chosen.size, chosen.lanes, chosen.precision, tuple(chosen.strips))]
    told = []
    print("| device | px | lanes | precision | temporaries, GB | arguments, GB | traffic, GB | copies | padding | "
          "floor, ms: arithmetic | memory | by cycles, ms | ratio |\n" + "|---" * 13 + "|")  # fmt: skip
    for case in cases:
        try:
            found = compiled(case.program, full=chosen.full)
        except InputError as error:
            print(f"accelerators.py: {error}", file=sys.stderr)
            return 2
        except jax.errors.JaxRuntimeError as error:
            told.append({"case": case._asdict(), "refused": str(error)})
            print(f"{_about(case)}| {error} |", flush=True)
            continue
        told.append(as_json(case, found))
        print(_line(case, found), flush=True)
        for kind, cost in found.kinds.items() if chosen.kinds else ():
            print("    " + kind + ": " + ", ".join(f"{name} {value:.4g}" for name, value in cost._asdict().items()))
    if chosen.output:
        chosen.output.write_text(json.dumps(told, indent=1) + "\n")
    return 0


def as_json(case: Case, found: Figures) -> dict[str, Any]:
    """A case and its figures as they are committed."""
    kinds = {kind: cost._asdict() for kind, cost in found.kinds.items()}
    return {"case": case._asdict(), **found._asdict(), "kinds": kinds}


def _about(case: Case) -> str:
    cut = f", {'+'.join(map(str, case.strips))} strips" if case.strips else ""
    return f"| {case.device} | {case.size}{cut} | {case.lanes} | {case.precision} "


def _line(case: Case, found: Figures) -> str:
    sizes = (found.temporaries, found.arguments, found.traffic, found.copies, found.padding)
    gb = [f"{size / 1e9:.2f}" for size in sizes]
    floors = [found.arithmetic, found.memory]
    ms = 1e3 * found.cycles / named(case.device).chip.clock
    by_cycles = [f"{ms:.1f}", f"{ms / max(floors):.1f}"] if ms else ["", ""]
    return f"{_about(case)}| {' | '.join([*gb, *(f'{floor:.2f}' for floor in floors), *by_cycles])} |"


if __name__ == "__main__":
    sys.exit(main())
