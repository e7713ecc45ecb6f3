"""What TPUs that are not there would run, by their own compiler: `python scripts/accelerators.py`.

The loop of `nst-jax stylize`, or of a sweep's batch, is compiled for a device from shapes alone: equation 7 with
average pooling and L-BFGS's defaults, of square pictures. Of a step is told
- temporaries and arguments: GB of a device's memory;
- traffic: GB of it read and written, at most; of which copies, and padding of tiles in what is written;
- floors: ms that the convolutions' products take at the device's peak (six passes of bfloat16 for float32, three for
  tensorfloat32), and ms that its memory takes for the traffic;
- ms by the compiler's own estimate of cycles, and their ratio to the higher floor, with --full, which takes minutes
  instead of seconds.

Needs libtpu: `pip install "nst_jax[tpu-compile]"`. Each case is compiled in a process of its own, which is ended when
XLA has written its final program, but for --full.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

import hlo
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies

from nst_jax.loss.objective import Objective
from nst_jax.network.layers import CONVOLUTIONS, LAYERS, positions_of
from nst_jax.optim.box import Box, boxes
from nst_jax.optim.compiler import Programs
from nst_jax.optim.engine import Engine
from nst_jax.optim.loop import DEFAULT_OPTIMIZER
from nst_jax.transfer.lanes import table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Axes, Settings

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else a lock file admits one process at a time
}  # fmt: skip
PASSES = {"float32": 6, "tensorfloat32": 3, "bfloat16": 1}
"""Of bfloat16 products, that a TPU makes for one."""
FINAL = "*after_optimizations_after_buffer_assignment.txt"


class Device(NamedTuple):
    """A topology as libtpu names it, and what its makers say of one of its chips."""

    topology: str
    host: tuple[int, int, int]
    """Chips of one host, along each axis."""
    chips: int
    flops: float
    """A second, of bfloat16 products."""
    bandwidth: float
    """Bytes a second."""
    clock: float
    """Hertz."""


DEVICES = {
    "v5e:1x1": Device("v5e:1x1", (1, 1, 1), 1, 197e12, 819e9, 1.5e9),
    "v5e:2x2": Device("v5e:2x2", (2, 2, 1), 4, 197e12, 819e9, 1.5e9),
    "v5e:4x4": Device("v5e:4x4", (2, 2, 1), 16, 197e12, 819e9, 1.5e9),
    "v5p:2x2x1": Device("v5:2x2x1", (2, 2, 1), 4, 459e12, 2765e9, 1.75e9),
    "v6e:1x1": Device("v6e:1x1", (1, 1, 1), 1, 918e12, 1640e9, 1.75e9),
    "v4:2x2x1": Device("v4:2x2x1", (2, 2, 1), 4, 275e12, 1228e9, 1.05e9),
}


class Case(NamedTuple):
    """What is compiled."""

    device: str = "v5e:1x1"
    size: int = 256
    lanes: int = 1
    """Over all chips of the topology."""
    precision: str = "float32"
    strips: tuple[int, ...] = ()


STANDARD = [
    Case(), Case(precision="bfloat16"), Case(lanes=8), Case(lanes=8, precision="bfloat16"), Case(size=512),
    Case(size=1024), Case(size=1024, lanes=4), Case("v5e:2x2", lanes=8), Case("v5e:4x4", lanes=16),
]  # fmt: skip


def main() -> int:
    """Prints a table, a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device",
        choices=DEVICES,
        metavar="NAME",
        help="with the next ones, one case instead of the standard ones: " + ", ".join(DEVICES),
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--precision", choices=PASSES, default="float32")
    parser.add_argument("--full", action="store_true", help="compile to the end")
    parser.add_argument("--kinds", action="store_true", help="tell the costs of each kind of instruction")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--compile", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.compile:
        return _compile(Case(**json.loads(chosen.compile)), chosen.output)
    if trouble := libtpu_trouble():
        print(f"accelerators.py: {trouble}", file=sys.stderr)
        return 2
    cases = STANDARD
    if chosen.device:
        cases = [Case(chosen.device, chosen.size, chosen.lanes, chosen.precision)]
    told = []
    print("| device | px | lanes | precision | temporaries, GB | arguments, GB | traffic, GB | copies | padding | "
          "floor, ms: arithmetic | memory | by cycles, ms | ratio |\n" + "|---" * 13 + "|")  # fmt: skip
    for case in cases:
        told.append(figures(case, full=chosen.full))
        print(_line(case, told[-1]), flush=True)
        for kind, cost in told[-1].get("kinds", {}).items() if chosen.kinds else ():
            print("    " + kind + ": " + ", ".join(f"{name} {value:.4g}" for name, value in cost.items()))
    if chosen.output:
        chosen.output.write_text(json.dumps(told, indent=1) + "\n")
    return 0


