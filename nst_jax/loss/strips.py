"""What the losses need of a picture, with the network's first layers worked through in strips of rows.

The layers nearest to the picture hold nearly all the memory of an evaluation: of about 320 activations a pixel, 144 are
in the first block and 72 in the second. A *segment* of layers, worked through in strips, keeps only its input and what
it hands on. Its gradient takes each strip once more: it computes the strip's activations again and pulls back the
strip's share, as Chen et al. (arXiv 1604.06174) do with layers. What style losses compare are
sums over positions, as Gram matrices are (equation 3), so they are summed over the strips before any gradient is asked
for, and nothing is approximated: values and gradients are those of the whole picture, to rounding.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from nst_jax.errors import InputError
from nst_jax.loss import losses, style_losses
from nst_jax.loss.regions import guided_moments
from nst_jax.loss.slabs import Slab, Slabs, Whole
from nst_jax.network.layers import LAYERS, positions_of
from nst_jax.network.vgg import VGG19, check_depth, check_images

Array = jax.Array
AnyArray = jax.Array | np.ndarray
ENDS = ("pool1", "pool2", "pool3", "pool4")
"""The last layer of each segment: a block. The last block is left whole: it is a hundredth of the memory."""


SLAB_PIXELS = 2**16
"""About how many pixels' worth of layers to hold at once where only values are wanted."""

_SHARES = (1, 2, 2, 4)  # how many times less memory than the first segment's layers those of each take, about


