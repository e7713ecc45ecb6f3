"""What benchmark.py and benchmark_memory.py measure of this package: functions that `benchmarking.child` runs.

`torch_peer.evaluation` is PyTorch's side.
"""

import itertools
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from benchmarking import PAIRS, peak_mb

from nst_jax.loss import strips
from nst_jax.loss.objective import Objective
from nst_jax.optim import compiler
from nst_jax.optim.box import Box
from nst_jax.optim.engine import Engine
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, LONGEST_CHUNK, advance, begin
from nst_jax.pictures import images
from nst_jax.runs.inputs import read_pictures
from nst_jax.transfer import allocator, figures
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def _goal(
    photo: np.ndarray, painting: np.ndarray, lanes: int, cuts: tuple[int, ...] = (), precision: str = "float32"
) -> tuple[Objective, jax.Array, Box]:
    """Equation 7 for so many lanes, white noises, and what images stay in; nothing else stays in memory."""
    seeds = table(["photo"], ["painting"], Axes(seed=tuple(range(lanes))), Settings(precision=precision))
    problem = Problem(weights.load(), {"photo": photo}, {"painting": painting}, seeds, strips=cuts)
    which = range(lanes)
    return jax.device_put(problem.objective(which)), problem.starts(which), problem.boxes(which)


def pace(size: int, lanes: int, precision: str = "float32") -> dict:
    """Seconds of an evaluation inside the optimizer's loop and of compiling it; peak memory, and the program's.

    The peak is the process's on CPU, and the device's elsewhere.
    """
    photo, painting = (images.resize(images.read_image(path), size, size) for path in PAIRS[0])
    goal, noise, boxes = _goal(photo, painting, lanes, precision=precision)
    carry = begin(noise, goal.unknown(lanes), DEFAULT_OPTIMIZER, boxes)
    before = time.perf_counter()
    step = partial(advance, optimizer=DEFAULT_OPTIMIZER)
    program = (
        jax.jit(step, donate_argnums=1)
        .lower(goal, carry, jnp.int32(1))
        .compile(compiler.options(jax.default_backend()))
    )
    compiled = time.perf_counter() - before
    allocator.keep_freed_memory()  # as the command line does
    on_cpu = jax.default_backend() == "cpu"
    count = max(3, min(LONGEST_CHUNK, 12 * 256 * 256 // (size * size * lanes))) if on_cpu else LONGEST_CHUNK
    carry, _ = jax.block_until_ready(program(goal, carry, jnp.int32(1)))
    before = time.perf_counter()
    jax.block_until_ready(program(goal, carry, jnp.int32(count)))
    seconds = (time.perf_counter() - before) / count
    analysis = program.memory_analysis()
    assert analysis is not None
    program_mb = round(analysis.temp_size_in_bytes / 1e6)
    peak = peak_mb() if on_cpu else round((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e6)
    found = {"s/evaluation": seconds, "compile s": compiled, "peak MB": peak, "program MB": program_mb}
    return found | {"device": jax.devices()[0].device_kind}


def evaluation(kind: str, size: int, rows: int, segments: int) -> dict:
    """Peak memory, and seconds of loss and gradient: by themselves ("evaluation"), or in the loop ("optimizer")."""
    random = np.random.default_rng(0)
    photo, painting = (random.uniform(size=(size, size, 3)).astype(np.float32) for _ in range(2))
    goal, image, _ = _goal(photo, painting, 1, strips.by_rows(size, rows or 1, segments))
    if kind == "optimizer":
        times = [record.seconds for record in minimize(goal, image, evaluations=4, every=1).history[0]]
        return {"peak MB": peak_mb(), "s/evaluation": (times[-1] - times[0]) / (len(times) - 1)}
    total = jax.value_and_grad(lambda image, goal: jnp.sum(goal(image).total))
    evaluate = jax.jit(total, compiler_options=compiler.options(jax.default_backend()))
    jax.block_until_ready(evaluate(image, goal))
    before = time.perf_counter()
    for _ in range(2):
        jax.block_until_ready(evaluate(image, goal))
    return {"peak MB": peak_mb(), "s/evaluation": (time.perf_counter() - before) / 2}


def lockstep(size: int) -> dict:
    """Of figure 3's lanes, how long each step's line search took, in evaluations."""
    lanes = figures.figure3(*PAIRS[0], Settings(size=size))
    problem = Problem(weights.load(), *read_pictures(lanes), lanes)
    engine = Engine(problem, DEFAULT_OPTIMIZER, evaluations=100, slots=4)
    while not engine.finished:
        engine.advance()
    searches = []
    for records in engine.records.values():
        moved = [b.evaluations for a, b in itertools.pairwise(records) if b.step > a.step]
        searches.append([b - a for a, b in itertools.pairwise([records[0].evaluations, *moved])])
    steps = min(map(len, searches))
    own = [sum(search[:steps]) for search in searches]
    together = sum(max(search[n] for search in searches) for n in range(steps))
    return {
        "size": size,
        "lanes": len(problem),
        "steps": steps,
        "evaluations a lane": f"{statistics.mean(own):.1f} [{min(own)}, {max(own)}]",
        "in lockstep": together,
        "ratio": round(together / statistics.mean(own), 2),
    }