def libtpu_trouble() -> str | None:
    """Why nothing can be compiled; None when it can."""
    extra = 'pip install "nst_jax[tpu-compile]"'
    wanted = next((re.split("[ ;]", line)[0] for line in requires("jax") or () if line.startswith("libtpu")), "libtpu")
    try:
        found = version("libtpu")
    except PackageNotFoundError:
        return f"libtpu is not installed; {extra}"
    if not found.startswith(wanted.partition("==")[2].rstrip("*")):
        return f"libtpu {found} is not the one that JAX {version('jax')} wants, {wanted}; {extra}"
    return None


def figures(case: Case, *, full: bool = False, patience: float = 3600) -> dict[str, Any]:
    """What the compiler says of a case.

    Args:
      case: the case.
      full: whether to let it compile to the end.
      patience: seconds.

    Returns:
      A JSON object: the case, the compiler's seconds, and either why it was "refused" or a chip's bytes of
      "temporaries" and "arguments", bytes of "traffic", "copies" and "padding" a step, "cycles", milliseconds of
      "arithmetic" and of the "memory", the "precisions" of products, and the costs of all "kinds" of instructions.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, refused = _dumped(case, folder, full, patience)
        found: dict[str, Any] = {"case": case._asdict(), "seconds": round(seconds, 1)}
        programs = sorted(folder.glob(FINAL), key=lambda path: path.stat().st_size)
        if refused or not programs:
            return found | {"refused": refused or "nothing was compiled"}
        text = (folder / "compiled.txt").read_text() if full else programs[-1].read_text()
        buffers = programs[-1].with_name(programs[-1].name.replace("_after_buffer_assignment", "-buffer-assignment"))
        found |= hlo.memory(buffers.read_text())
        kinds = hlo.costs(text)
        found["traffic"] = sum(cost.traffic for cost in kinds.values())
        found["copies"] = kinds["copies"].traffic if "copies" in kinds else 0
        found["padding"] = sum(cost.padding for cost in kinds.values())
        found["cycles"] = sum(cost.cycles for cost in kinds.values())
        found["arithmetic"] = arithmetic(case)
        found["memory"] = 1e3 * found["traffic"] / DEVICES[case.device].bandwidth
        found["precisions"] = sorted(map(list, hlo.precisions(text)))
        return found | {"kinds": {kind: cost._asdict() for kind, cost in kinds.items()}}


def arithmetic(case: Case) -> float:
    """Milliseconds of a step on each chip that the convolutions' products take at its peak, forward and backward."""
    device = DEVICES[case.device]
    products = sum(
        9 * math.prod(CONVOLUTIONS[name]) * positions_of(name, case.size, case.size) for name in _convolutions()
    )
    return 1e3 * case.lanes / device.chips * 2 * 2 * products * PASSES[case.precision] / device.flops


def _convolutions() -> list[str]:
    return [name for name in LAYERS[: LAYERS.index("conv5_1") + 1] if name in CONVOLUTIONS]


