"""How equation 7 curves by spatial frequency and color: `python scripts/curvature.py [--content IMAGE --style IMAGE]`.

Runs L-BFGS from white noise, on three shipped pairs of pictures unless others are given, and sees by how much the
gradient changes along each accepted step. In each band of frequencies the 3x3 matrix H is fitted to y = H s, with s and
y in luminance and two opponent colors; told are its diagonals, relative to their median, in the geometric mean of the
pairs. That is the table in docs/speed.md.
"""

import argparse
import itertools
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from benchmark_peers import PAIRS, SAMPLES

from nst_jax.loss import objective
from nst_jax.network import vgg
from nst_jax.optim import compiler
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER as OPTIMIZER
from nst_jax.pictures import images, start
from nst_jax.weights import weights

OPPONENTS = np.array([[1, 1, 1], [1, -2, 1], [1, 0, -1]]) / np.sqrt([[3], [6], [2]])  # orthonormal, of red, green, blue
EDGES = (0, 0.012, 0.025, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.36, 0.42, 0.5, 0.72)  # cycles per pixel
FIRST = 50  # accepted steps are counted from here on: before, all is noise still


def main() -> int:
    """Prints a row for each band: its middle, then luminance, magenta-green and red-blue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, help="photograph")
    parser.add_argument("--style", type=Path, help="painting")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    chosen = parser.parse_args()
    pairs = [(chosen.content, chosen.style)] if chosen.content else [(SAMPLES / a, SAMPLES / b) for a, b in PAIRS]
    tables = [np.log(_curvatures(*_path(content, style, chosen.size, chosen.steps))) for content, style in pairs]
    for low, high, row in zip(EDGES[:-1], EDGES[1:], np.exp(np.mean(tables, 0)), strict=True):
        print(f"({(low + high) / 2:.3f}, {', '.join(f'{value:.3f}' for value in row)}),")
    return 0


def _path(content: Path, style: Path, size: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The images and gradients of the accepted steps, [steps, height, width, 3] each."""
    photo, painting = (images.read_image(path, size=size) for path in (content, style))
    params = weights.load()
    targets = objective.Targets(
        objective.content_targets(params, photo[None]), objective.style_targets(params, painting[None])
    )
    params = jax.device_put(vgg.prepare(params, [objective.CONTENT_LAYER, *objective.STYLE_LAYERS]))
    goal = objective.Objective(params, targets, objective.loss_weights())

    @partial(jax.jit, donate_argnums=1, compiler_options=compiler.options())
    def step(goal, state):
        def total(image):
            terms = goal(image)
            return jnp.sum(terms.total), terms.total

        gradient, values = jax.grad(total, has_aux=True)(OPTIMIZER.ask(state))
        return OPTIMIZER.tell(state, values, gradient)

    state = OPTIMIZER.init(start.white_noise(0, *photo.shape[:2])[None])
    found, gradients = [], []
    for _ in range(steps):
        state = step(goal, state)
        if state.accepted[0]:
            found.append(np.asarray(state.image[0], np.float64))
            gradients.append(np.asarray(state.gradient[0], np.float64))
    return np.stack(found[FIRST:]), np.stack(gradients[FIRST:])


def _curvatures(path: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """[bands, 3], relative to the median."""
    s, y = (np.diff(x, axis=0) @ OPPONENTS.T for x in (path, gradients))
    length = np.sqrt(np.sum(s**2, (1, 2, 3), keepdims=True))  # late steps are short and count as much
    s, y = (np.fft.rfft2(x / length, axes=(1, 2)) for x in (s, y))
    height, width = path.shape[1:3]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    rows = []
    for low, high in itertools.pairwise(EDGES):
        band = (frequency >= low) & (frequency < high)
        u, v = s[:, band].reshape(-1, 3), y[:, band].reshape(-1, 3)
        fitted = np.linalg.solve((u.conj().T @ u).real, (u.conj().T @ v).real)
        rows.append(np.diag(fitted))
    table = np.array(rows)
    return table / np.median(table)


if __name__ == "__main__":
    sys.exit(main())
