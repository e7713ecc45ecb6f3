"""Whole commands against PyTorch's: `python scripts/benchmark_peers.py pastiche|noise|sweep [-o results.json]`.

pastiche: to the loss that pastiche 1.6.0 ends with, on its own objective: from the photograph, average pooling. Seconds
    of `pastiche ...` and of `nst-jax stylize ... --convention pastiche`, each from the start of its process to its end.
noise: equation 7 from white noise, to the loss that as many evaluations of torch.optim.LBFGS with strong Wolfe reach
    from the same noise.
sweep: figure 3's 20 lanes by `nst-jax figure 3`, in one process and in one for each core (`--share`, with taskset),
    against 20 runs of pastiche with as many evaluations. Of each, --runs are made.

Both sides read the same pixels: pictures are brought to their size first. How many evaluations ours needs is read off
a sweep of one lane before anything of ours is timed. The runs alternate; medians and ranges are told. The peers are
installed into a virtual environment of their own (--peers FOLDER, made when it is not there). All L-BFGS of pastiche
and noise have a history of 100, and ours is at one scale: both pay in so long a run (docs/speed.md).
"""

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from benchmarking import (
    OURS,
    PAIRS,
    child,
    machine,
    peers_python,
    shown,
    spread,
    without_jax_settings,
    write_case,
    written,
)

from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.weights import weights


def main() -> int:
    """Runs one benchmark, prints a line for each pair of pictures, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("pastiche", "noise", "sweep"))
    parser.add_argument(
        "--peers", type=Path, default=Path(".peers"), help="virtual environment with pastiche and torch"
    )
    parser.add_argument("--content", type=Path, help="photograph (default: three shipped pairs)")
    parser.add_argument("--style", type=Path, help="painting")
    parser.add_argument("--size", type=int, help="longest side in pixels (default: 256; of sweep, 192)")
    parser.add_argument("--evaluations", type=int, default=500, help="of the peer")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    chosen = parser.parse_args()
    chosen.size = chosen.size or (192 if chosen.name == "sweep" else 256)
    peer = peers_python(chosen.peers)
    pairs = [(chosen.content, chosen.style)] if chosen.content else list(PAIRS)
    print(machine())
    rows = []
    for content, style in pairs[:1] if chosen.name == "sweep" else pairs:
        with tempfile.TemporaryDirectory() as folder:
            photo, painting = _sized(content, style, chosen.size, Path(folder))
            benchmark = {"pastiche": _pastiche, "noise": _noise, "sweep": _sweep}[chosen.name]
            row = {"content": content.name, "style": style.name} | benchmark(peer, photo, painting, chosen)
        rows.append(shown(row))
    written(rows, chosen.output)
    return 0


def _sized(content: Path, style: Path, size: int, folder: Path) -> tuple[Path, Path]:
    for path, name in ((content, "content.png"), (style, "style.png")):
        images.write_image(folder / name, images.read_image(path, size=size))
    return folder / "content.png", folder / "style.png"


def _timed(command: list, cache: Path | None = None) -> tuple[float, str]:
    environment = without_jax_settings() | ({"NST_JAX_CACHE": str(cache)} if cache else {})
    before = time.perf_counter()
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - before, done.stdout


def _stylize(
    photo: Path, painting: Path, size: int, evaluations: int, options: list, cache: Path
) -> tuple[float, float]:
    """Seconds and loss."""
    pictures = ["stylize", photo, painting, "-o", photo.with_name("ours.png")]
    command = [*OURS, *pictures, "--size", size, "--evaluations", evaluations]
    seconds, out = _timed([*command, "--json", "--quiet", *options], cache)
    return seconds, json.loads(out)["total"]


def _enough(photo: Path, painting: Path, chosen: argparse.Namespace, options: list, cache: Path, loss: float) -> int:
    """Evaluations after which ours is at the loss, or the most that are tried: twice the peer's."""
    most, run = 2 * chosen.evaluations, photo.with_name("losses")
    command = [*OURS, "sweep", photo, painting, "-o", run, "--size", chosen.size, "--evaluations", most, "--quiet"]
    _timed([*command, *options], cache)
    with (run / "losses.csv").open(encoding="utf-8", newline="") as lines:
        reached = (int(row["evaluations"]) for row in csv.DictReader(lines) if float(row["total"]) <= loss)
        return next(reached, most)


