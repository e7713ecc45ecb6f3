"""Which pictures a folder of photographs and its paintings make: their names, their order, and where they may go."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.transfer.names import folded


class Order(NamedTuple):
    """A picture that is to be made."""

    photo: Path
    paintings: tuple[Path, ...]
    """One, or several to blend; none where regions alone have a style."""
    name: str
    """Of the picture: its path below the output folder, with slashes."""
    size: tuple[int, int] | None
    """Its height and width in pixels; None where the photograph cannot be read."""


def ordered(
    photos: Sequence[Path], below: Path, paintings: Sequence[Path], *, blended: bool, ending: str,
    size_of: Callable[[Path], tuple[int, int]],
) -> list[Order]:  # fmt: skip
    """Lists the product of photographs and paintings: equal sizes follow each other, so that each is compiled once.

    The smallest come first: what is too large for the machine, and may end the process, stops nothing else.

    Args:
      photos: the photographs.
      below: the folder that they are in; pictures are named by their paths below it.
      paintings: the paintings; where there are several, their names are part of the pictures'.
      blended: all paintings make one picture together.
      ending: of the pictures' names, such as ".png".
      size_of: gives the height and width of a photograph's picture; raises InputError where it cannot be read.

    Returns:
      The pictures; those of photographs that cannot be read are last.

    Raises:
      InputError: two of them would have one name.
    """
    found: list[Order] = []
    for photo in photos:
        try:
            size = size_of(photo)
        except InputError:
            size = None  # its turn comes, and then it is told
        stem = photo.relative_to(below).with_suffix("").as_posix()
        if blended or len(paintings) < 2:
            found.append(Order(photo, tuple(paintings), stem + ending, size))
        else:
            found += [Order(photo, (each,), f"{stem}_{each.stem}{ending}", size) for each in paintings]
    known: dict[str, Order] = {}
    for order in found:
        other = known.setdefault(folded(order.name), order)
        if other is not order:
            sources = [" with ".join(map(str, (each.photo, *each.paintings[:1]))) for each in (other, order)]
            raise InputError(f"{' and '.join(sources)}: both would become {order.name}; rename one of them")
    return sorted(found, key=lambda order: (order.size is None, math.prod(order.size or ()), order.size or ()))


def is_folder(path: Path) -> bool:
    """Whether there is a folder; not where a name is longer than any can be, which reading it will tell."""
    with suppress(OSError):
        return path.is_dir()
    return False


def check_folder(output: Path, folders: Sequence[Path], names: Sequence[str]) -> None:
    """Checks where a folder's pictures are to be written, before anything is made there.

    Args:
      output: the folder to write into.
      folders: those that pictures are read from.
      names: of the pictures to write, below `output`.

    Raises:
      InputError: it is a file, or called like one, or pictures would be written where others are read.
    """
    name = f"{argument('output')} {output}"
    try:
        there = output.exists()
    except OSError as error:
        raise InputError(f"{name}: cannot write there ({error.strerror})") from None
    if there and not output.is_dir():
        raise InputError(f"{name}: is a file; name a folder, for several pictures")
    if not there and output.suffix.lower() in images.ENDINGS:
        raise InputError(f"{name}: is called like a picture; name a folder, for several pictures")
    own = output.resolve()
    for folder in folders:
        there = folder.resolve()
        if there in (own, *own.parents):
            raise InputError(f"{name}: is within {folder}, where pictures are read; name a folder outside of it")
        for each in names:
            if there in (own / each).parents:
                raise InputError(f"{name}: {each} would come into {folder}, where pictures are read; name another one")
