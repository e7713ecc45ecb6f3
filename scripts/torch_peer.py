"""Equation 7 with VGG-19 in PyTorch: the peer that benchmarks compare with, in a Python that has torch.

`benchmarking.child` runs its functions: `evaluation` for benchmark.py and benchmark_memory.py, `gradients` for
benchmark_gradient.py, `picture` for benchmark_peers.py. Layers and weights are the package's, whose tables need no
JAX.
"""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from benchmarking import peak_mb
from PIL import Image
from torch.nn.functional import avg_pool2d, conv2d  # pyright: ignore[reportMissingImports]

from nst_jax.loss.conventions import CONVENTIONS, PAPER
from nst_jax.network.layers import CONTENT_LAYER, CONVOLUTIONS, LAYERS, STYLE_LAYERS

WANTED = (CONTENT_LAYER, *STYLE_LAYERS)
USED = LAYERS[: 1 + max(map(LAYERS.index, WANTED))]
# As float32 has them, so that float64 computes the same function.
ALPHA, SHARE = (float(np.float32(x)) for x in (CONVENTIONS[PAPER].alpha, 1 / len(STYLE_LAYERS)))


def features(params: dict, x: Any, layers: tuple[str, ...] = WANTED, signs: dict | None = None) -> dict:
    """Activations of inputs [1, 3, height, width]; where `signs` has what is positive, ReLUs pass just that."""
    found = {}
    for name in USED:
        if name not in CONVOLUTIONS:
            x = avg_pool2d(x, 2)
            continue
        x = conv2d(x, params[f"{name}/kernel"], params[f"{name}/bias"], padding=1)
        x = torch.where(signs[name], x, 0) if signs else x.relu()
        if name in layers:
            found[name] = x
    return found


def entering(params: dict, image: Any) -> Any:
    """An image [height, width, 3], 0..1, as the network's input."""
    return ((255 * image - params["mean"]) * params["scale"]).permute(2, 0, 1)[None].contiguous()


def gram(x: Any) -> Any:
    """Per position."""
    x = x.flatten(2)[0]
    return x @ x.T / x.shape[1]


class Equation7:
    """The loss of a network's input, or of its activations."""

    def __init__(self, params: dict, photo: Any, painting: Any) -> None:
        """Takes inputs of the network."""
        self.params = params
        with torch.no_grad():
            self.content = features(params, photo, (CONTENT_LAYER,))[CONTENT_LAYER]
            self.styles = {name: gram(x) for name, x in features(params, painting, STYLE_LAYERS).items()}

    def __call__(self, x: Any) -> Any:
        """Of an input."""
        return self.of(features(self.params, x))

    def of(self, found: dict) -> Any:
        """Of activations."""
        loss = ALPHA / 2 * ((found[CONTENT_LAYER] - self.content) ** 2).sum()
        for name, wanted in self.styles.items():
            loss = loss + SHARE / (4 * len(wanted) ** 2) * ((gram(found[name]) - wanted) ** 2).sum()
        return loss


def evaluation(size: int, tf32: bool | None = None) -> dict:
    """Peak memory, and seconds of loss and gradient; parameters are random, whose values make no difference to them.

    On the first GPU if there is one, whose own memory counts then; there `tf32` says whether products may be rounded to
    TensorFloat-32, and None is what PyTorch does by itself: convolutions are, other products are not.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if tf32 is not None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    random, params = np.random.default_rng(0), {}
    for name, (incoming, outgoing) in CONVOLUTIONS.items():
        if name in USED:
            kernel = random.standard_normal((outgoing, incoming, 3, 3), np.float32) * (2 / (9 * incoming)) ** 0.5
            bias = torch.zeros(outgoing, device=device)
            params |= {f"{name}/kernel": torch.from_numpy(kernel).to(device), f"{name}/bias": bias}
    photo, painting, image = (
        torch.from_numpy((random.random((1, 3, size, size), np.float32) - 0.5) * 255).to(device) for _ in range(3)
    )
    goal = Equation7(params, photo, painting)
    image.requires_grad_()
    times, count = [], 2 if device == "cpu" else 50
    for _ in range(1 + count):
        image.grad = None
        if device == "cuda":
            torch.cuda.synchronize()
        before = time.perf_counter()
        goal(image).backward()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - before)
    peak = peak_mb() if device == "cpu" else round(torch.cuda.max_memory_allocated() / 1e6)
    return {"peak MB": peak, "s/evaluation": sum(times[1:]) / count}


def read(path: str | Path) -> dict:
    """What `benchmarking.write_case` wrote."""
    with np.load(path) as file:
        arrays = {name: x.transpose(3, 2, 0, 1) if name.endswith("/kernel") else x for name, x in file.items()}
    return {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in arrays.items()}


def goal_of(case: dict) -> Equation7:
    """That of a case's photograph and painting."""
    return Equation7(case, *(entering(case, case[name]) for name in ("photo", "painting")))


def gradients(case: str, files: dict[str, str]) -> list[dict]:
    """How far gradients are from PyTorch's in float64: those in `files`, by the way they were made, and PyTorch's."""
    torch.set_num_threads(1)  # several wait for each other where the machine has other work: minutes instead of seconds

    def slope(goal: Equation7, at: str, signs: dict | None = None) -> tuple[Any, dict]:
        """The gradient, and which activations are positive."""
        image = goal.params[f"image/{at}"].clone().requires_grad_()
        found = features(goal.params, entering(goal.params, image), USED, signs)
        return torch.autograd.grad(goal.of(found), image)[0].double(), {name: x > 0 for name, x in found.items()}

    single = read(case)
    double = {name: x.double() for name, x in single.items()}
    goals, rows = (goal_of(single), goal_of(double)), []
    ours = {way: read(path) for way, path in files.items()}
    for at in (name.removeprefix("image/") for name in single if name.startswith("image/")):
        have = {way: found[f"gradient/{at}"].double() for way, found in ours.items()}
        signs = {way: {name: found.get(f"{at}/{name}") for name in USED} for way, found in ours.items()}
        have["torch"], signs["torch"] = slope(goals[0], at)
        exact, true = slope(goals[1], at)
        error = {way: float((x - exact).norm() / exact.norm()) for way, x in have.items()}
        row = {"picture": at, "float64": error.pop("float64", "")}
        row |= error | {"winograd / torch": error["winograd"] / error["torch"]}
        for way in error:
            row[f"{way} rounding"] = float((have[way] - slope(goals[1], at, signs[way])[0]).norm() / exact.norm())
            row[f"{way} flips"] = sum(int((x != signs[way][name]).sum()) for name, x in true.items())
        rows.append(row)
    return rows


def picture(case: str, evaluations: int, output: str) -> float:
    """The lowest loss that torch.optim.LBFGS with strong Wolfe finds, from a case's noise, in so many evaluations.

    The picture that has it is written as 8 bits.
    """
    params = read(case)
    goal, image = goal_of(params), entering(params, params["noise"]).requires_grad_()
    lowest, best = math.inf, image.detach()
    optimizer = torch.optim.LBFGS(
        [image], max_iter=evaluations, max_eval=evaluations, tolerance_grad=0, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Any:
        optimizer.zero_grad()
        nonlocal lowest, best
        loss = goal(image)
        loss.backward()
        if loss.item() < lowest:
            lowest, best = loss.item(), image.detach().clone()
        return loss

    optimizer.step(closure)
    levels = best[0].permute(1, 2, 0) / params["scale"] + params["mean"]
    Image.fromarray(levels.clamp(0, 255).round().byte().numpy()).save(output)
    return lowest
