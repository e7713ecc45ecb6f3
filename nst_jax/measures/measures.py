"""What a made picture has of the photograph and of the painting, in figures that do not depend on α, β or the start.

Each picture is first summarized (`summarize`), those it is compared with once for all; comparing is then arithmetic.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.errors import InputError
from nst_jax.loss.strips import values
from nst_jax.loss.style_losses import layer_loss
from nst_jax.loss.targets import style_targets
from nst_jax.measures import structure
from nst_jax.network.layers import CONTENT_LAYER, STYLE_LAYERS
from nst_jax.network.vgg import check_layers
from nst_jax.pictures import images
from nst_jax.pictures.noise import white_noise

Array = jax.Array
ROUNDING = 1e-5  # of a Gram matrix: what two programs' float32 may differ by
COARSE = 48  # pixels of the shortest side at which structure is compared: arrangement, not brushwork
MOMENTS = "wasserstein"
"""The style loss whose moments hold those of all others."""
NOISE = 50.0  # standard deviation in 8-bit levels of the noise that style is compared with


class Measures(NamedTuple):
    """Of one picture. NaN is what cannot be told: there is no photograph, no painting, or nothing in it that varies.

    Example:
      >>> measures = nst.measures.Measures(
      ...     ssim=1.0, correlation=1.0, scale=4.5, grids={2: 1.1, 4: 1.0, 8: 1.0}, to_noise={}, to_content={},
      ...     mean_std={}, wasserstein={}
      ... )
      >>> measures.row()
      [1.0, 1.0, 4.5, 1.1, 1.0, 1.0]
    """

    ssim: float
    """Structural similarity of its luminance with the photograph's, both brought to COARSE: 1 for the photograph."""
    correlation: float
    """Pearson's, of its activations of CONTENT_LAYER with the photograph's, over all filters and positions."""
    scale: float
    """Correlation length of its luminance in pixels: the size of strokes and details."""
    grids: dict[int, float]
    """By period in pixels, the power of its luminance at a grid's frequencies, over what those around let expect
    (`structure.grids`): about 1 for no grid."""
    to_noise: dict[str, float]
    """By style layer, the distance |G/M - A/M_a| (Frobenius) of its Gram matrix from the painting's, over that of white
    noise: 0 for the painting's style, 1 for no better than noise."""
    to_content: dict[str, float]
    """The same over the photograph's distance: 1 for no better than the photograph."""
    mean_std: dict[str, float]
    """By style layer, the root of `style_losses.mean_std_loss` from the painting, over that of white noise."""
    wasserstein: dict[str, float]
    """The same of `style_losses.wasserstein_loss`."""

    def row(self) -> list[float]:
        """Lists all numbers, in the order of `columns`."""
        by_name = (self.grids, self.to_noise, self.to_content, self.mean_std, self.wasserstein)
        return [self.ssim, self.correlation, self.scale, *(value for one in by_name for value in one.values())]


_DISTANCES = {
    "to_noise": "over noise",
    "to_content": "over photograph",
    "mean_std": "by means and deviations, over noise",
    "wasserstein": "by Wasserstein's distance, over noise",
}
"""The columns of each style layer, and what they are to people."""


def columns(style_layers: Sequence[str]) -> list[str]:
    """Names the numbers of `Measures.row`, as columns of a table.

    Args:
      style_layers: the measures', in order.

    Returns:
      A name for each number.
    """
    grids = [f"grid_{period}" for period in structure.GRIDS]
    distances = [f"{layer}_{other}" for other in _DISTANCES for layer in style_layers]
    return ["ssim", "correlation", "scale", *grids, *distances]


def of_row(row: Sequence[float], style_layers: Sequence[str]) -> Measures:
    """Reads what `Measures.row` gave.

    Args:
      row: the numbers.
      style_layers: the measures', in order.

    Returns:
      The measures.
    """
    numbers = iter(row)
    first = [next(numbers) for _ in range(3)]
    grids = {period: next(numbers) for period in structure.GRIDS}
    distances = {other: {layer: next(numbers) for layer in style_layers} for other in _DISTANCES}
    return Measures(*first, grids=grids, **distances)


