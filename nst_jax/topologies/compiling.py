"""Compiles a run's program for chips that are not there, in a process of its own, and reads what the compiler says.

That process is ended as soon as XLA has written its final program and where its buffers lie: a TPU's code takes minutes
more to generate, and only its estimates of cycles are lost.
"""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import jax
from jax.experimental.topologies import get_topology_desc

from nst_jax.network.layers import CONVOLUTIONS, of_products, positions_of
from nst_jax.optim.compiler import Programs
from nst_jax.optim.engine import Engine
from nst_jax.topologies import hlo
from nst_jax.topologies.chips import check_compiler, named
from nst_jax.topologies.hlo import Cost
from nst_jax.topologies.shapes import OfShapes, convolutions
from nst_jax.transfer import lanes
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import optimizer_of

_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else a lock file admits one process at a time
    "JAX_ENABLE_COMPILATION_CACHE": "false",  # what is found there is not compiled, and XLA writes nothing
}  # fmt: skip
_FINAL = {"tpu": "*after_optimizations_after_buffer_assignment.txt", "cuda": "*_gpu_after_optimizations.txt"}
_BUFFERS = "*after_optimizations-buffer-assignment.txt"
_LOOP = ".*advance.*|.*step.*|.*flat.*"  # as XLA names the engine's program


class Program(NamedTuple):
    """What is compiled: a batch of a table's lanes."""

    topology: str
    """Its name, see `chips.named`."""
    height: int
    """Of the pictures."""
    width: int
    table: Table
    slots: int
    """Over all chips of a host, of which their number is a multiple."""
    strips: tuple[int, ...] = ()


class Figures(NamedTuple):
    """What the compiler says of a step of each chip: an evaluation of all its lanes, and the optimizer's part."""

    arguments: int
    """Bytes that lie in its memory between steps: parameters, targets, the lanes' states."""
    temporaries: int
    """Bytes beside them at the peak."""
    traffic: int
    """Bytes of memory read and written, at most."""
    copies: int
    """Bytes of them that are moved, not computed."""
    padding: int
    """Bytes that fill up tiles, of what is written."""
    cycles: int
    """Estimated; zero unless it was compiled to the end."""
    arithmetic: float
    """Milliseconds that the convolutions' products take at the chip's peak."""
    memory: float
    """Milliseconds that its memory takes for the traffic."""
    precisions: tuple[tuple[str, ...], ...]
    """Of the factors of convolutions, and of other products."""
    kinds: dict[str, Cost]
    """By kind of instruction."""
    seconds: float
    """That compiling took."""


def compiled(program: Program, *, full: bool = False, patience: float = 3600) -> Figures:
    """Compiles a program.

    Args:
      program: the program.
      full: whether to let it compile to the end, for the cycles.
      patience: seconds.

    Returns:
      What the compiler says.

    Raises:
      InputError: there is no such topology, or no compiler for it.
      jax.errors.JaxRuntimeError: the compiler refuses it, as it would there.
    """
    topology = named(program.topology)
    check_compiler(topology)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = _dumped(program, folder, full or topology.platform != "tpu", patience)
        texts = sorted(folder.glob(_FINAL[topology.platform]), key=lambda path: path.stat().st_size)
        buffers = sorted(folder.glob(_BUFFERS), key=lambda path: path.stat().st_size)
        if not texts or not buffers:
            raise jax.errors.JaxRuntimeError("INTERNAL: the compiler wrote no program")
        text = (folder / "compiled.txt").read_text() if full else texts[-1].read_text()
        bytes_of, kinds = hlo.memory(buffers[-1].read_text()), hlo.costs(text)
        traffic = sum(cost.traffic for cost in kinds.values())
        return Figures(
            arguments=bytes_of["arguments"],
            temporaries=bytes_of["temporaries"],
            traffic=traffic,
            copies=kinds["copies"].traffic if "copies" in kinds else 0,
            padding=sum(cost.padding for cost in kinds.values()),
            cycles=sum(cost.cycles for cost in kinds.values()),
            arithmetic=arithmetic(program),
            memory=1e3 * traffic / topology.chip.bandwidth,
            precisions=tuple(sorted(hlo.precisions(text))),
            kinds=kinds,
            seconds=round(seconds, 1),
        )


def arithmetic(program: Program) -> float:
    """Counts the milliseconds of a step that the convolutions' products take at a chip's peak, forward and backward."""
    topology, table = named(program.topology), program.table
    products = sum(
        9 * math.prod(CONVOLUTIONS[name]) * positions_of(name, program.height, program.width)
        for name in convolutions(table)
    )
    flops = topology.chip.flops[of_products(table.settings.precision)]
    return 1e3 * program.slots / topology.chips * 2 * 2 * products / flops


def _dumped(program: Program, folder: Path, full: bool, patience: float) -> float:
    """Compiles in a process of its own that leaves XLA's texts in a folder; its seconds."""
    flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text --xla_dump_hlo_module_re={_LOOP}"
    before, final = time.monotonic(), _FINAL[named(program.topology).platform]
    (folder / "program.json").write_text(_as_json(program))
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "nst_jax.topologies.compiling", folder], start_new_session=True,
            env=os.environ | _ENVIRONMENT | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}"},
            stdin=subprocess.PIPE, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            sizes: list[int] = []
            while process.poll() is None:
                if time.monotonic() - before > patience:
                    raise jax.errors.JaxRuntimeError(f"DEADLINE_EXCEEDED: not compiled after {patience:g} s")
                time.sleep(0.3)
                written = [*folder.glob(final), *folder.glob(_BUFFERS)]
                earlier, sizes = sizes, sorted(path.stat().st_size for path in written)
                if not full and len(written) > 1 and sizes == earlier:
                    return time.monotonic() - before
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with what it started, such as ptxas
            process.communicate()
    if process.returncode:
        failed = folder / "failed"
        raise jax.errors.JaxRuntimeError(
            failed.read_text() if failed.exists() else f"INTERNAL: the compiler ended with code {process.returncode}"
        )
    return time.monotonic() - before


def _as_json(program: Program) -> str:
    table = program.table
    whole = program._asdict() | {"table": lanes.as_json(table), "settings": vars(table.settings)}
    return json.dumps(whole, default=lambda number: number.item())  # NumPy's


def _from_json(text: str) -> Program:
    data: dict[str, Any] = json.loads(text)
    given: dict[str, Any] = data.pop("settings")
    settings: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    table = lanes.from_json(data["table"], Settings(**settings))
    return Program(**data | {"table": table, "strips": tuple(data["strips"])})


def _main(folder: Path) -> int:
    """In a process of its own: compiles the folder's program.json, and writes its text when that is done."""
    Thread(target=_end_with_parent, daemon=True).start()
    program = _from_json((folder / "program.json").read_text())
    topology = named(program.topology)
    try:
        found = get_topology_desc(platform=topology.platform, **topology.described).devices
        chips = [chip for chip in found if chip.process_index == found[0].process_index]
        problem = OfShapes(program.table, program.height, program.width, program.slots, program.strips)
        engine = Engine(
            problem, optimizer_of(program.table.settings), evaluations=1, slots=program.slots, devices=chips,
            compile=Programs(),
        )  # fmt: skip
        text = engine.program().as_text()
    except Exception as error:  # told by the process that asked
        (folder / "failed").write_text(str(error))
        raise
    (folder / "compiled.txt").write_text(text)
    return 0


def _end_with_parent() -> None:
    """Its standard input ends when the process that asked is no more, however that ended."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