def _compare(photo: Path, painting: Path, chosen: argparse.Namespace, peer_run, options: list) -> dict:
    """Alternates the peer with ours, warm, one scale, history 100; `peer_run` gives seconds and loss."""
    options = [*options, "--scales", 1, "--history", 100]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as empty:
        cache = Path(folder)
        first, loss = peer_run()
        needed = _enough(photo, painting, chosen, options, cache, loss)
        _stylize(photo, painting, chosen.size, 1, options, cache)  # fills the cache, which the sweep's programs do not
        theirs, ours, reached = [first], [], math.nan
        for number in range(chosen.runs):
            seconds, reached = _stylize(photo, painting, chosen.size, needed, options, cache)
            ours.append(seconds)
            if number < chosen.runs - 1:
                theirs.append(peer_run()[0])
        cold, _ = _stylize(photo, painting, chosen.size, needed, options, Path(empty))
    return {
        "peer's loss": f"{loss:.6g}",
        "ours": f"{reached:.6g} after {needed} evaluations",
        "peer s": spread(theirs, 1),
        "ours s": spread(ours, 1),
        "ours, cold s": round(cold, 1),
        "peer / ours": _ratio(theirs, ours),
    }


def _ratio(peer: list[float], ours: list[float]) -> str:
    ends = f"{min(peer) / max(ours):.2f}, {max(peer) / min(ours):.2f}"
    return f"{statistics.median(peer) / statistics.median(ours):.2f} [{ends}]"


def _pastiche_command(peer: Path, photo: Path, painting: Path, size: int, steps: int) -> list:
    sizes = ["--size", size, "--style-size", size]
    about = ["--pooling", "avg", "--num-steps", steps, "--info-step", steps, "--seed", 0]
    pictures = ["--content", photo, "--styles", painting, "--output", photo.with_name("peer.png")]
    return [peer, "-m", "pastiche", *sizes, *about, *pictures]


def _pastiche(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    def run() -> tuple[float, float]:
        seconds, out = _timed(_pastiche_command(peer, photo, painting, chosen.size, chosen.evaluations))
        return seconds, float(out.split()[-1])

    same = ["--convention", "pastiche", "--pool", "avg", "--init", "content"]
    return _compare(photo, painting, chosen, run, same)


def _noise(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    case = photo.with_name("case.npz")
    content, style = (images.read_image(path) for path in (photo, painting))
    noise = np.asarray(white_noise(0, *content.shape[:2]))  # what `nst-jax stylize` starts from
    write_case(case, weights.load(), photo=content, painting=style, noise=noise)

    def run() -> tuple[float, float]:
        before = time.perf_counter()
        loss = child(peer, "torch_peer.lowest_loss", str(case), chosen.evaluations)
        return time.perf_counter() - before, loss

    return _compare(photo, painting, chosen, run, [])


def _sweep(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    figure = [*OURS, "figure", 3, "--content", photo, "--style", painting, "--size", chosen.size, "--quiet"]
    with tempfile.TemporaryDirectory() as cache:
        command = [*figure, "--evaluations", chosen.evaluations, "-o"]
        command_of_peer = _pastiche_command(peer, photo, painting, chosen.size, chosen.evaluations)
        for way in (_whole, _a_share_a_core):
            way([*figure, "--evaluations", 1, "-o", photo.with_name(f"warm{way.__name__}")], Path(cache))
        theirs, ours, shared = [], [], []
        for number in range(chosen.runs):
            theirs.append(20 * _timed(command_of_peer)[0])
            ours.append(_whole([*command, photo.with_name(f"whole{number}")], Path(cache)))
            shared.append(_a_share_a_core([*command, photo.with_name(f"shared{number}")], Path(cache)))
    return {
        "evaluations": chosen.evaluations,
        "20 runs of the peer s": spread(theirs, 1),
        "ours s": spread(ours, 1),
        "ours, a process a core s": spread(shared, 1),
        "peer / ours": _ratio(theirs, ours),
        "peer / ours, a process a core": _ratio(theirs, shared),
    }


def _whole(command: list, cache: Path) -> float:
    return _timed(command, cache)[0]


def _a_share_a_core(command: list, cache: Path) -> float:
    """Seconds of as many processes as there are cores, each on a core of its own, with its share of the lanes."""
    cores = sorted(os.sched_getaffinity(0))

    def share(number: int) -> None:
        pinned = ["taskset", "--cpu-list", cores[number], *command, "--share", f"{number}/{len(cores)}"]
        _timed(pinned, cache)

    before = time.perf_counter()
    with ThreadPoolExecutor(len(cores)) as pool:
        list(pool.map(share, range(len(cores))))
    return time.perf_counter() - before


if __name__ == "__main__":
    sys.exit(main())
