"""Measures this machine: `python scripts/benchmark.py evaluation|lanes|start|lockstep [-o results.json]`.

evaluation: seconds for an evaluation of equation 7 and its gradient inside the optimizer's loop, and peak memory, by
    size. Each figure is from a process of its own. With --peer, a Python that has PyTorch, the same evaluation there.
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


def main() -> int:
    """Runs one benchmark, prints a table, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("evaluation", "lanes", "start", "lockstep"))
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", default="128,256,512")
    parser.add_argument("--peer", default=os.environ.get("NST_JAX_PEER_PYTHON"), help="a Python with PyTorch")
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if chosen.name == "evaluation":
        rows = _evaluation(sizes, chosen.runs, chosen.peer)
    else:
        rows = {"lanes": _lanes, "start": _start, "lockstep": _lockstep}[chosen.name](sizes, chosen.runs)
    print(machine())
    written([shown(row) for row in rows], chosen.output)
    return 0


def _evaluation(sizes: list[int], runs: int, peer: str | None) -> list[dict]:
    results: dict[int, list[dict]] = {size: [] for size in sizes}
    theirs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            results[size].append(child(sys.executable, "ours.pace", size, 1))
            if peer:
                theirs[size].append(child(peer, "torch_peer.evaluation", size)["s/evaluation"])
    rows = []
    for size, found in results.items():
        paces = [run["s/evaluation"] for run in found]
        row = {"size": f"{size}x{size}", "s/evaluation": spread(paces)}
        if peer:
            ratios = [their / own for their, own in zip(theirs[size], paces, strict=True)]
            row |= {"PyTorch": spread(theirs[size]), "PyTorch / ours": spread(ratios)}
        row["peak MB"] = max(run["peak MB"] for run in found)
        row["compile s"] = spread([run["compile s"] for run in found])
        rows.append(row)
    return rows


def _lanes(sizes: list[int], runs: int) -> list[dict]:
    rows = []
    for size in sizes:
        results: dict[int, list[dict]] = {lanes: [] for lanes in (1, 2, 4, 8)}
        for _ in range(runs):
            for lanes, found in results.items():
                found.append(child(sys.executable, "ours.pace", size, lanes))
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
