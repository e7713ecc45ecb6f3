"""Pictures as Python functions take them: checked, and brought to size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.transfer.settings import Settings

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
    expected = images.fit(image, max(height, width)).shape[:2]
    if max(abs(expected[0] - height), abs(expected[1] - width)) > 1:
        own = f"{image.shape[1]}x{image.shape[0]}"
        where = argument(name) + (f" {path}" if path else "")
        raise InputError(f"{where}: {own} cannot be brought to {width}x{height}, which has another aspect")
    return images.resize(image, height, width)


def mask(given: Any, height: int, width: int, name: str) -> np.ndarray:
    """Brings a mask to a size of its own aspect.

    Args:
      given: [h, w], bool or float 0..1.
      height: in pixels.
      width: in pixels.
      name: of the argument that holds it, which messages start with.

    Returns:
      [height, width] bool, True where it is at least half.

    Raises:
      InputError: it has another shape, dtype or aspect, or holds values outside of 0..1.
    """
    found = np.asarray(given)
    if found.ndim != 2 or found.dtype.kind not in "bf" or not found.size:
        raise InputError(f"{argument(name)}: {found.dtype} {found.shape} is no mask; must be bool [height, width]")
    if not (found.min() >= 0 and found.max() <= 1):
        raise InputError(f"{argument(name)}: holds values outside of 0..1")
    levels = np.repeat(found.astype(np.float32)[..., None], 3, 2)
    return brought_to(levels, height, width, name)[..., 0] >= 0.5


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
