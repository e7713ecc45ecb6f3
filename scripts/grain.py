"""How much pixel grain pictures keep, by start and setting: `python scripts/grain.py [-o FOLDER]`.

Grain is the share of the luminance's variance at spatial frequencies above 0.35 cycles a pixel, a checkerboard what of
it lies above 0.4 along both axes at once. Color grain is the root mean square, in levels of 255, of red minus green
above 0.35 cycles a pixel. All are given for the photograph and the painting too. Each variant is optimized for
equation 7 from the same seed. With -o the pictures are kept, to be looked at.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from nst_jax.measures.structure import luminance
from nst_jax.network.layers import ROWS
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER, Optimizer
from nst_jax.optim.spectrum import FrequencyShaping
from nst_jax.pictures import images
from nst_jax.transfer import figures
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import stylize
from nst_jax.weights import weights

FINE = 0.35
"""Cycles a pixel, from which structure is grain."""


def main() -> int:
    """Makes the pictures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", type=Path, default=figures.PHOTOGRAPH)
    parser.add_argument("--style", type=Path, default=figures.PAINTINGS[0])
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--evaluations", type=int, default=150, help="of loss and gradient, for each picture")
    parser.add_argument("-o", "--output", type=Path, help="folder for the pictures")
    chosen = parser.parse_args()
    pictures = [images.read_image(path, size=chosen.size) for path in (chosen.content, chosen.style)]
    smaller = [images.resize(picture, picture.shape[0] - 1, picture.shape[1] - 1) for picture in pictures]
    print("| | total loss | grain, % | checkerboard, % | color grain |\n|---|---|---|---|---|")
    for name, picture in zip(("photograph", "painting"), pictures, strict=True):
        _tell(name, "", picture)
    if chosen.output:
        chosen.output.mkdir(parents=True, exist_ok=True)
    base = Settings(size=chosen.size, evaluations=chosen.evaluations, ratio=1e-3, scales=1)
    params = weights.load()
    for name, settings, optimizer in _variants(base):
        photo, painting = pictures if settings.size == base.size else smaller
        made = stylize(photo, painting, settings, optimizer=optimizer, params=params)
        _tell(name, f"{made.losses.total:.4g}", made.image)
        if chosen.output:
            images.write_image(chosen.output / f"{name.replace(' ', '_').replace(',', '')}.png", made.image)
    return 0


def _variants(base: Settings) -> Iterator[tuple[str, Settings, Optimizer | None]]:
    """Names, settings, and the optimizer unless it is the settings'."""
    row_a = replace(base, style_layers=ROWS["A"], ratio=1e-4)
    for noise in (50.0, 10.0, 1.0, 0.01):
        yield f"noise of standard deviation {noise:g}", replace(base, noise=noise), None
    yield "gradient not shaped", base, LBFGS(history=base.history)
    yield "gradient shaped by f^-1.5", base, replace(DEFAULT_OPTIMIZER, precondition=FrequencyShaping(1.5))
    yield "three scales", replace(base, scales=3), None
    yield "no bounds", replace(base, bounds="none"), None
    yield "maximum pooling", replace(base, pool="max"), None
    yield "odd sides", replace(base, size=base.size - 1), None
    yield "total variation 0.01", replace(base, tv=0.01), None
    yield "row A", row_a, None
    yield "row A, three scales", replace(row_a, scales=3), None
    yield "row A, noise 0.01", replace(row_a, noise=0.01), None


def _tell(name: str, loss: str, picture: np.ndarray) -> None:
    told = " | ".join(f"{share:.3f}" for share in grain(picture))
    print(f"| {name} | {loss} | {told} | {color_grain(picture):.1f} |", flush=True)


def grain(picture: np.ndarray) -> tuple[float, float]:
    """Grain and checkerboard of a picture, in %."""
    power, down, across = _spectrum(luminance(np.clip(picture, 0, 1)))
    fine = np.hypot(down, across) > FINE
    checkered = (down > 0.4) & (across > 0.4)
    return 100 * power[fine].sum() / power.sum(), 100 * power[checkered].sum() / power.sum()


def color_grain(picture: np.ndarray) -> float:
    """Color grain of a picture, in levels of 255."""
    red, green, _ = np.moveaxis(np.clip(picture, 0, 1), -1, 0)
    power, down, across = _spectrum(255 * (red - green))
    return float(np.sqrt(power[np.hypot(down, across) > FINE].sum())) / red.size


def _spectrum(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The power of what is not constant, and the frequencies down and across, without their signs."""
    down, across = (np.abs(np.fft.fftfreq(side)) for side in plane.shape)
    return np.abs(np.fft.fft2(plane - plane.mean())) ** 2, down[:, None], across[None]


if __name__ == "__main__":
    sys.exit(main())
