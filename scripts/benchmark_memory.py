"""Peak memory and time of equation 7 with its gradient, by size: this package against PyTorch, whole and in strips.

    python scripts/benchmark_memory.py [--sizes 256,512,1024] [--strips rows] [--peer PYTHON] [-o results.json]

Each figure is the peak resident memory (ru_maxrss) of a process of its own, which reads or makes its pictures and
parameters, computes the targets, and evaluates: conv1_1 to conv5_1 and conv4_2, average pooling. "evaluation" is loss
and gradient, "optimizer" L-BFGS around them. The peer is a Python that has PyTorch (--peer or NST_JAX_PEER_PYTHON).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (1, 512))
STYLES = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT = "conv4_2"


def main() -> int:
    """Measures, prints a line for each process, and writes JSON when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512,1024", help="sides of square pictures")
    parser.add_argument("--peer", default=os.environ.get("NST_JAX_PEER_PYTHON"), help="a Python with PyTorch")
    parser.add_argument("--kinds", default="evaluation,optimizer", help="what to measure of ours")
    parser.add_argument("--cuts", default="0x0,64x1,64x2,32x4", help="rows of a strip x segments cut; 0x0 is whole")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        kind, size, *cut = json.loads(chosen.child)
        seconds = _peer(size) if kind == "peer" else _ours(kind, size, *cut)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(json.dumps({"peak MB": round(peak), "s/evaluation": round(seconds, 3)}))
        return 0
    rows = []
    for size in map(int, chosen.sizes.split(",")):
        if chosen.peer:
            rows.append(measured(chosen.peer, "peer", size))
        for kind in chosen.kinds.split(","):
            for cut in chosen.cuts.split(","):
                rows.append(measured(sys.executable, kind, size, *map(int, cut.split("x"))))
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def measured(python: str, *arguments: object) -> dict:
    """Peak and seconds of a process of its own; prints them too."""
    command = [python, __file__, "--child", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = json.loads(done.stdout) if done.returncode == 0 else {"failed": done.returncode}
    row = dict(zip(("kind", "size", "rows", "segments"), arguments, strict=False)) | found
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def _ours(kind: str, size: int, rows: int, segments: int) -> float:
    import jax  # noqa: PLC0415 (only in the measured process)
    import jax.numpy as jnp  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from nst_jax.loss import objective, strips  # noqa: PLC0415
    from nst_jax.network import vgg  # noqa: PLC0415
    from nst_jax.optim import compiler, minimize  # noqa: PLC0415
    from nst_jax.weights import weights  # noqa: PLC0415

    random = np.random.default_rng(0)
    photo, painting, image = (random.uniform(size=(1, size, size, 3)).astype(np.float32) for _ in range(3))
    params = weights.load()
    targets = objective.Targets(objective.content_targets(params, photo), objective.style_targets(params, painting))
    params = jax.device_put(vgg.prepare(params, [objective.CONTENT_LAYER, *objective.STYLE_LAYERS]))
    goal = objective.Objective(
        params, targets, objective.loss_weights(), strips=strips.by_rows(size, rows or 1, segments)
    )
    if kind == "optimizer":
        times: list[float] = []
        minimize.minimize(
            goal, jnp.asarray(image), steps=4, every=1, callback=lambda p: times.append(p.records[-1].seconds)
        )
        return (times[-1] - times[0]) / (len(times) - 1)
    evaluate = jax.jit(jax.value_and_grad(lambda image, goal: jnp.sum(goal(image).total)))
    evaluate = compiler.compiled(evaluate, image, goal)
    jax.block_until_ready(evaluate(image, goal))
    before = time.perf_counter()
    for _ in range(2):
        jax.block_until_ready(evaluate(image, goal))
    return (time.perf_counter() - before) / 2


def _peer(size: int) -> float:
    """The same in PyTorch, with He-normal parameters: their values make no difference to memory."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415 (of the peer's Python) # pyright: ignore[reportMissingImports]
    import torch.nn.functional as F  # noqa: PLC0415 # pyright: ignore[reportMissingImports]

    random = np.random.default_rng(0)
    layers, incoming = [], 3
    for block, (convolutions, channels) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            kernel = random.standard_normal((channels, incoming, 3, 3), np.float32) * (2 / (9 * incoming)) ** 0.5
            layers.append((f"conv{block}_{number}", torch.from_numpy(kernel), torch.zeros(channels)))
            incoming = channels
        layers.append((f"pool{block}", None, None))

    def features(x):
        found = {}
        for name, kernel, bias in layers[:-1]:
            x = F.avg_pool2d(x, 2) if kernel is None else F.relu(F.conv2d(x, kernel, bias, padding=1))
            if name in STYLES or name == CONTENT:
                found[name] = x
        return found

    def style(x):
        x = x.flatten(2)[0]
        return x @ x.T / x.shape[1]

    photo, painting, image = (
        torch.from_numpy((random.random((1, 3, size, size), np.float32) - 0.5) * 255) for _ in range(3)
    )
    with torch.no_grad():
        target = features(photo)[CONTENT]
        styles = {name: style(x) for name, x in features(painting).items() if name in STYLES}
    image.requires_grad_()

    def evaluate() -> None:
        found = features(image)
        loss = 1e-3 * 0.5 * ((found[CONTENT] - target) ** 2).sum()
        for name, wanted in styles.items():
            loss = loss + ((style(found[name]) - wanted) ** 2).sum() / (4 * len(wanted) ** 2 * len(styles))
        image.grad = None
        loss.backward()

    evaluate()
    before = time.perf_counter()
    for _ in range(2):
        evaluate()
    return (time.perf_counter() - before) / 2


if __name__ == "__main__":
    sys.exit(main())
