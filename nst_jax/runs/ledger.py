"""A ledger: which of the pictures that one command makes are done, so that the same command goes on from there.

It is a JSON file in the pictures' folder, written whole after each picture. A process that is killed loses the picture
that it was making, and nothing else.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nst_jax.errors import InputError, argument
from nst_jax.pictures import files
from nst_jax.runs.description import differences
from nst_jax.runs.locks import lock

FORMAT = "nst_jax ledger 1"
NAME = "ledger.json"
DONE, FAILED, WAITING = "done", "failed", "waiting"
_LOCK = ".ledger.lock"


class Ledger:
    """A folder's ledger, for the one process that works there.

    Attributes:
      folder: of the pictures.
      entries: by each picture's path below the folder: its `state`, and what is known of it.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any]) -> None:
        """Nothing is read yet.

        Args:
          folder: it need not be there.
          made_with: what is the same of all pictures, "settings" among it, as JSON takes it. Its keys are for people.
        """
        self.folder, self._path = folder, folder / NAME
        self._made_with = json.loads(json.dumps(made_with))  # tuples become lists, as they do in the file
        self.entries: dict[str, dict[str, Any]] = {}

    @contextmanager
    def opened(self, names: Iterable[str], *, force: bool = False) -> Iterator[None]:
        """Makes the folder if it is not there, holds it, and takes over what an earlier process has done there.

        Args:
          names: the pictures that are to be made, which may be written over from now on.
          force: what was made with other settings, or is nobody's picture, is written over too.

        Raises:
          InputError: there is such a thing and no force, another process is at work, or the folder cannot be made.
        """
        names = [*names]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{argument('output')} {self.folder}: cannot be made ({error.strerror})") from None
        files.check_writable(self._path)
        with lock(self.folder / _LOCK, self.folder, wait=False):
            self.entries = self._taken_over(force)
            for name in names:
                if name not in self.entries and not force and (self.folder / name).exists():
                    told = f"{argument('output')} {self.folder / name}: is there, and not of this command's making"
                    raise InputError(f"{told}; name another folder, or write over it with {argument('force')}")
            self._tidy(names)
            for name in names:
                if self.entries.get(name, {}).get("state") != DONE:
                    self.entries[name] = {"state": WAITING}
            self._write()
            yield

    def is_done(
        self, name: str, inputs: Callable[[], Mapping[str, Any]] | None = None, *, force: bool = False
    ) -> bool:  # fmt: skip
        """Whether a picture is there, and made of these files. A photograph that was changed has its picture made anew.

        Args:
          name: of the picture.
          inputs: gives by role a list of files, each with its "sha256"; "content" is the photograph's. None where all
            are part of `made_with`.
          force: what was made of other paintings, masks or starts is made anew, too.

        Raises:
          InputError: there is such a picture, and no force.
        """
        there = self.entries[name]["state"] == DONE and (self.folder / name).is_file()
        if there and (inputs is None or self._made_of(name, inputs(), force)):
            return True
        self.entries[name] = {"state": WAITING}
        return False

    def _made_of(self, name: str, inputs: Mapping[str, Any], force: bool) -> bool:
        before, now = (_digests(each) for each in (self.entries[name]["inputs"], inputs))
        others = sorted(role for role in {*before, *now} - {"content"} if before.get(role) != now.get(role))
        if others and not force:
            told = f"{argument('output')} {self.folder / name}: was made of another {others[0]} picture"
            raise InputError(f"{told}; name another folder, or make it anew with {argument('force')}")
        return before == now

    def note(self, name: str, state: str, **about: Any) -> None:
        """Writes what has become of a picture.

        Args:
          name: the picture's.
          state: DONE or FAILED.
          **about: what is known of it, as JSON takes it.
        """
        self.entries[name] = {"state": state, **about}
        self._write()

    def remove(self) -> None:
        """Removes the pictures, the ledger and, if nothing else is in it, the folder."""
        for path in (*(self.folder / name for name in self.entries), self._path, self.folder / _LOCK):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _taken_over(self, force: bool) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._path.read_bytes())
            if found["format"] != FORMAT:
                raise ValueError(f"format {found['format']!r} is unknown")
            changed = _changed(found["made_with"], self._made_with)
            entries = {name: {"state": entry["state"], **entry} for name, entry in found["pictures"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if force:
                return {}
            told = f"{self._path}: damaged ({' '.join(str(error).split())})"
            raise InputError(f"{told}; name another folder, or begin anew with {argument('force')}") from None
        if not changed:
            return entries
        if not force:
            told = f"{argument('output')} {self.folder}: its pictures were made with other settings: {changed}"
            raise InputError(f"{told}; name another folder, or make them anew with {argument('force')}")
        return {name: {"state": WAITING} for name in entries}

    def _tidy(self, names: Iterable[str]) -> None:
        """Removes temporary files that a killed process left."""
        stems: dict[Path, set[str]] = {self.folder: {self._path.stem}}
        for path in map(self.folder.joinpath, names):
            stems.setdefault(path.parent, set()).add(path.stem)
        for folder, own in stems.items():
            if folder.is_dir():
                files.remove_leftovers(folder, own)

    def _write(self) -> None:
        whole = {"format": FORMAT, "made_with": self._made_with, "pictures": self.entries}
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        with files.atomic(self._path) as temporary:
            # A file name may hold what UTF-8 does not (lone surrogates); a backslash makes it JSON again.
            temporary.write_text(text, "utf-8", "backslashreplace")


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Where two `made_with` differ, in words; "" where they do not."""
    told = differences(before["settings"], now["settings"])
    return ", ".join(told + [key for key in now if key != "settings" and before.get(key) != now[key]])


def _digests(inputs: Mapping[str, Any]) -> dict[str, list[str]]:
    return {role: [file["sha256"] for file in named] for role, named in inputs.items()}
