"""What a command says, on whatever standard streams the process has: no trouble with them ends a run."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from nst_jax.pictures import files
from nst_jax.weights.cache import heal


class _Unfailing(io.TextIOBase):
    """A stream that takes everything; after the first trouble with the stream behind it, nothing goes there."""

    def __init__(self, behind: Any) -> None:
        self.behind = behind  # None in a process that has no such stream: cron, pythonw, `2>&-`
        self.trouble = "closed" if behind is None else ""

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return getattr(self.behind, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        # A Greek letter, or a file name, that the stream cannot show is written as an escape.
        shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._try(lambda: self.behind.write(shown))
        return len(text)

    def flush(self) -> None:
        self._try(lambda: self.behind.flush())  # noqa: PLW0108 (there may be none behind)

    def isatty(self) -> bool:
        return bool(self._try(lambda: self.behind.isatty()))  # noqa: PLW0108

    def fileno(self) -> int:
        return self.behind.fileno() if self.behind is not None else super().fileno()

    def _try(self, act: Callable[[], Any]) -> Any:
        if self.trouble:
            return None
        try:
            return act()
        except (OSError, ValueError) as error:  # a reader that has gone, a full disk; ValueError is of a closed file
            self.trouble = getattr(error, "strerror", None) or str(error)
            return None


class _Lent:
    """An attribute of a module that is replaced while any command runs, in whatever thread."""

    def __init__(self, module: Any, name: str, replacement: Callable[[Any], Any]) -> None:
        self._module, self._name, self._replacement = module, name, replacement
        self._before: Any = None
        self._commands, self._lock = 0, Lock()

    def __enter__(self) -> Any:
        with self._lock:
            if not self._commands:
                self._before = getattr(self._module, self._name)
                setattr(self._module, self._name, self._replacement(self._before))
            self._commands += 1
            return getattr(self._module, self._name)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._commands -= 1
            if not self._commands:
                setattr(self._module, self._name, self._before)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    if told := heal(str(message)):
        print(f"nst-jax: note: {' '.join(told.split())}", file=sys.stderr)


_STREAMS = [_Lent(sys, name, _Unfailing) for name in ("stdout", "stderr")]
_WARNINGS = _Lent(warnings, "showwarning", lambda _: _show_warning)


@contextmanager
def unfailing(program: bool) -> Iterator[None]:
    """While it is entered, nothing that is printed fails, whether anybody takes it or not, and warnings are notes.

    Args:
      program: whether the process is this command's own, so that its descriptors are to be kept in order as well.
    """
    if program:
        _open_closed()
    with ExitStack() as stack:
        streams = [stack.enter_context(stream) for stream in _STREAMS]
        stack.enter_context(_WARNINGS)
        try:
            yield
        finally:
            for stream in streams:
                stream.flush()
                if program and stream.trouble:
                    _let_go(stream)


def check_taken() -> None:
    """For commands whose product is what they print; raises OSError unless standard output took it all."""
    sys.stdout.flush()
    if trouble := getattr(sys.stdout, "trouble", ""):
        raise OSError(f"standard output: {trouble}; what was printed is lost")


def kept(path: Path, write: Callable[[Path], None], what: str = "picture") -> Path:
    """Writes a file as `files.kept` does, and says so if it is not at `path`; returns where it is."""
    written, trouble = files.kept(path, write)
    if trouble:
        print(f"nst-jax: {path}: cannot be written ({trouble}); the {what} is in {written}", file=sys.stderr)
    return written


def _open_closed() -> None:
    """Opens the null device in place of standard descriptors that are closed.

    Otherwise the next files would be opened under their numbers, and what libraries print be written into pictures.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one


def _let_go(stream: _Unfailing) -> None:
    """Sends what a stream still holds to the null device: Python would fail to write it at its end."""
    with suppress(OSError), open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), stream.fileno())
