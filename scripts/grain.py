"""How much pixel grain pictures keep, by start and setting: `python scripts/grain.py [-o FOLDER]`.

Grain is the share of the luminance's variance at spatial frequencies above 0.35 cycles a pixel, a checkerboard what of
it lies above 0.4 along both axes at once; both are given for the photograph and the painting too. Each variant is
optimized for equation 7 from the same seed. With -o the pictures are kept, to be looked at.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from nst_jax.measures.structure import luminance
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER, Optimizer, minimize
from nst_jax.optim.spectrum import FrequencyShaping
from nst_jax.pictures import images, start
from nst_jax.transfer import figures
from nst_jax.transfer.assemble import objective_at, optimizer_of
from nst_jax.transfer.lanes import ROWS
from nst_jax.transfer.scales import Scale, enlarged, pyramid
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def main() -> int:
    """Makes the pictures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, default=figures.PHOTOGRAPH)
    parser.add_argument("--style", type=Path, default=figures.PAINTINGS[0])
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("-o", "--output", type=Path, help="folder for the pictures")
    chosen = parser.parse_args()
    photo = images.read_image(chosen.content, size=chosen.size)
    painting = images.read_image(chosen.style, size=chosen.size)
    print("| | total loss | grain, % | checkerboard, % |\n|---|---|---|---|")
    for name, picture in (("photograph", photo), ("painting", painting)):
        _tell(name, "", picture)
    if chosen.output:
        chosen.output.mkdir(parents=True, exist_ok=True)
    base = Settings(size=chosen.size, steps=chosen.steps, ratio=1e-3)
    params = weights.load()
    for name, settings, optimizer, scales, size in _variants(base):
        here, there = (photo, painting) if size is None else (_brought(photo, size), _brought(painting, size))
        loss, picture = _make(params, here, there, settings, optimizer or optimizer_of(settings), scales)
        _tell(name, f"{loss:.4g}", picture)
        if chosen.output:
            images.write_image(chosen.output / f"{name.replace(' ', '_').replace(',', '')}.png", picture)
    return 0


def _brought(picture: np.ndarray, size: Callable[[np.ndarray], tuple[int, int]]) -> np.ndarray:
    height, width = size(picture)
    return images.resize(picture, height, width)


def _variants(base: Settings):
    """Names, settings, optimizer unless it is the settings', scales, and from a picture to its size, if another."""
    row_a = replace(base, style_layers=ROWS["A"], ratio=1e-4)
    for noise in (50.0, 10.0, 1.0, 0.01):
        yield f"noise of standard deviation {noise:g}", replace(base, noise=noise), None, 1, None
    yield "gradient not shaped", base, LBFGS(history=base.history), 1, None
    yield "gradient shaped by f^-1.5", base, replace(DEFAULT_OPTIMIZER, precondition=FrequencyShaping(1.5)), 1, None
    yield "three scales", base, None, 3, None
    yield "maximum pooling", replace(base, pool="max"), None, 1, None
    yield "odd sides", base, None, 1, lambda picture: (picture.shape[0] - 1, picture.shape[1] - 1)
    yield "total variation 0.01", replace(base, tv=0.01), None, 1, None
    yield "row A", row_a, None, 1, None
    yield "row A, three scales", row_a, None, 3, None
    yield "row A, noise 0.01", replace(row_a, noise=0.01), None, 1, None


def _make(
    params: object, photo: np.ndarray, painting: np.ndarray, settings: Settings, optimizer: Optimizer, count: int
) -> tuple[float, np.ndarray]:
    height, width = photo.shape[:2]
    scales = pyramid(height, width, settings.steps, count)
    picture: np.ndarray | None = None
    loss = np.nan
    for scale in scales:
        goal = objective_at(scale, scales[-1], params, photo, [painting], settings)
        begin = _start(scale, picture, photo, settings)
        result = minimize(goal, jnp.asarray(begin[None]), optimizer=optimizer, steps=scale.steps)
        picture, loss = np.asarray(result.images[0]), float(result.losses.total[0])
    assert picture is not None
    return loss, picture


def _start(scale: Scale, picture: np.ndarray | None, photo: np.ndarray, settings: Settings) -> np.ndarray:
    if picture is None:
        return np.asarray(start.white_noise(settings.seed, scale.height, scale.width, settings.noise))
    return enlarged(picture, images.resize(photo, scale.height, scale.width))


def _tell(name: str, loss: str, picture: np.ndarray) -> None:
    brightness = luminance(np.clip(picture, 0, 1))
    power = np.abs(np.fft.fft2(brightness - brightness.mean())) ** 2
    down, across = (np.abs(np.fft.fftfreq(side)) for side in brightness.shape)
    fine = np.hypot(down[:, None], across) > 0.35
    checkered = (down[:, None] > 0.4) & (across > 0.4)
    shares = (100 * power[where].sum() / power.sum() for where in (fine, checkered))
    print(f"| {name} | {loss} | {' | '.join(f'{share:.3f}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