def for_values(height: int, width: int) -> tuple[int, ...]:
    """Strips for a picture that is evaluated without a gradient: it then takes little memory, whatever its size.

    They depend on the size alone, so that targets do not depend on a machine's memory, not even by rounding.

    Args:
      height: in pixels.
      width: in pixels.

    Returns:
      How many for each segment, as `statistics` takes them; () for a small picture.
    """
    counts = tuple(-(-height * width // (SLAB_PIXELS * share)) for share in _SHARES)
    return counts if counts[0] > 1 else ()


def by_rows(height: int, rows: int, segments: int) -> tuple[int, ...]:
    """Strips of one size in memory in all segments.

    Args:
      height: the picture's, in pixels.
      rows: the height of the first segment's strips.
      segments: how many to cut, 1 to 4.

    Returns:
      How many for each segment, as `statistics` takes them.
    """
    return tuple(-(-height // (rows * share)) for share in _SHARES[:segments])


class Statistics(NamedTuple):
    """What the losses are made of; each has a leading axis of images."""

    styles: dict[str, Float[Array, "images ... N K"]]
    """G / M of equation 4, or `style_losses.moments` per position; with guides `regions.guided_moments` instead, with
    an axis of regions behind that of images."""
    contents: dict[str, Float[Array, "images"]]
    """Equation 1."""
    activations: dict[str, Float[Array, "images _ _ N"]]
    """Of the layers that are to be kept."""


def statistics(
    params: Any,
    images: Float[AnyArray, "..."],
    style_layers: Iterable[str],
    content_targets: Mapping[str, Float[Array, "_ _ _ N"]],
    kept: Iterable[str] = (),
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
    strips: tuple[int, ...] = (),
    plain: bool = False,
    style_loss: str = "gram",
    guides: Mapping[str, Float[AnyArray, "1 _ _ regions"]] | None = None,
) -> Statistics:
    """Computes the style representations and content losses of images.

    Only the images are differentiated; where layers are worked through in strips, targets are frozen as parameters are.

    Args:
      params: as `network.features` takes them.
      images: [images, height, width, 3] float32 RGB, 0..1; both sides at least 32.
      style_layers: names.
      content_targets: P of equation 1, {layer: [images or 1, height', width', N]}.
      kept: names of layers whose activations are wanted as well.
      pool: see `network.features`.
      padding: see `network.features`.
      precision: see `network.features`.
      plain: see `network.features`.
      strips: how many strips to cut each of the first segments into: () leaves the network whole, (8,) has eight strips
        as far as pool1, (8, 4) and four from there to pool2. A picture of few rows gets fewer.
      style_loss: what the style representations are for, one of `style_losses.STYLE_LOSSES`.
      guides: of regions, for all of the style layers or for none; see `regions.Regions`.

    Returns:
      `Statistics`.

    Raises:
      InputError: a layer that the parameters do not reach, an unknown pool, padding, precision or style loss, images of
        another shape, or strips that are not allowed.
    """
    style_losses.check_style_loss(style_loss)
    found = _through(
        params, images, tuple(style_layers), dict(content_targets), tuple(kept),
        dict(guides or {}), pool, padding, precision, strips, plain, style_loss,
    )  # fmt: skip
    sides, styles = images.shape[-3:-1], found.moments
    if not guides:  # which make means of sums
        styles = {layer: sums / positions_of(layer, *sides) for layer, sums in styles.items()}
    return Statistics(styles, found.contents, found.activations)


@partial(jax.jit, static_argnames=("style_layers", "kept", "pool", "padding", "precision", "style_loss"))
def values(
    params: Any,
    images: Float[AnyArray, "..."],
    style_layers: tuple[str, ...] = (),
    kept: tuple[str, ...] = (),
    *,
    pool: str = "avg",
    padding: str = "zero",
    precision: str = "float32",
    style_loss: str = "gram",
    guides: Mapping[str, Float[AnyArray, "1 _ _ regions"]] | None = None,
) -> Statistics:
    """Computes what `statistics` does where no gradient is wanted: in little memory, whatever the images' size.

    Small images take convolutions that compile in a fraction of the time. Another height or width is compiled anew.

    Args:
      params: as `network.features` takes them.
      images: see `statistics`.
      style_layers: see `statistics`.
      kept: see `statistics`.
      pool: see `network.features`.
      padding: see `network.features`.
      precision: see `network.features`.
      style_loss: see `statistics`.
      guides: see `statistics`.

    Returns:
      `Statistics`.

    Raises:
      InputError: as `statistics`.
    """
    check_batch(images, pool, padding, precision)
    strips = for_values(*images.shape[1:3])
    plain = not strips
    return statistics(
        params, images, style_layers, {}, kept,
        pool=pool, padding=padding, precision=precision, strips=strips, plain=plain, style_loss=style_loss,
        guides=guides,
    )  # fmt: skip


def check_batch(images: Float[AnyArray, "..."], pool: str, padding: str, precision: str) -> None:
    """Checks what `statistics` takes.

    Args:
      images: must be [images, height, width, 3], one or more, both sides at least 32.
      pool: see `network.vgg.check_images`.
      padding: likewise.
      precision: likewise.

    Raises:
      InputError: one of them is not allowed.
    """
    if images.ndim != 4:
        raise InputError(f"images of shape {images.shape}: must be [images, height, width, 3]")
    check_images(images, pool, padding, precision)


class _Segment(NamedTuple):
    """A stretch of layers; static."""

    after: str | None
    """The layer whose activations are the input; None: that is the picture."""
    kept: tuple[str, ...]
    """Layers whose activations to hand on."""
    styles: tuple[str, ...]
    """Layers whose style representations are wanted."""
    contents: tuple[str, ...]
    """Layers that have content targets."""
    pool: str
    padding: str
    precision: str
    plain: bool
    style_loss: str
    strips: int

    @property
    def layers(self) -> tuple[str, ...]:
        """All that are wanted."""
        return tuple(sorted({*self.kept, *self.styles, *self.contents}, key=LAYERS.index))


class _Found(NamedTuple):
    """What comes out of a segment, or of the network; each with a leading axis of images."""

    activations: dict[str, Array]
    moments: dict[str, Array]
    contents: dict[str, Array]


class _Beside(NamedTuple):
    """What lies beside a segment's activations, position by position."""

    targets: Mapping[str, Float[Any, "_ _ _ N"]]
    """Of content."""
    guides: Mapping[str, Float[Any, "1 _ _ regions"]]
    """Of style layers, where there are regions."""


def _through(
    params: Any, images: AnyArray, styles: tuple[str, ...], targets: dict[str, Array], kept: tuple[str, ...],
    guides: dict[str, AnyArray], pool: str, padding: str, precision: str, strips: tuple[int, ...], plain: bool,
    style_loss: str,
) -> _Found:  # fmt: skip
    """Takes the images through the segments that are cut into strips, and through the rest of the network whole."""
    check_batch(images, pool, padding, precision)
    check_depth(params, (*styles, *targets, *kept))
    if len(strips) > len(ENDS) or min(strips, default=1) < 1:
        raise InputError(f"strips {strips}: must be at most {len(ENDS)} numbers, each at least 1")
    found = _Found({}, {}, {})
    x, after, first = images, None, 0
    for end, count in [*zip(ENDS, strips, strict=False), (LAYERS[-1], 1)]:
        inside = LAYERS[first : LAYERS.index(end) + 1]
        first += len(inside)
        onward = any(layer in LAYERS[first:] for layer in (*styles, *targets, *kept))

        def among(layers: Iterable[str], inside: tuple[str, ...] = inside) -> tuple[str, ...]:
            return tuple(layer for layer in inside if layer in layers)

        handed_on = among((*kept, end) if onward else kept)
        segment = _Segment(
            after, handed_on, among(styles), among(targets), pool, padding, precision, plain, style_loss, count
        )
        if segment.layers:
            own = _Beside(*({layer: of[layer] for layer in inside if layer in of} for of in (targets, guides)))
            part: Any = (_cut if count > 1 else _compute)(segment, params, x, own)
            for have, new in zip(found, part, strict=True):
                have.update(new)
        if not onward:
            break
        x, after = found.activations[end], end
    return _Found({layer: found.activations[layer] for layer in kept}, found.moments, found.contents)


def _compute(
    segment: _Segment,
    params: Any,
    x: Float[AnyArray, "images height width channels"],
    beside: _Beside,
    own: Callable[[Array, str], Array] = lambda value, _: value,
) -> _Found:
    """What an input, or a slab of it, contributes; `own` puts zeros into the rows of a layer that are not the strip's.

    What is beside the slab is cut out of what is beside the picture.
    """
    network = VGG19(segment.layers, segment.pool, segment.padding, segment.precision, segment.plain, segment.after)
    whole = network.apply(params, x)
    assert isinstance(whole, dict)
    found: dict[str, Array] = {layer: own(value, layer) for layer, value in whole.items()}
    return _Found(
        {layer: found[layer] for layer in segment.kept},
        {layer: _moments(segment, found[layer], beside.guides.get(layer)) for layer in segment.styles},
        {layer: losses.content_loss(found[layer], own(target, layer)) for layer, target in beside.targets.items()},
    )


def _moments(segment: _Segment, activations: Array, guide: AnyArray | None) -> Array:
    if guide is None:
        return style_losses.moments(activations, segment.style_loss, segment.precision)
    channels = jnp.moveaxis(jnp.asarray(guide)[0], -1, 0)
    return guided_moments(activations, channels, segment.style_loss, segment.precision)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _cut(
    segment: _Segment,
    params: Any,
    x: Float[AnyArray, "images height width channels"],
    beside: _Beside,
) -> _Found:
    """As `_compute`, in strips."""
    slabs = Slabs(segment.after, segment.layers[-1], segment.pool, segment.strips, x.shape)

    def body(i: Array, found: _Found) -> _Found:
        slab = slabs.at(i)
        part = _of_slab(segment, slabs, slab, params, beside)(slabs.cut(slab, x))
        return _Found(
            {
                layer: _add(found.activations[layer], value, slab.image, slab.start // slabs.stride(layer))
                for layer, value in part.activations.items()
            },
            {layer: _add(found.moments[layer], value, slab.image) for layer, value in part.moments.items()},
            {layer: _add(found.contents[layer], value, slab.image) for layer, value in part.contents.items()},
        )

    shapes = jax.eval_shape(partial(_compute, segment), params, x, beside)
    zeros: _Found = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    return lax.fori_loop(0, slabs.count, body, zeros)


def _forward(segment: _Segment, params: Any, x: AnyArray, beside: _Beside) -> tuple[_Found, tuple]:
    return _cut(segment, params, x, beside), (params, x, beside)


def _backward(segment: _Segment, residuals: tuple, cotangent: _Found) -> tuple[None, Array, None]:
    params, x, beside = residuals
    slabs = Slabs(segment.after, segment.layers[-1], segment.pool, segment.strips, x.shape)

    def body(i: Array, gradient: Array) -> Array:
        slab = slabs.at(i)
        _, pull = jax.vjp(_of_slab(segment, slabs, slab, params, beside), slabs.cut(slab, x))
        of_image: _Found = jax.tree.map(lambda leaf: lax.dynamic_slice_in_dim(leaf, slab.image, 1), cotangent)
        activations = {layer: slabs.cut(slab, leaf, layer) for layer, leaf in cotangent.activations.items()}
        return _add(gradient, pull(of_image._replace(activations=activations))[0], slab.image, slab.start)

    return None, lax.fori_loop(0, slabs.count, body, jnp.zeros_like(x)), None


_cut.defvjp(_forward, _backward)


def _of_slab(segment: _Segment, slabs: Slabs, slab: Slab, params: Any, beside: _Beside) -> Callable[[Array], _Found]:
    """From a slab of the input to what its strip contributes."""
    cut = _Beside(*({layer: slabs.cut(slab, value, layer) for layer, value in of.items()} for of in beside))
    return lambda x: _compute(segment, params, x, cut, partial(slabs.own, slab))


def _add(total: Array, part: Array, *corner: Whole) -> Array:
    """Adds in place."""
    start = (*corner, *[0] * (total.ndim - len(corner)))
    return lax.dynamic_update_slice(total, lax.dynamic_slice(total, start, part.shape) + part, start)
