"""Measures this machine: `python scripts/benchmark.py evaluation|lanes|start|lockstep [-o results.json]`.

evaluation: seconds for an evaluation of equation 7 and its gradient inside the optimizer's loop, and peak memory, by
    size. Each figure is from a process of its own. With --peer, a Python that has PyTorch, the same evaluation there.
lanes: evaluations of lanes per second by lanes a batch, and the program's memory.
start: seconds from the start of `nst-jax stylize` to its first step's record, with an empty cache of compiled programs
    and with one that an earlier run filled, and seconds that `nst-jax stylize --help` takes.
lockstep: evaluations that the lanes of a figure 3 used, and what a line search in lockstep would have used.

Medians of several runs with their range; the runs alternate, since machines are noisy.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark_memory import measured

SAMPLES = Path(__file__).resolve().parents[1] / "nst_jax" / "samples"
CONTENT, STYLE = SAMPLES / "schwerin_palace.jpg", SAMPLES / "van_gogh_street_in_auvers.jpg"


def main() -> int:
    """Runs one benchmark, prints a table, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("evaluation", "lanes", "start", "lockstep"))
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", default="128,256,512")
    parser.add_argument("--peer", default=os.environ.get("NST_JAX_PEER_PYTHON"), help="a Python with PyTorch")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_child(chosen.name, *json.loads(chosen.child))))
        return 0
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if chosen.name == "evaluation":
        rows = _evaluation(sizes, chosen.runs, chosen.peer)
    else:
        rows = {"lanes": _lanes, "start": _start, "lockstep": _lockstep}[chosen.name](sizes, chosen.runs)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def _run_child(name: str, *arguments: object, **environment: str) -> dict:
    command = [sys.executable, __file__, name, "--child", json.dumps(arguments)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _evaluation(sizes: list[int], runs: int, peer: str | None) -> list[dict]:
    results: dict[int, list[dict]] = {size: [] for size in sizes}
    theirs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            results[size].append(_run_child("evaluation", size, 1))
            if peer:
                theirs[size].append(measured(peer, "peer", size)["s/evaluation"])
    rows = []
    for size, found in results.items():
        paces = [run["pace"] for run in found]
        row = {"size": f"{size}x{size}", "s/evaluation": _spread(paces)}
        if peer:
            ratios = [their / own for their, own in zip(theirs[size], paces, strict=True)]
            row |= {"PyTorch": _spread(theirs[size]), "PyTorch / ours": _spread(ratios)}
        row["peak MB"] = round(max(run["peak_mb"] for run in found))
        row["compile s"] = _spread([run["compile"] for run in found])
        rows.append(row)
    return rows


def _lanes(sizes: list[int], runs: int) -> list[dict]:
    rows = []
    for size in sizes:
        results: dict[int, list[dict]] = {lanes: [] for lanes in (1, 2, 4, 8)}
        for _ in range(runs):
            for lanes, found in results.items():
                found.append(_run_child("lanes", size, lanes))
        rows += [
            {
                "size": f"{size}x{size}",
                "lanes": lanes,
                "lane evaluations/s": _spread([lanes / run["pace"] for run in found]),
                "program MB": round(found[0]["program_mb"]),
                "peak MB": round(max(run["peak_mb"] for run in found)),
            }
            for lanes, found in results.items()
        ]
    return rows


def _start(sizes: list[int], runs: int) -> list[dict]:
    rows = []
    for size in sizes:
        cold, warm, helped = [], [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as cache:
                for times in (cold, warm):
                    output = Path(cache, "out.png")
                    times.append(
                        _seconds_until(
                            " 1/1,", cache, "stylize", CONTENT, STYLE, "-o", output, "--size", size, "--steps", 1
                        )
                    )
                helped.append(_seconds_until("--help", cache, "stylize", "--help"))
        rows.append({"size": size, "cold s": _spread(cold), "warm s": _spread(warm), "--help s": _spread(helped)})
    return rows


def _seconds_until(text: str, cache: str, *arguments: object) -> float:
    """From the start of `nst-jax ARGUMENTS` to the line that holds `text`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    program = "import sys; from nst_jax.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    before = time.perf_counter()
    with subprocess.Popen(
        command, env=environment | {"NST_JAX_CACHE": cache}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        found = [time.perf_counter() - before for line in process.stdout if text in line]
    return found[0]


def _lockstep(sizes: list[int], _runs: int) -> list[dict]:
    return [_run_child("lockstep", size) for size in sizes]


def _child(name: str, size: int, lanes: int = 1) -> dict:
    import jax  # noqa: PLC0415 (only in the measured process)
    import jax.numpy as jnp  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from nst_jax.loss import objective  # noqa: PLC0415
    from nst_jax.network import vgg  # noqa: PLC0415
    from nst_jax.optim import minimize  # noqa: PLC0415
    from nst_jax.pictures import images, start  # noqa: PLC0415
    from nst_jax.weights import weights  # noqa: PLC0415

    if name == "lockstep":
        return _count_lockstep(size)
    photo = images.resize(images.read_image(CONTENT), size, size)
    painting = images.resize(images.read_image(STYLE), size, size)
    params = weights.load()
    targets = objective.Targets(
        objective.content_targets(params, photo[None]), objective.style_targets(params, painting[None])
    )
    params = jax.device_put(vgg.prepare(params, [objective.CONTENT_LAYER, *objective.STYLE_LAYERS]))
    goal = objective.Objective(params, targets, objective.loss_weights(np.full(lanes, 1e-3)))
    begin = jnp.stack([start.white_noise(seed, size, size) for seed in range(lanes)])
    before = time.perf_counter()
    run = minimize.program(goal, begin, minimize.DEFAULT_OPTIMIZER)
    compiled = time.perf_counter() - before
    steps = max(3, min(minimize.LONGEST_CHUNK, 12 * 256 * 256 // (size * size * lanes)))
    carry = minimize.begin(goal, begin, minimize.DEFAULT_OPTIMIZER)
    carry, _ = run(goal, carry, jnp.int32(1))
    jax.block_until_ready(carry)
    before = time.perf_counter()
    carry, _ = run(goal, carry, jnp.int32(steps))
    jax.block_until_ready(carry)
    pace = (time.perf_counter() - before) / steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"pace": pace, "compile": compiled, "peak_mb": peak}
    if name == "lanes":
        analysis = run.memory_analysis()
        assert analysis is not None
        found["program_mb"] = analysis.temp_size_in_bytes / 1e6
    return found


def _count_lockstep(size: int) -> dict:
    """Of figure 3's lanes, how long each step's line search took, in evaluations."""
    from nst_jax.optim.minimize import DEFAULT_OPTIMIZER  # noqa: PLC0415
    from nst_jax.pictures import images  # noqa: PLC0415
    from nst_jax.transfer import figures  # noqa: PLC0415
    from nst_jax.transfer.problem import Problem  # noqa: PLC0415
    from nst_jax.transfer.settings import Settings  # noqa: PLC0415
    from nst_jax.transfer.sweep import Sweep  # noqa: PLC0415
    from nst_jax.weights import weights  # noqa: PLC0415

    lanes = figures.figure3(CONTENT, STYLE, Settings(size=size)).lanes
    photo, painting = (images.read_image(path, size=size) for path in (CONTENT, STYLE))
    problem = Problem(weights.load(), {str(CONTENT): photo}, {str(STYLE): painting}, lanes)
    sweep = Sweep(problem, lanes, steps=100, batch=4, optimizer=DEFAULT_OPTIMIZER)
    while not sweep.finished:
        sweep.advance()
    searches = []
    for records in sweep.records.values():
        moved = [b.evaluations for a, b in itertools.pairwise(records) if b.step > a.step]
        searches.append([b - a for a, b in itertools.pairwise([records[0].evaluations, *moved])])
    steps = min(len(own) for own in searches)
    own = [sum(search[:steps]) for search in searches]
    together = sum(max(search[n] for search in searches) for n in range(steps))
    return {
        "size": size,
        "lanes": len(lanes),
        "steps": steps,
        "evaluations a lane": f"{statistics.mean(own):.1f} [{min(own)}, {max(own)}]",
        "in lockstep": together,
        "ratio": round(together / statistics.mean(own), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
