"""Pictures as Python functions take them: checked, and brought to size."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.transfer.settings import ORIGINAL, Settings

_FAR = 8.0  # from 0..1


def paintings_of(style: Any, name: str = "style") -> list[np.ndarray]:
    """Lists one painting, or several to blend.

    Args:
      style: an array, or a list of arrays.
      name: of the argument that holds it, which messages start with.

    Returns:
      [height, width, 3] float32 each.

    Raises:
      InputError: as `picture`.
    """
    several = list(style) if isinstance(style, list | tuple) else [style]
    return [picture(one, name) for one in several]


def picture(image: Any, name: str) -> np.ndarray:
    """Checks a picture.

    Args:
      image: float [height, width, 3] RGB, 0..1, each side at least 32.
      name: of the argument that holds it, which messages start with.

    Returns:
      It, as a float32 NumPy array.

    Raises:
      InputError: it has another shape or dtype, is too small, or holds values that are not finite or far from 0..1.
    """
    found = np.asarray(image)
    if found.ndim != 3 or found.shape[2] != 3 or found.dtype.kind != "f":
        about = f"{found.dtype} {found.shape}"
        raise InputError(f"{argument(name)}: {about} is no picture; must be float [height, width, 3], 0..1")
    if not np.isfinite(found).all():
        raise InputError(f"{argument(name)}: holds values that are not finite")
    least, most = float(found.min(initial=0)), float(found.max(initial=0))
    if least < -_FAR or most > 1 + _FAR:  # as of 8 bits, or for a network; optimizers leave 0..1 by less
        raise InputError(f"{argument(name)}: holds values from {least:g} to {most:g}; must be 0..1")
    if min(found.shape[:2]) < images.MIN_SIDE:
        size = f"{found.shape[1]}x{found.shape[0]}"
        raise InputError(f"{argument(name)}: {size}; each side must have at least {images.MIN_SIDE}")
    return np.asarray(found, np.float32)


def sized(options: Mapping[str, Any], photographs: Iterable[Any]) -> dict[str, Any]:
    """Puts a number where the size is to be the photographs' own.

    Args:
      options: settings by name.
      photographs: [height, width, 3] each.

    Returns:
      The settings, in which `size` is not "original".

    Raises:
      InputError: the photographs' longest sides differ.
    """
    size = options.get("size")
    if not (isinstance(size, str) and size == ORIGINAL):
        return dict(options)
    sides = {f"photograph {number}": max(np.shape(one)[:2]) for number, one in enumerate(photographs, start=1)}
    return {**options, "size": common_side(sides)}


def common_side(sides: Mapping[str, int]) -> int:
    """Tells the longest side in pixels that photographs, by their names, share; InputError where they differ."""
    (first, side), *others = sides.items()
    for name, other in others:
        if other != side:
            apart = f"{first} has {side} pixels a side, {name} {other}; give a number for both"
            raise InputError(f"{argument('size')} {ORIGINAL}: {apart}")
    return side


def brought_to(image: np.ndarray, height: int, width: int, name: str, path: Path | None = None) -> np.ndarray:
    """Brings a picture to a size of its own aspect, to the pixel.

    Args:
      image: [h, w, 3] float32, 0..1.
      height: in pixels.
      width: in pixels.
      name: of the argument that holds it, which the message starts with.

    Returns:
      [height, width, 3] float32, 0..1.

    Raises:
      InputError: it has another aspect, and would be distorted.
    """
    _check_aspect(image.shape, height, width, argument(name) + (f" {path}" if path else ""))
    return images.resize(image, height, width)


def _check_aspect(own: tuple[int, ...], height: int, width: int, where: str) -> None:
    expected = images.fitted((own[0], own[1]), max(height, width))
    if max(abs(expected[0] - height), abs(expected[1] - width)) > 1:
        what = f"{own[1]}x{own[0]} cannot be brought to {width}x{height}, which has another aspect"
        raise InputError(f"{where}: {what}")


def levels(given: Any, height: int, width: int, name: str) -> np.ndarray:
    """Brings a mask to a size of its own aspect.

    Args:
      given: [h, w], bool or float 0..1.
      height: in pixels.
      width: in pixels.
      name: of the argument that holds it, which messages start with; a file's or region's name may follow it.

    Returns:
      [height, width] float32, 0..1; no value lies beyond those that were there.

    Raises:
      InputError: it has another shape, dtype or aspect, or holds values outside of 0..1.
    """
    found, where = np.asarray(given), f"{argument(name.partition(' ')[0])}{''.join(name.partition(' ')[1:])}"
    if found.ndim != 2 or found.dtype.kind not in "bf" or not found.size:
        raise InputError(f"{where}: {found.dtype} {found.shape} is no mask; must be bool [height, width]")
    if not (found.min() >= 0 and found.max() <= 1):
        raise InputError(f"{where}: holds values outside of 0..1")
    _check_aspect(found.shape, height, width, where)
    plane = Image.fromarray(found.astype(np.float32))
    # Lanczos, as for pictures, would ring beside an edge.
    return np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))


def mask(given: Any, height: int, width: int, name: str) -> np.ndarray:
    """Brings a mask to a size of its own aspect; True where it is then at least half.

    Args:
      given: see `levels`.
      height: see `levels`.
      width: see `levels`.
      name: see `levels`.

    Returns:
      [height, width] bool.

    Raises:
      InputError: as `levels`.
    """
    return levels(given, height, width, name) >= 0.5


def check_blend(settings: Settings, paintings: Sequence[Any]) -> None:
    """Checks the shares of style pictures.

    Args:
      settings: whose `style_blend` they are.
      paintings: the style pictures.

    Raises:
      InputError: there are shares, and not as many as pictures.
    """
    if settings.style_blend and len(settings.style_blend) != len(paintings):
        shares = f"{len(settings.style_blend)} given for {len(paintings)} style pictures"
        raise InputError(f"{argument('style_blend')}: {shares}; give one for each")
