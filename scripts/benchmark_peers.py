"""Whole commands against PyTorch's: `python scripts/benchmark_peers.py pastiche|noise|sweep [-o results.json]`.

pastiche: the objective of pastiche 1.6.0, from the photograph, average pooling. Seconds of `pastiche ...` and of
    `nst-jax stylize ... --convention pastiche`, each from the start of its process to its end.
noise: equation 7 from white noise, average pooling, against torch.optim.LBFGS with strong Wolfe.
sweep: figure 3's 20 lanes by `nst-jax figure 3`, in one process and with `--on processes`, one a core, against 20
    runs of pastiche with as many evaluations: 20 times one run, which is measured each time. Of each, --runs are made,
    in turn.

What counts in pastiche and noise is the picture in the file, 8-bit PNG on both sides: its loss, by `nst.evaluate` under
the objective that was minimized. Ours is the default command, unless --scales or --history is given, with the fewest
evaluations after which its file is no worse than the peer's: they are searched by bisection over whole runs, to 4%,
which takes it that more evaluations are no worse. The peer's file is that of its lowest loss. What each side reports of
its own loss is told beside that. The peers have a history of 100.

Both sides read the same pixels: pictures are brought to their size first. The peer runs first, since its picture is the
aim; then, after the search, ours and the peer's in turn. Medians and ranges are told. The peers are installed into a
virtual environment of their own (--peers FOLDER, made when it is not there).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
from nst_jax.transfer.stylizing import evaluate, stylize
from nst_jax.weights import weights

FIRST_TRIED = 32  # evaluations


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
    parser.add_argument("--scales", type=int, help="of ours (default: the command's)")
    parser.add_argument("--history", type=int, help="of ours (default: the command's)")
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


def _compare(photo: Path, painting: Path, chosen: argparse.Namespace, peer_run, objective: dict, start: str) -> dict:
    """Alternates the peer with ours, warm; `peer_run` gives seconds and what it reports, and writes peer.png."""
    content, style = (images.read_image(path) for path in (photo, painting))
    params = weights.load()
    settings = objective | {"size": chosen.size, "init": start}
    settings |= {name: getattr(chosen, name) for name in ("scales", "history") if getattr(chosen, name)}

    def in_file(name: str) -> float:
        image = images.read_image(photo.with_name(name))
        return float(evaluate(image, content, style, params=params, **objective).total)

    def reached(evaluations: int) -> bool:
        made = stylize(content, style, params=params, evaluations=evaluations, **settings)
        images.write_image(photo.with_name("tried.png"), made.image)
        return in_file("tried.png") <= aim

    def ours_run(evaluations: int) -> tuple[float, float]:
        options = [text for name, value in settings.items() for text in (f"--{name}", value)]
        command = [*OURS, "stylize", photo, painting, "-o", photo.with_name("ours.png"), *options]
        command += ["--evaluations", evaluations, "--json", "--quiet"]
        seconds, out = _timed(command, photo.with_name("cache"))
        return seconds, json.loads(out)["total"]

    first, peer_reports = peer_run()
    aim = in_file("peer.png")
    found = {"peer's file": aim, "peer reports": peer_reports}
    needed = _fewest(reached, 2 * chosen.evaluations)
    if needed is None:
        return found | {"not reached after": 2 * chosen.evaluations}
    cold, we_report = ours_run(needed)
    theirs, ours = [first], []
    for number in range(chosen.runs):
        ours.append(ours_run(needed)[0])
        if number < chosen.runs - 1:
            theirs.append(peer_run()[0])
    return found | {
        "our file": in_file("ours.png"),
        "we report": we_report,
        "evaluations": needed,
        "peer s": spread(theirs, 1),
        "ours s": spread(ours, 1),
        "ours, cold s": round(cold, 1),
        "peer / ours": _ratio(theirs, ours),
    }


def _fewest(reached: Callable[[int], bool], most: int) -> int | None:
    """Evaluations with which it is reached, at most 4% more than some with which it is not; None if `most` do not."""
    short, enough = 0, min(FIRST_TRIED, most)
    while not reached(enough):
        if enough == most:
            return None
        short, enough = enough, min(2 * enough, most)
    while enough - short > max(1, enough // 25):
        between = (short + enough) // 2
        short, enough = (short, between) if reached(between) else (between, enough)
    return enough


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

    return _compare(photo, painting, chosen, run, {"convention": "pastiche", "pool": "avg"}, "content")


def _noise(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    case = photo.with_name("case.npz")
    content, style = (images.read_image(path) for path in (photo, painting))
    noise = np.asarray(white_noise(0, *content.shape[:2]))  # what `nst-jax stylize` starts from
    write_case(case, weights.load(), photo=content, painting=style, noise=noise)

    def run() -> tuple[float, float]:
        before = time.perf_counter()
        loss = child(peer, "torch_peer.picture", str(case), chosen.evaluations, str(photo.with_name("peer.png")))
        return time.perf_counter() - before, loss

    return _compare(photo, painting, chosen, run, {"pool": "avg"}, "noise")


def _sweep(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    figure = [*OURS, "figure", 3, "--content", photo, "--style", painting, "--size", chosen.size, "--quiet"]
    with tempfile.TemporaryDirectory() as cache:
        command = [*figure, "--evaluations", chosen.evaluations, "-o"]
        command_of_peer = _pastiche_command(peer, photo, painting, chosen.size, chosen.evaluations)
        processes = ["--on", "processes"]
        for name, on in (("whole", []), ("processes", processes)):  # compiles
            _timed([*figure, *on, "--evaluations", 1, "-o", photo.with_name(f"warm {name}")], Path(cache))
        theirs, ours, shared = [], [], []
        for number in range(chosen.runs):
            theirs.append(20 * _timed(command_of_peer)[0])
            ours.append(_timed([*command, photo.with_name(f"whole{number}")], Path(cache))[0])
            shared.append(_timed([*command, photo.with_name(f"processes{number}"), *processes], Path(cache))[0])
    return {
        "evaluations": chosen.evaluations,
        "20 runs of the peer s": spread(theirs, 1),
        "ours s": spread(ours, 1),
        "ours, --on processes s": spread(shared, 1),
        "peer / ours": _ratio(theirs, ours),
        "peer / ours, --on processes": _ratio(theirs, shared),
    }


def _whole(command: list, cache: Path) -> float:
    return _timed(command, cache)[0]


if __name__ == "__main__":
    sys.exit(main())