def described(row: Sequence[float], style_layers: Sequence[str]) -> dict[str, str]:
    """Puts the numbers of `Measures.row` that can be told into words, to be read by people.

    Args:
      row: the numbers; or empty, which gives none.
      style_layers: the measures', in order.

    Returns:
      {what it is: number}, both as text.
    """
    words = ["structural similarity", f"correlation of {CONTENT_LAYER}", "scale of structure, pixels"]
    words += [f"power of a {period}-pixel grid, over that around" for period in structure.GRIDS]
    words += [f"{layer} from style, {other}" for other in _DISTANCES.values() for layer in style_layers]
    return {word: f"{value:.3g}" for word, value in zip(words, row, strict=bool(row)) if not math.isnan(value)}


class Summary(NamedTuple):
    """A picture as it is measured."""

    luminance: np.ndarray
    """[height, width] float64, 0..1."""
    coarse: np.ndarray
    """The same with its shortest side brought to COARSE, unless it is shorter."""
    content: np.ndarray
    """Activations of CONTENT_LAYER, [height', width', N] float32."""
    style: dict[str, np.ndarray]
    """G / M and the means of filters by style layer, `style_losses.moments` of MOMENTS per position, [N, N + 1]."""


class StyleReference(NamedTuple):
    """A painting's style that pictures are compared with, and white noise compared with it, once for all of them."""

    moments: Mapping[str, np.ndarray]
    """The painting's, by style layer, [N, N + 1]; see `Summary.style`."""
    noise: Mapping[str, np.ndarray]
    """The noise's."""
    losses: Mapping[str, Mapping[str, float]]
    """The noise's distance from the painting by style loss and layer, squared."""


@jax.transfer_guard("allow")
def summarize(
    params: Any,
    image: np.ndarray,
    style_layers: Iterable[str] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
) -> Summary:
    """Summarizes a picture as a file of 8 bits would hold it: clipped to 0..1 and rounded.

    Args:
      params: parameters, as `load_weights` gives them.
      image: [height, width, 3] float32 RGB; both sides at least 32.
      style_layers: those whose moments are wanted.
      pool: see `network.features`.
      padding: see `network.features`.
      precision: see `network.features`.

    Returns:
      The summary.

    Raises:
      InputError: as `network.features`.
    """
    image = np.rint(np.clip(image, 0, 1) * 255).astype(np.float32) / 255
    height, width = image.shape[:2]
    part = min(1.0, COARSE / min(height, width))
    coarse = images.resize(image, round(part * height), round(part * width))
    wanted = (style_layers,) if isinstance(style_layers, str) else tuple(style_layers)
    layers = check_layers(wanted, "style_layers") if wanted else ()
    found = values(
        params, image[None], layers, (CONTENT_LAYER,), pool=pool, padding=padding, precision=precision,
        style_loss=MOMENTS,
    )  # fmt: skip
    content, style = jax.device_get((found.activations[CONTENT_LAYER], found.styles))
    style = {layer: style[layer][0] for layer in wanted}
    return Summary(structure.luminance(image), structure.luminance(coarse), content[0], style)


def style_reference(moments: Mapping[str, np.ndarray], noise: Summary) -> StyleReference:
    """Makes what pictures' styles are compared with.

    Args:
      moments: the painting's by style layer, [N, N + 1], as `loss.style_targets` gives them for MOMENTS.
      noise: `noise_reference` of the pictures' size, with the same layers.

    Returns:
      The reference.
    """
    losses = {
        style_loss: {layer: _loss(noise.style[layer], own, style_loss) for layer, own in moments.items()}
        for style_loss in ("mean-std", "wasserstein")
    }
    return StyleReference(moments, noise.style, losses)


