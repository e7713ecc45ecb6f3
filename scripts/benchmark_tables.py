"""How the cost of a run folder grows with its lanes, by what places them.

    python scripts/benchmark_tables.py --lanes 10 100 1000 --size 64 --evaluations 5 --runs 1 -o tables.json

A table is so many seeds of one photograph and painting. Each way runs it as a command of its own, smaller tables
with programs that are compiled already; the ways take turns:

    one process   nst-jax sweep ...
    processes     the same with --on processes, one for each core
    dask          the same with --on dask:ADDRESS, a worker of one thread for each core; starting these does not count

Told are seconds from the command's start to its end, and by lane; processor seconds of all that it waited for (Dask's
workers are not among them); the most resident memory of one of its processes; and how large the folder's page and table
are, and the folder itself. With --runs, medians and ranges.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarking import OURS, PAIRS, machine, shown, spread, without_jax_settings, written

WAYS = ("one process", "processes", "dask")
COMPILED = 100
"""Lanes of a table whose programs are compiled first; what larger ones take is long beside that."""


def main() -> int:
    """Runs the tables, prints a line for each way and number of lanes, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[10, 100, 1000], help="of each table, two or more")
    parser.add_argument("--size", type=int, default=64, help="longest side in pixels (default: 64)")
    parser.add_argument("--evaluations", type=int, default=5, help="of each lane (default: 5)")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, metavar="WAY")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    chosen = parser.parse_args()
    print(machine())
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for lanes in chosen.lanes:
            table = ["--seed", ",".join(map(str, range(lanes))), "--size", chosen.size]
            found: dict[str, list[dict]] = {way: [] for way in chosen.ways}
            if lanes <= COMPILED:
                for way in chosen.ways:
                    _measured([*table, "--evaluations", 1], way, cache)
            for way in chosen.runs * list(chosen.ways):
                found[way].append(_measured([*table, "--evaluations", chosen.evaluations], way, cache))
            rows += [shown({"lanes": lanes, "way": way} | _row(lanes, runs)) for way, runs in found.items()]
    written(rows, chosen.output)
    return 0


def _row(lanes: int, runs: list[dict]) -> dict:
    return {
        "s": spread([run["s"] for run in runs], 1),
        "s/lane": spread([run["s"] / lanes for run in runs]),
        "processor s": spread([run["processor s"] for run in runs], 1),
        "peak MB": max(run["peak MB"] for run in runs),
    } | {name: runs[0][name] for name in ("page MB", "measures.csv MB", "folder MB")}


def _measured(table: list, way: str, cache: str) -> dict:
    with tempfile.TemporaryDirectory() as folder, _engine(way) as on:
        run = Path(folder, "run")
        command = [*OURS, "sweep", *PAIRS[0], "-o", run, *table, "--quiet", *on]
        environment = without_jax_settings() | {"NST_JAX_CACHE": cache}
        before = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), env=environment)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - before
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{way}: nst-jax sweep ended with {process.returncode}")
        return {
            "s": seconds,
            "processor s": used.ru_utime + used.ru_stime,
            "peak MB": round(used.ru_maxrss * 1024 / 1e6),
            "page MB": _megabytes([run / "index.html"]),
            "measures.csv MB": _megabytes([run / "measures.csv"]),
            "folder MB": _megabytes(run.rglob("*")),
        }


def _megabytes(paths) -> float:
    return round(sum(path.stat().st_size for path in paths if path.is_file()) / 1e6, 2)


@contextmanager
def _engine(way: str) -> Iterator[list[str]]:
    """The options for an engine, which is there for as long."""
    if way != "dask":
        yield {"one process": [], "processes": ["--on", "processes"]}[way]
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def started(kind: str, *arguments: str, core: int | None = None) -> subprocess.Popen:
        program = f"import os, runpy; runpy.run_module('distributed.cli.dask_{kind}', run_name='__main__')"
        if core is not None:
            program = f"import os; os.sched_setaffinity(0, [{core}]); {program}"
        command = [sys.executable, "-c", program, *arguments, "--no-dashboard"]
        return subprocess.Popen(command, env=without_jax_settings(), stderr=subprocess.DEVNULL)

    cores = sorted(os.sched_getaffinity(0))
    local = [started("scheduler", "--host", address)]
    local += [started("worker", address, "--nthreads", "1", "--no-nanny", core=core) for core in cores]
    try:
        time.sleep(10)  # until the workers have joined
        yield ["--on", f"dask:{address}"]
    finally:
        for process in reversed(local):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
