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
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from benchmark_memory import CONTENT, STYLES
from benchmark_peers import PAIRS, SAMPLES, peers_python


def main() -> int:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path(".peers"), help="virtual environment with torch")
    parser.add_argument("--sizes", default="128,256", help="longest sides in pixels; --pictures takes the first")
    parser.add_argument("--pictures", action="store_true", help="compare minimized pictures of the first pair instead")
    parser.add_argument("--steps", type=int, default=150, help="evaluations of --pictures")
    parser.add_argument("-o", "--output", type=Path, default=Path("pictures"), help="folder for --pictures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        name, *arguments = json.loads(chosen.child)
        print(json.dumps({"ours": _ours, "torch": _torch, "minimized": _minimized}[name](*arguments)))
        return 0
    cases = [(int(size), *pair) for size in chosen.sizes.split(",") for pair in PAIRS]
    if chosen.pictures:
        chosen.output.mkdir(parents=True, exist_ok=True)
        asked = (sys.executable, "minimized", str(chosen.output), cases[0], chosen.steps)
        rows = [_child(*asked, *run)[0] for run in (("winograd", 0.0), ("plain", 0.0), ("plain", 1e-6))]
        pixels = [np.array(row.pop("image")) for row in rows]
        for row, picture in zip(rows, pixels, strict=True):
            row["rms to plain"] = float(np.sqrt(np.mean((picture - pixels[1]) ** 2)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            for way in ("winograd", "plain", "float64"):
                _child(sys.executable, "ours", folder, way, cases, JAX_ENABLE_X64=str(int(way == "float64")))
            rows = _child(peers_python(chosen.peers), "torch", folder, cases)
    for cells in (rows[0], ["---"] * len(rows[0]), *(row.values() for row in rows)):
        print("|", " | ".join(f"{cell:.2g}" if isinstance(cell, float) else str(cell) for cell in cells), "|")
    return 0


def _child(python: str | Path, *arguments: object, **environment: str) -> list[dict]:
    command = [python, __file__, "--child", json.dumps(arguments)]
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _goal(way: str, size: int, *pair: str):
    """Both pictures, white noise, and equation 7; a way that is "plain" holds for the rest of the process."""
    import jax  # noqa: PLC0415 (which the peer's Python has not)

    from nst_jax.loss import objective  # noqa: PLC0415
    from nst_jax.network import conv, vgg  # noqa: PLC0415
    from nst_jax.pictures import images, start  # noqa: PLC0415
    from nst_jax.weights import weights  # noqa: PLC0415

    if way == "plain":
        conv._winograd_pays, conv._direct = lambda kernel: False, conv._lax_conv
    dtype = np.float64 if way == "float64" else np.float32
    photo, painting = (images.read_image(SAMPLES / name, size=size).astype(dtype) for name in pair)
    with jax.enable_x64(False):  # the same noise in both precisions
        noise = np.asarray(start.white_noise(0, *photo.shape[:2]))
    params = vgg.prepare(jax.tree.map(lambda x: np.asarray(x, dtype), weights.load()), (CONTENT, *STYLES))
    content = objective.content_targets(params, photo[None])
    targets = objective.Targets(content, objective.style_targets(params, painting[None]))
    loss_weights = jax.tree.map(lambda x: x.astype(dtype), objective.loss_weights())
    return photo, painting, noise, objective.Objective(params, targets, loss_weights)


def _ours(folder: str, way: str, cases: list) -> list:
    """Writes a file for each case: all that went in, the gradients, and which activations are positive."""
    import jax  # noqa: PLC0415

    from nst_jax.network import vgg  # noqa: PLC0415
    from nst_jax.optim import compiler  # noqa: PLC0415

    slope = jax.jit(jax.grad(lambda x, goal: goal(x).total.sum()), compiler_options=compiler.options())
    features = jax.jit(vgg.features, static_argnums=2, compiler_options=compiler.options())
    for number, case in enumerate(cases[:1] if way == "float64" else cases):  # a function that agrees once always does
        photo, painting, noise, goal = _goal(way, *case)
        grain = np.random.default_rng(0).normal(0, 1 / 255, photo.shape)
        layers, shares = goal.params["params"], goal.loss_weights.style_layers
        kept = {"photo": photo, "painting": painting, **goal.params["preprocessing"]}
        kept |= {f"{layer}/{part}": x for layer, parts in layers.items() for part, x in parts.items()}
        kept["weights"] = np.array([goal.loss_weights.alpha[0], shares[STYLES[0]][0]])
        for at, image in {"photograph": photo + grain, "white noise": noise, "mean": (photo + noise) / 2}.items():
            x = kept[f"image/{at}"] = image.astype(np.float32).astype(photo.dtype)
            kept[f"gradient/{at}"] = slope(x[None], goal)[0]
            for layer, activation in features(goal.params, x[None], tuple(layers)).items():
                kept[f"{at}/{layer}"] = np.moveaxis(np.asarray(activation) > 0, -1, 1)
        np.savez(f"{folder}/{number}-{way}.npz", **kept)
    return []


def _torch(folder: str, cases: list) -> list[dict]:
    import torch  # noqa: PLC0415 # pyright: ignore[reportMissingImports]
    from torch.nn.functional import avg_pool2d, conv2d  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)  # several wait for each other where the machine has other work: minutes instead of seconds

    def features(given, x, signs=None):
        """Activations; where `signs` has what is positive, ReLUs pass just that."""
        x, found = ((255 * x - given["mean"]) * given["scale"]).permute(2, 0, 1)[None], {}
        for name in sorted(name[:-7] for name in given if name.endswith("/kernel")):
            x = avg_pool2d(x, 2) if name.endswith("_1") and name != "conv1_1" else x
            x = conv2d(x, given[f"{name}/kernel"].permute(3, 2, 0, 1), given[f"{name}/bias"], padding=1)
            found[name] = x = torch.where(signs[name], x, 0) if signs else x.relu()
        return found

    def style(x):
        return x.flatten(2)[0] @ x.flatten(2)[0].T / x[0, 0].numel() / (2 * x.shape[1])

    def slope(given, at, signs=None):
        """The gradient, and which activations are positive."""
        image = given[f"image/{at}"].clone().requires_grad_()
        found, (alpha, share) = features(given, image, signs), given["weights"].tolist()
        loss = alpha * 0.5 * ((found[CONTENT] - given["content"]) ** 2).sum()
        loss = loss + share * sum(((style(found[layer]) - given["styles"][layer]) ** 2).sum() for layer in STYLES)
        return torch.autograd.grad(loss, image)[0].double(), {layer: x > 0 for layer, x in found.items()}

    rows = []
    for number, (size, *pair) in enumerate(cases):
        files = {path.stem.split("-")[1]: np.load(path) for path in sorted(Path(folder).glob(f"{number}-*.npz"))[::-1]}
        ours = {way: {name: torch.from_numpy(x) for name, x in file.items()} for way, file in files.items()}
        single = {name: x for name, x in ours["winograd"].items() if x.is_floating_point()}
        double = {name: x.double() for name, x in single.items()}
        for given in (single, double):
            given["content"] = features(given, given["photo"])[CONTENT]
            given["styles"] = {layer: style(x) for layer, x in features(given, given["painting"]).items()}
        for at in ("photograph", "white noise", "mean"):
            signs = {way: {layer: found[f"{at}/{layer}"] for layer in single["styles"]} for way, found in ours.items()}
            have = {way: found[f"gradient/{at}"].double() for way, found in ours.items()}
            have["torch"], signs["torch"] = slope(single, at)
            exact, true = slope(double, at)
            error = {way: float((x - exact).norm() / exact.norm()) for way, x in have.items()}
            row = {"picture": at, "px": size, "pair": " + ".join(pair), "float64": error.pop("float64", "")}
            row |= error | {"winograd / torch": error["winograd"] / error["torch"]}
            for way in error:
                row[f"{way} rounding"] = float((have[way] - slope(double, at, signs[way])[0]).norm() / exact.norm())
                row[f"{way} flips"] = sum(int((true[layer] != x).sum()) for layer, x in signs[way].items())
            rows.append(row)
    return rows


def _minimized(folder: str, case: list, steps: int, way: str, change: float) -> list[dict]:
    import jax.numpy as jnp  # noqa: PLC0415

    from nst_jax.optim import minimize  # noqa: PLC0415
    from nst_jax.pictures import images  # noqa: PLC0415

    noise, goal = _goal(way, *case)[2:]
    noise = noise * np.random.default_rng(0).normal(1, change, noise.shape).astype(np.float32)
    result = minimize.minimize(goal, jnp.asarray(noise)[None], steps=steps)
    images.write_image(f"{folder}/{way}-{change:g}.png", image := np.asarray(result.images[0]))
    row = {"convolutions": way, "start changed by": f"{change:g}", "loss": f"{result.losses.total[0]:.6g}"}
    return [row | {"image": (255 * np.clip(image, 0, 1)).tolist()}]


if __name__ == "__main__":
    sys.exit(main())