def compare(picture: Summary, content: Summary | None = None, style: StyleReference | None = None) -> Measures:
    """Measures a picture.

    Args:
      picture: the one to measure.
      content: the photograph, of its size; None for none.
      style: the painting's, of all layers that were summarized; None for none.

    Returns:
      The measures, of the picture's style layers.

    Raises:
      InputError: the photograph has another size.
    """
    if content and content.luminance.shape != picture.luminance.shape:
        sizes = f"{content.luminance.shape}, the picture's {picture.luminance.shape}"
        raise InputError(f"content: its height and width are {sizes}; must be the same")

    def distances(other: Mapping[str, np.ndarray] | None) -> dict[str, float]:
        if other is None or style is None:
            return dict.fromkeys(picture.style, math.nan)
        return {
            layer: _distance(*(moments[:, :-1] for moments in (own, other[layer], style.moments[layer])))
            for layer, own in picture.style.items()
        }

    def over_noise(style_loss: str) -> dict[str, float]:
        if style is None:
            return dict.fromkeys(picture.style, math.nan)
        return {
            layer: _share(own, style.moments[layer], style.losses[style_loss][layer], style_loss)
            for layer, own in picture.style.items()
        }

    return Measures(
        ssim=structure.similarity(picture.coarse, content.coarse) if content else math.nan,
        correlation=_correlation(picture.content, content.content) if content else math.nan,
        scale=structure.correlation_length(picture.luminance),
        grids=structure.grids(picture.luminance),
        to_noise=distances(style and style.noise),
        to_content=distances(content and content.style),
        mean_std=over_noise("mean-std"),
        wasserstein=over_noise("wasserstein"),
    )


@jax.transfer_guard("allow")
def measure(
    params: Any,
    image: np.ndarray,
    content: np.ndarray | None = None,
    style: np.ndarray | None = None,
    style_layers: Iterable[str] = STYLE_LAYERS,
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
) -> Measures:
    """Measures a picture; for one of many use `summarize` and `compare`, or `Problem.measure`.

    Args:
      params: parameters, as `load_weights` gives them.
      image: [height, width, 3] float32 RGB; measured as a file of 8 bits would hold it.
      content: the photograph, of the same size; None leaves out what depends on it.
      style: the painting, of any size; None leaves out what depends on it.
      style_layers: those whose Gram matrices are compared.
      pool: see `network.features`.
      padding: see `network.features`.
      precision: see `network.features`.

    Returns:
      The measures.

    Raises:
      InputError: the photograph has another size, a picture less than 32 pixels a side, or a layer is unknown.

    Example:
      >>> measures = nst.measures.measure(params, photo, content=photo, style_layers=("conv1_1",))
      >>> round(measures.ssim, 3), round(measures.correlation, 3), list(measures.to_noise)
      (1.0, 1.0, ['conv1_1'])
    """
    summarized = partial(summarize, params, style_layers=style_layers, pool=pool, padding=padding, precision=precision)
    reference = None
    if style is not None:
        target = style_targets(
            params, style[None], style_layers, pool=pool, padding=padding, precision=precision, style_loss=MOMENTS
        )
        moments = {layer: np.asarray(own[0]) for layer, own in target.items()}
        reference = style_reference(moments, summarized(noise_reference(*image.shape[:2])))
    return compare(summarized(image), None if content is None else summarized(content), reference)


def noise_reference(height: int, width: int) -> np.ndarray:
    """Makes the white noise that style is compared with: the usual start, seed 0, but strong.

    Args:
      height: in pixels.
      width: in pixels.

    Returns:
      [height, width, 3] float32 RGB; not clipped.
    """
    return np.asarray(white_noise(0, height, width, NOISE))


def _distance(gram: np.ndarray, other: np.ndarray, style: np.ndarray) -> float:
    """From the style, over that of the other; NaN when the other is the style, but for rounding."""
    gram, other, style = (np.asarray(matrix, np.float64) for matrix in (gram, other, style))
    reference = float(np.linalg.norm(other - style))
    return float(np.linalg.norm(gram - style)) / reference if reference > ROUNDING * np.linalg.norm(style) else math.nan


def _share(moments: np.ndarray, style: np.ndarray, reference: float, style_loss: str) -> float:
    """The root of a style loss from the style, over that of noise; NaN when noise has the style."""
    if reference <= ROUNDING * np.trace(style):
        return math.nan
    return math.sqrt(max(_loss(moments, style, style_loss), 0) / reference)


@jax.transfer_guard("allow")
def _loss(moments: np.ndarray, style: np.ndarray, style_loss: str) -> float:
    return float(_style_loss(moments, style, style_loss))


@partial(jax.jit, static_argnames="style_loss")
def _style_loss(moments: Array, style: Array, style_loss: str) -> Array:
    if style_loss == "mean-std":
        moments, style = (jnp.stack([jnp.diagonal(each, 0, -2, -1), each[..., -1]], -1) for each in (moments, style))
    return layer_loss(moments, style, style_loss)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (np.asarray(a, np.float64).ravel() - np.mean(a, dtype=np.float64) for a in (x, y))
    norms = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / norms if norms else math.nan