def _dumped(case: Case, folder: Path, full: bool, patience: float) -> tuple[float, str | None]:
    """Compiles in a process of its own that leaves XLA's texts in a folder; its seconds, and why it was refused."""
    flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text --xla_dump_hlo_module_re=.*advance.*|.*step.*|.*flat.*"
    command = [sys.executable, __file__, "--compile", json.dumps(case._asdict())]
    command += ["-o", str(folder / "compiled.txt")] if full else []
    before = time.monotonic()
    with (folder / "errors").open("w") as errors:
        own = os.environ | ENVIRONMENT | {"XLA_FLAGS": flags}
        process = subprocess.Popen(command, env=own, stdout=errors, stderr=errors)
        while process.poll() is None and time.monotonic() - before < patience:
            if not full and any(folder.glob(FINAL)):
                time.sleep(0.5)  # until it is written whole
                break
            time.sleep(0.1)
        ended = process.poll()
        process.kill()
        process.wait()
    seconds, said = time.monotonic() - before, (folder / "errors").read_text()
    if ended:  # not when it was ended here
        return seconds, next(
            (line for line in reversed(said.splitlines()) if "RESOURCE_EXHAUSTED" in line), said[-300:]
        )
    return seconds, None


def _compile(case: Case, output: Path | None) -> int:
    """In a process of its own: makes the engine's program of a case, and writes its text when it is compiled."""
    device = DEVICES[case.device]
    chips = topologies.get_topology_desc(
        platform="tpu", topology_name=device.topology, chips_per_host_bounds=device.host, num_slices=1
    ).devices
    engine = Engine(
        OfShapes(case), DEFAULT_OPTIMIZER, evaluations=1, slots=case.lanes, devices=chips, compile=Programs()
    )
    program = engine.program()
    if output:
        output.write_text(program.as_text())
    return 0


class OfShapes:
    """The lanes of a case, as `optim.engine.Problem` has it, from shapes alone: nothing is computed."""

    def __init__(self, case: Case) -> None:
        self.shape, self.dtype, self._lanes = (case.size, case.size, 3), np.dtype(np.float32), case.lanes
        lanes = table(["photo"], ["painting"], Axes(seed=tuple(range(case.lanes))), Settings(precision=case.precision))
        made: list[Problem] = []

        def goal(params: Any, photo: Any, painting: Any) -> Objective:
            made.append(Problem(
                params, {"photo": photo}, {"painting": [painting]}, lanes, prepared=params, strips=case.strips,
            ))  # fmt: skip
            return made[0].objective(range(case.lanes))

        picture = jax.ShapeDtypeStruct(self.shape, jnp.float32)
        self._goal = jax.eval_shape(goal, network_of_shapes(), picture, picture)
        self._made = made[0]

    def __len__(self) -> int:
        return self._lanes

    def objective(self, lanes: Any) -> Any:
        """The shapes of equation 7 for all lanes."""
        return self._goal

    def spread(self, objective: Any) -> Any:
        """See `Problem.spread`."""
        return self._made.spread(objective)

    def starts(self, lanes: Any) -> Any:
        """Never asked for."""
        raise NotImplementedError

    def boxes(self, lanes: Any) -> Box:
        """Of black to white."""
        return boxes(len(lanes), self.dtype, (0.0, 1.0))

    def unknown(self, lanes: int) -> Any:
        """See `Problem.unknown`."""
        return self._made.unknown(lanes)

    def refuse(self, lane: int, losses: Any) -> None:
        """Never called."""


def network_of_shapes() -> dict[str, Any]:
    """The parameters as far as conv5_1, as they are for accelerators."""

    def shaped(*sides: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(sides, jnp.float32)

    layers = {
        name: {"kernel": shaped(3, 3, *CONVOLUTIONS[name]), "bias": shaped(CONVOLUTIONS[name][1])}
        for name in _convolutions()
    }
    return {"params": layers, "preprocessing": {"mean": shaped(3), "scale": shaped(3)}, "transformed": {}}


def _line(case: Case, found: dict[str, Any]) -> str:
    about = f"| {case.device} | {case.size} | {case.lanes} | {case.precision} "
    if "refused" in found:
        return f"{about}| {found['refused']} |"
    gb = [f"{found[name] / 1e9:.2f}" for name in ("temporaries", "arguments", "traffic", "copies", "padding")]
    floors = [found["arithmetic"], found["memory"]]
    ms = 1e3 * found["cycles"] / DEVICES[case.device].clock
    compiled = [f"{ms:.1f}", f"{ms / max(floors):.1f}"] if ms else ["", ""]
    return f"{about}| {' | '.join([*gb, *(f'{floor:.2f}' for floor in floors), *compiled])} |"


if __name__ == "__main__":
    sys.exit(main())
