"""Measures this machine: `python scripts/benchmark.py evaluation|lanes|start|lockstep [-o results.json]`.

evaluation: seconds for an evaluation of equation 7 and its gradient inside the optimizer's loop, and peak memory, by
    size. Each figure is from a process of its own. With --peer, a Python that has PyTorch, the same evaluation there;
    on a GPU both by its defaults and with every product in TensorFloat-32.
lanes: evaluations of lanes per second by lanes a batch, and the program's memory.
start: seconds from the start of `nst-jax stylize` to its first step's record, with an empty cache of compiled programs
    and with one that an earlier run filled, and seconds that `nst-jax stylize --help` takes.
lockstep: evaluations that the lanes of a figure 3 used, and what a line search in lockstep would have used.

Medians of several runs with their range; the runs alternate, since machines are noisy. What is measured is the checkout
that this script is in, whichever package is installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarking import OURS, PAIRS, child, machine, shown, spread, without_jax_settings, written

from nst_jax.network.layers import PRECISIONS


def main() -> int:
    """Runs one benchmark, prints a table, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("evaluation", "lanes", "start", "lockstep"))
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", default="128,256,512")
    parser.add_argument("--lanes", default="1,2,4,8", help="lanes a batch, of lanes")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of our products, on TPU and GPU")
    parser.add_argument("--peer", default=os.environ.get("NST_JAX_PEER_PYTHON"), help="a Python with PyTorch")
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if chosen.name == "evaluation":
        rows = _evaluation(sizes, chosen.runs, chosen.peer, chosen.precision)
    elif chosen.name == "lanes":
        rows = _lanes(sizes, chosen.runs, [int(lanes) for lanes in chosen.lanes.split(",")], chosen.precision)
    else:
        rows = {"start": _start, "lockstep": _lockstep}[chosen.name](sizes, chosen.runs)
    print(machine())
    written([shown(row) for row in rows], chosen.output)
    return 0


def _evaluation(sizes: list[int], runs: int, peer: str | None, precision: str) -> list[dict]:
    results: dict[int, list[dict]] = {size: [] for size in sizes}
    theirs: dict[int, dict[str, list[float]]] = {size: {} for size in sizes}
    for _ in range(runs):
        for size in sizes:
            results[size].append(child(sys.executable, "ours.pace", size, 1, precision))
            ways = {"PyTorch": None} | ({} if results[size][-1]["device"] == "cpu" else {"PyTorch TF32": True})
            if peer:
                for name, tf32 in ways.items():
                    pace = child(peer, "torch_peer.evaluation", size, tf32)["s/evaluation"]
                    theirs[size].setdefault(name, []).append(pace)
    rows = []
    for size, found in results.items():
        paces = [run["s/evaluation"] for run in found]
        row = {"size": f"{size}x{size}", "device": found[0]["device"], "s/evaluation": spread(paces, 4)}
        for name, times in theirs[size].items():
            ratios = [their / own for their, own in zip(times, paces, strict=True)]
            row |= {name: spread(times, 4), f"{name} / ours": spread(ratios)}
        row["peak MB"] = max(run["peak MB"] for run in found)
        row["compile s"] = spread([run["compile s"] for run in found])
        rows.append(row)
    return rows


def _lanes(sizes: list[int], runs: int, counts: list[int], precision: str) -> list[dict]:
    rows = []
    for size in sizes:
        results: dict[int, list[dict]] = {lanes: [] for lanes in counts}
        for _ in range(runs):
            for lanes, found in results.items():
                found.append(child(sys.executable, "ours.pace", size, lanes, precision))
        rows += [
            {
                "size": f"{size}x{size}",
                "lanes": lanes,
                "lane evaluations/s": spread([lanes / run["s/evaluation"] for run in found]),
                "program MB": found[0]["program MB"],
                "peak MB": max(run["peak MB"] for run in found),
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
                one = ["stylize", *PAIRS[0], "-o", Path(cache, "out.png"), "--size", size, "--evaluations", 1]
                for times in (cold, warm):
                    times.append(_seconds_until(" 1/1,", cache, *one))
                helped.append(_seconds_until("--help", cache, "stylize", "--help"))
        rows.append({"size": size, "cold s": spread(cold), "warm s": spread(warm), "--help s": spread(helped)})
    return rows


def _seconds_until(text: str, cache: str, *arguments: object) -> float:
    """From the start of `nst-jax ARGUMENTS` to the line that holds `text`."""
    command = [*OURS, *map(str, arguments)]
    environment = without_jax_settings() | {"NST_JAX_CACHE": cache}
    before = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        found = [time.perf_counter() - before for line in process.stdout if text in line]
    return found[0]


def _lockstep(sizes: list[int], _runs: int) -> list[dict]:
    return [child(sys.executable, "ours.lockstep", size) for size in sizes]


if __name__ == "__main__":
    sys.exit(main())
