"""A run's input files: pictures at the sizes that the settings say, and starts from another run's pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nst_jax.errors import InputError, argument
from nst_jax.pictures import images
from nst_jax.runs.moved import AS_NAMED, Places
from nst_jax.transfer import recolor, scales
from nst_jax.transfer.arguments import brought_to, common_side, mask
from nst_jax.transfer.guides import OfRegions
from nst_jax.transfer.lanes import Lane, Table, paintings
from nst_jax.transfer.names import file_name
from nst_jax.transfer.region_names import written
from nst_jax.transfer.settings import Settings


def read_picture(path: Path, settings: Settings, size: int | None) -> np.ndarray:
    """A picture with its longest side brought to `size`, or at its own size."""
    return images.read_image(path, size=size, max_pixels=settings.max_pixels)


def read_photograph(path: Path, settings: Settings, transparency: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The photograph at the settings' size; and its alpha, [height, width], where there is one that is to be kept."""
    if transparency == "keep":
        return images.read_with_alpha(path, size=settings.size, max_pixels=settings.max_pixels)
    return read_picture(path, settings, settings.size), None


def of_original_size(photographs: Iterable[str | Path], settings: Settings) -> Settings:
    """The settings with the size of photographs; InputError where they differ, or one is too large or unreadable."""
    sides = {str(path): max(images.read_size(path, max_pixels=settings.max_pixels)) for path in photographs}
    return replace(settings, size=common_side(sides))


def read_start(settings: Settings, height: int, width: int) -> np.ndarray | None:
    """The picture that `init` names, brought to a size of its own aspect; None where it names none.

    Raises:
      InputError: there is no such file, or it has another aspect.
    """
    if settings.init in ("noise", "content"):
        return None
    path = Path(settings.init)
    if not path.exists():
        none = "no such file; must be noise, content or a picture file"
        raise InputError(f"{argument('init')} {settings.init}: {none}")
    return read_to_size(path, settings, height, width, "init")


def read_to_size(path: Path, settings: Settings, height: int, width: int, name: str) -> np.ndarray:
    """A picture brought to a size of its own aspect; raises InputError, naming it, rather than distort one."""
    return brought_to(read_picture(path, settings, None), height, width, name, path)


def read_mask(path: Path, settings: Settings) -> np.ndarray:
    """The luminance of a picture at its own size, [h, w] float32, 0..1."""
    return recolor.luminance(read_picture(path, settings, None))[..., 0]


def read_masks(settings: Settings, places: Places = AS_NAMED) -> dict[str, np.ndarray]:
    """The masks that the setting `region` names, by these names; see `read_mask`."""
    regions = map(written, settings.region)
    named = dict.fromkeys(name for region in regions for name in (region.mask, region.painting_mask) if name)
    return {name: read_mask(Path(places.get(name, name)), settings) for name in named}


def read_regions(settings: Settings, size: int) -> OfRegions:
    """The masks and paintings that the setting `region` names; paintings with their longest side brought to `size`."""
    names = dict.fromkeys(written(region).painting for region in settings.region)
    paintings = {name: read_picture(Path(name), settings, size) for name in names}
    return OfRegions(paintings, read_masks(settings))


def read_kept(settings: Settings, height: int, width: int, places: Places = AS_NAMED) -> np.ndarray | None:
    """Where `keep` is white in a picture of this size, [height, width] bool; None without it.

    Raises:
      InputError: it is nowhere white, or has another aspect.
    """
    if settings.keep is None:
        return None
    name = settings.keep
    path = Path(places.get(name, name))
    found = mask(read_mask(path, settings), height, width, f"keep {name}")
    if not found.any():
        raise InputError(f"{argument('keep')} {name}: is nowhere white; white is what stays the photograph")
    return found


def read_pictures(table: Table, places: Places = AS_NAMED) -> tuple[dict[str, np.ndarray], dict[Any, np.ndarray]]:
    """The content and the style pictures of a table's lanes, by the lanes' names for them, at the settings' sizes."""
    settings = table.settings

    def read(name: str, size: int) -> np.ndarray:
        return read_picture(Path(places.get(name, name)), settings, size)

    contents = {lane.content: read(lane.content, settings.size) for lane in table.lanes}
    styles = {key: read(name, side) for key, (name, side) in paintings(table).items()}
    return contents, styles


def starts_of(table: Table, own: Sequence[Lane], contents: Mapping[str, np.ndarray]) -> Any:
    """What lanes start from, as `Problem` takes it: of a run folder, each lane's picture there."""
    settings = table.settings
    height, width = next(iter(contents.values())).shape[:2]
    if settings.init in ("noise", "content") or not Path(settings.init).is_dir():  # a folder may have such a name
        return read_start(settings, height, width)
    starts = {}
    for lane in own:
        path = Path(settings.init, "lanes", file_name(lane.name))
        if not path.is_file():
            none = f"is no run folder with a picture of lane {lane.name}"
            raise InputError(f"{argument('init')} {settings.init}: {none}")
        # What finest detail the picture cannot have comes from the photograph.
        starts[lane.name] = scales.enlarged(read_picture(path, settings, None), contents[lane.content], lane.alpha > 0)
    return starts
