"""Inputs that are no longer where run.json says, or no longer as they were: found again by their sha256.

run.json keeps the names that a run was begun with, so that pictures, losses and checkpoints stay what they are. Where
the files are now is beside it, in moved.json, which is only tried: whatever it names must have the sha256, too.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple

from nst_jax.errors import InputError, argument
from nst_jax.pictures import files
from nst_jax.transfer.groups import groups
from nst_jax.transfer.lanes import Table
from nst_jax.transfer.names import file_name, folded
from nst_jax.transfer.region_names import written
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

Places = Mapping[str, str]
"""Where a file or folder is that a table names otherwise."""
AS_NAMED: Places = MappingProxyType({})
"""Everything is where the table says."""

_FOLDER = "run.json"  # what stands for a run folder that lanes start from


class _Input(NamedTuple):
    """A file that a run is made from, or a run folder that its lanes start from."""

    name: str
    """As the table has it."""
    sha256: str
    size: int | None
    """In bytes; None in a run.json that does not tell."""
    lanes: tuple[str, ...] | None = None
    """Of a run folder: the lanes whose pictures must be there."""

    @property
    def file(self) -> Path:
        """What has the sha256."""
        return Path(self.name) if self.lanes is None else Path(self.name, _FOLDER)

    @property
    def folded(self) -> str:
        """The last part of its path, on whichever system that was, as it is compared."""
        return folded(PureWindowsPath(self.file).name)

    def place(self, file: Path) -> str | None:
        """Where this input is if `file`, which has its sha256, is it; None if it is not."""
        if self.lanes is None:
            return str(file)
        pictures = (file.with_name("lanes") / file_name(lane) for lane in self.lanes)
        return str(file.parent) if file.name == _FOLDER and all(map(os.path.isfile, pictures)) else None


def placed(settings: Settings, places: Places) -> Settings:
    """The settings with the start and the weights named where they are."""
    return replace(
        settings, init=places.get(settings.init, settings.init), weights=places.get(settings.weights, settings.weights)
    )


def of_masks(settings: Settings) -> list[str]:
    """The masks that the settings `keep` and `region` name, and the paintings of regions."""
    named = [name for region in settings.region for name in written(region) if name]
    return [*named, settings.keep] if settings.keep else named


def find(run: Mapping[str, Any], table: Table, folder: Path, find_in: Sequence[Path]) -> dict[str, str]:
    """Finds what is not where the table says, or has changed there.

    Photographs, paintings, the picture or the run folder that lanes start from, and a weights file given by its path;
    a run folder is known by its run.json and must have the lanes' pictures. Whatever their names, files are known by
    their sha256. Those of the same name are tried first, then those of the same size. Folders that cannot be read are
    passed over, and symbolic links to folders are not followed.

    Args:
      run: what run.json holds.
      table: its table.
      folder: the run's; what `remember` wrote there is tried before any search.
      find_in: folders below which to look.

    Returns:
      Absolute paths by the table's names, in its order, of what is elsewhere.

    Raises:
      InputError: something is not found, which the message names, or run.json does not tell its sha256.
    """
    for place in find_in:
        if not os.path.isdir(place):
            raise InputError(f"{argument('find_in')} {place}: is not a folder; name one to look for inputs in")
    known, places, missing = _remembered(folder), {}, []
    inputs = _inputs(run, table, folder / "run.json")
    for one in inputs:
        if _sha256(one.file) == one.sha256:
            continue
        again = one._replace(name=known.get(one.name, one.name))
        if _sha256(again.file) == one.sha256 and again.place(again.file):
            places[one.name] = again.name
        else:
            missing.append(one)
    found = _search(missing, find_in)
    if lost := [one for one in missing if one.name not in found]:
        first = lost[0].file
        unread = "cannot be read" if os.path.isfile(first) else "no such file"
        trouble = "changed since the run began" if _sha256(first) else unread
        others = f" ({len(lost)} inputs are missing or changed)" if len(lost) > 1 else ""
        folders = ", ".join(map(str, find_in))
        raise InputError(
            f"{first}: {trouble}, and none with its sha256 below {argument('find_in')} {folders}{others}"
            if find_in
            else f"{first}: {trouble}{others}; name a folder to look for it in with {argument('find_in')}"
        )
    places |= found
    return {one.name: places[one.name] for one in inputs if one.name in places}


def remember(folder: Path, places: Places) -> None:
    """Writes moved.json, whole or not at all, for the next time."""
    known = _remembered(folder)
    if all(known.get(name) == place for name, place in places.items()):
        return
    text = json.dumps({**known, **places}, indent=1, ensure_ascii=False) + "\n"
    with files.atomic(folder / "moved.json") as temporary:
        temporary.write_text(text, "utf-8", "backslashreplace")  # file names, as in run.json


def _remembered(folder: Path) -> dict[str, str]:
    """What moved.json holds; nothing if it is damaged, since a search finds it again."""
    with suppress(OSError, ValueError, RecursionError):
        known = json.loads((folder / "moved.json").read_text("utf-8"))
        if isinstance(known, dict) and all(isinstance(place, str) for place in known.values()):
            return known
    return {}


def _inputs(run: Mapping[str, Any], table: Table, source: Path) -> list[_Input]:
    """All that may have been moved. Raises InputError, naming run.json (`source`), if it tells of something no sha256.

    Weights that are known by name are not among it: they are looked for where such weights are.
    """
    sections = {key: run.get(key) for key in ("inputs", "weights", "sizes")}
    recorded, of_weights, sizes = (value if isinstance(value, dict) else {} for value in sections.values())

    def known(name: str, file: str, sha256: Any, lanes: tuple[str, ...] | None = None) -> _Input:
        size = sizes.get(file)
        if not isinstance(sha256, str) or not isinstance(size, int | None):
            raise InputError(f"{source}: damaged (it does not tell the sha256 and the size of {file})")
        return _Input(name, sha256, size, lanes)

    names = [name for lane in table.lanes for name in (lane.content, lane.style)]
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{source}: damaged (a lane names no picture)")
    names += [name for group in groups(table) for name in of_masks(group.table.settings)]
    found = [known(name, name, recorded.get(name)) for name in dict.fromkeys(names) if name]
    settings = table.settings
    if settings.init not in ("noise", "content"):
        file = str(Path(settings.init, _FOLDER))
        of_folder = file in recorded
        lanes = tuple(lane.name for lane in table.lanes) if of_folder else None
        file = file if of_folder else settings.init
        found.append(known(settings.init, file, recorded.get(file), lanes))
    if settings.weights not in {named.name for named in weights.available()}:
        found.append(known(settings.weights, settings.weights, of_weights.get("sha256")))
    return [*{one.name: one for one in found}.values()]  # lanes may start from one of the photographs


def _search(missing: Sequence[_Input], folders: Sequence[Path]) -> dict[str, str]:
    """Places by name, of what is found. Few files are read: those of a name that is lost, then those of a size."""
    found: dict[str, str] = {}
    names = {one.folded for one in missing}
    sizes = {one.size for one in missing}
    read = set()
    for by_name in (True, False):
        for path in _below(folders):
            if len(found) == len(missing):
                return found
            if path in read or (by_name and folded(os.path.basename(path)) not in names):
                continue
            if None not in sizes and _size(path) not in sizes:
                continue
            read.add(path)
            sha256 = _sha256(Path(path))
            for one in missing:
                if one.sha256 == sha256 and one.name not in found and (place := one.place(Path(path))):
                    found[one.name] = place
    return found


def _below(folders: Sequence[Path]) -> Iterator[str]:
    """The files in folders and their sub-folders, in the same order each time."""
    for folder in folders:
        for where, inside, names in os.walk(folder.resolve()):
            inside.sort()
            yield from (os.path.join(where, name) for name in sorted(names))


def _size(path: str) -> int | None:
    """In bytes; None of what is no regular file or cannot be reached."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _sha256(path: Path) -> str | None:
    """None of what is no regular file or cannot be read."""
    try:
        return files.sha256(path) if os.path.isfile(path) else None
    except OSError:
        return None
