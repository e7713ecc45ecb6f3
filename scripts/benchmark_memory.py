"""Peak memory and time of equation 7 with its gradient, by size: this package against PyTorch, whole and in strips.

    python scripts/benchmark_memory.py [--sizes 256,512,1024] [--cuts 0x0,64x1] [--peer PYTHON] [-o results.json]

Each figure is the peak resident memory (ru_maxrss) of a process of its own, which reads or makes its pictures and
parameters, computes the targets, and evaluates: conv1_1 to conv5_1 and conv4_2, average pooling. "evaluation" is loss
and gradient, "optimizer" L-BFGS around them. The peer is a Python that has PyTorch (--peer or NST_JAX_PEER_PYTHON).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarking import child, shown, written


def main() -> int:
    """Measures, prints a line for each process, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512,1024", help="sides of square pictures")
    parser.add_argument("--peer", default=os.environ.get("NST_JAX_PEER_PYTHON"), help="a Python with PyTorch")
    parser.add_argument("--kinds", default="evaluation,optimizer", help="what to measure of ours")
    parser.add_argument("--cuts", default="0x0,64x1,64x2,32x4", help="rows of a strip x segments cut; 0x0 is whole")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    chosen = parser.parse_args()
    rows = []
    for size in map(int, chosen.sizes.split(",")):
        if chosen.peer:
            rows.append(_measured({"kind": "peer", "size": size}, chosen.peer, "torch_peer.evaluation", size))
        for kind in chosen.kinds.split(","):
            for cut in chosen.cuts.split(","):
                own = dict(
                    zip(("kind", "size", "rows", "segments"), (kind, size, *map(int, cut.split("x"))), strict=True)
                )
                rows.append(_measured(own, sys.executable, "ours.evaluation", *own.values()))
    written(rows, chosen.output)
    return 0


def _measured(about: dict, python: str, function: str, *arguments: object) -> dict:
    """Peak and seconds of a process; one that runs out of memory fails, and the next is measured."""
    try:
        found = child(python, function, *arguments)
        found["s/evaluation"] = round(found["s/evaluation"], 3)
    except subprocess.CalledProcessError as error:
        found = {"failed": error.returncode}
    return shown(about | found)


if __name__ == "__main__":
    sys.exit(main())
