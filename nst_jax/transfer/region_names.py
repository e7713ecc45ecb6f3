"""What the setting `region` says: a picture's regions, each with a mask and a painting, by their names."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from nst_jax.errors import InputError, argument


class Region(NamedTuple):
    """A part of the photograph with a painting of its own.

    Example:
      >>> sky = np.zeros((43, 64), bool)
      >>> sky[:20] = True
      >>> low = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}
      >>> picture = nst.stylize(photo, None, region=[nst.Region(sky, painting)], size=64, evaluations=4, **low)
      >>> bool((picture.image[20:] == nst.fit(photo, 64)[20:]).all())
      True
    """

    mask: Any
    """[h, w] bool or float, 0..1, of the photograph's aspect; white is what belongs to the region. Soft edges count."""
    painting: Any
    """[height, width, 3] float RGB, 0..1."""
    painting_mask: Any = None
    """Likewise, of the painting's aspect: the part whose style it is; None for all of it."""


_NAME = r"\s*(?:[A-Za-z]:(?=[\\/]))?[^:]+"  # a drive's colon is part of it


def written(region: str) -> Region:
    """Reads "MASK=PAINTING" or "MASK=PAINTING:MASK" as the names in it.

    Args:
      region: one of the setting `region`. A name has no colon but that of a drive, C:/ or C:\\.

    Returns:
      The names.

    Raises:
      InputError: it has not this form.
    """
    mask, _, paintings = region.partition("=")
    found = re.fullmatch(rf"({_NAME})(?::({_NAME}))?", paintings)
    parts = [part.strip() for part in found.groups() if part is not None] if found else []
    if not mask.strip() or not parts or not all(parts):
        raise InputError(
            f"{argument('region')}: {region!r} is not allowed; must be MASK=PAINTING or MASK=PAINTING:MASK"
        )
    return Region(mask.strip(), *parts)


def as_text(region: Region) -> str:
    """Writes what `written` reads."""
    return f"{region.mask}={region.painting}" + (f":{region.painting_mask}" if region.painting_mask else "")


def renamed(region: str, name: Callable[[str], str]) -> str:
    """Gives the files of a region other names; raises InputError as `written`."""
    return as_text(Region(*(part and name(part) for part in written(region))))
