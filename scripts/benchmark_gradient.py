"""How exact gradients are, and what of it shows: `python scripts/benchmark_gradient.py [--pictures -o folder]`.

Relative L2 errors of the gradient of equation 7 (α = 1e-3, β = 1) with respect to the picture, in float32 against
PyTorch's in float64: of ours (Winograd's convolutions), of ours with `lax.conv` throughout (plain), and of PyTorch. At
three pictures: the photograph with a little noise (deviation 1 of 255), white noise, and the mean of the two. Each
computes its targets in its own precision. "rounding" is against a float64 gradient whose ReLUs pass what those of the
float32 run passed; the rest comes from "flips": activations so near to zero that rounding changes their sign, and with
it the ReLU's derivative. "float64" is ours in float64: both compute the same function.

--pictures minimizes from one white noise with Winograd's convolutions, with plain ones, and with plain ones from a
start that was changed by 1e-6 of itself, and writes the pictures: losses, and rms differences in 8-bit levels.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
from benchmarking import PAIRS, child, peers_python, write_case

from nst_jax import loss
from nst_jax.loss.objective import Objective
from nst_jax.network import conv, vgg
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS
from nst_jax.optim import compiler
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise
from nst_jax.transfer.minimizing import minimize
from nst_jax.weights import weights

WAYS = ("winograd", "plain", "float64")


def main() -> int:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path(".peers"), help="virtual environment with torch")
    parser.add_argument("--sizes", default="128,256", help="longest sides in pixels; --pictures takes the first")
    parser.add_argument("--pictures", action="store_true", help="compare minimized pictures of the first pair instead")
    parser.add_argument("--evaluations", type=int, default=150, help="of loss and gradient, for --pictures")
    parser.add_argument("-o", "--output", type=Path, default=Path("pictures"), help="folder for --pictures")
    chosen = parser.parse_args()
    cases = [(int(size), *map(str, pair)) for size in chosen.sizes.split(",") for pair in PAIRS]
    if chosen.pictures:
        chosen.output.mkdir(parents=True, exist_ok=True)
        rows = [
            child(
                sys.executable, "benchmark_gradient.minimized", str(chosen.output), cases[0], chosen.evaluations, *run
            )
            for run in (("winograd", 0.0), ("plain", 0.0), ("plain", 1e-6))
        ]
        pixels = [np.array(row.pop("image")) for row in rows]
        for row, picture in zip(rows, pixels, strict=True):
            row["rms to plain"] = float(np.sqrt(np.mean((picture - pixels[1]) ** 2)))
    else:
        rows = _errors(cases, peers_python(chosen.peers))
    for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)):
        print("|", " | ".join(f"{cell:.2g}" if isinstance(cell, float) else str(cell) for cell in cells), "|")
    return 0


def _errors(cases: list, peer: Path) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            exact = str(int(way == "float64"))
            child(sys.executable, "benchmark_gradient.gradients", folder, way, cases, JAX_ENABLE_X64=exact)
        for number, (size, *pair) in enumerate(cases):
            files = {way: str(path) for way in WAYS if (path := Path(folder, f"{number}-{way}.npz")).exists()}
            about = {"px": size, "pair": " + ".join(Path(name).stem for name in pair)}
            rows += [about | row for row in child(peer, "torch_peer.gradients", f"{folder}/{number}.npz", files)]
    return rows


def _goal(way: str, size: int, *pair: str):
    """Both pictures, white noise, and equation 7; a way that is "plain" holds for the rest of the process."""
    if way == "plain":
        conv._few_channels, conv._direct = lambda kernel: True, conv._lax_conv
    dtype = np.float64 if way == "float64" else np.float32
    photo, painting = (images.read_image(Path(name), size=size).astype(dtype) for name in pair)
    with jax.enable_x64(False):  # the same noise in both precisions
        noise = np.asarray(white_noise(0, *photo.shape[:2]))
    layers = (CONTENT_LAYER, *STYLE_LAYERS)
    params = vgg.prepare(jax.tree.map(lambda x: np.asarray(x, dtype), weights.load()), layers)
    content = loss.content_targets(params, photo[None])
    targets = loss.Targets(content, loss.style_targets(params, painting[None]))
    loss_weights = jax.tree.map(lambda x: x.astype(dtype), loss.loss_weights())
    return photo, painting, noise, Objective(params, targets, loss_weights)


def gradients(folder: str, way: str, cases: list) -> None:
    """Writes gradients and which activations are positive, a file for each case, and for one way the cases too."""
    slope = jax.jit(jax.grad(lambda x, goal: goal(x).total.sum()), compiler_options=compiler.options("cpu"))
    features = jax.jit(vgg.features, static_argnums=2, compiler_options=compiler.options("cpu"))
    for number, case in enumerate(cases[:1] if way == "float64" else cases):  # a function that agrees once always does
        photo, painting, noise, goal = _goal(way, *case)
        grain = np.random.default_rng(0).normal(0, 1 / 255, photo.shape)
        points = {"photograph": photo + grain, "white noise": noise, "mean": (photo + noise) / 2}
        points, kept = {at: image.astype(np.float32) for at, image in points.items()}, {}
        for at, image in points.items():
            x = image[None].astype(photo.dtype)
            kept[f"gradient/{at}"] = slope(x, goal)[0]
            for layer, activation in features(goal.params, x, tuple(goal.params["params"])).items():
                kept[f"{at}/{layer}"] = np.moveaxis(np.asarray(activation) > 0, -1, 1)
        np.savez(f"{folder}/{number}-{way}.npz", **kept)
        if way == WAYS[0]:
            pictures = {f"image/{at}": image for at, image in points.items()}
            write_case(Path(folder, f"{number}.npz"), weights.load(), photo=photo, painting=painting, **pictures)


def minimized(folder: str, case: list, evaluations: int, way: str, change: float) -> dict:
    """Minimizes from white noise, changed by so much of itself, and writes the picture."""
    noise, goal = _goal(way, *case)[2:]
    noise = noise * np.random.default_rng(0).normal(1, change, noise.shape).astype(np.float32)
    result = minimize(goal, noise[None], evaluations=evaluations)
    image = np.asarray(result.images[0])
    images.write_image(Path(folder, f"{way}-{change:g}.png"), image)
    row = {"convolutions": way, "start changed by": f"{change:g}", "loss": f"{result.losses.total[0]:.6g}"}
    return row | {"image": (255 * np.clip(image, 0, 1)).tolist()}


if __name__ == "__main__":
    sys.exit(main())
