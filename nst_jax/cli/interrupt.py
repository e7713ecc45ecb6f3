"""Signals that end a program: Ctrl-C, and those of `docker stop`, batch systems and closed terminals."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SHELL_CODE = 128  # what shells add to the number of a signal that ended a program


class Interrupt:
    """While it is entered, the first signal only sets `number`, so that work ends tidily; the second ends it at once.

    Attributes:
      number: of the signal that came; 0 as long as none has.
    """

    number = 0

    @property
    def code(self) -> int:
        """The exit code of a program that the signal ended, as shells have it."""
        return SHELL_CODE + self.number

    def __enter__(self) -> Self:
        def note(number: int, _frame: object) -> None:
            self.number = number
            _restore(self._before)

        self._before = _handled(note)
        return self

    def __exit__(self, *_: object) -> None:
        _restore(self._before)


@contextmanager
def ending() -> Iterator[None]:
    """A signal to end raises SystemExit with its exit code, so that what is half written is removed."""

    def end(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(SHELL_CODE + number)

    before = _handled(end)
    try:
        yield
    finally:
        _restore(before)


def _handled(handler: Callable[[int, object], None]) -> dict[int, Any]:
    """Has a function hear of the signals; gives the handlers before. Signals that are ignored (nohup) stay so.

    In a thread that is not the main one nothing is done: Python lets it set no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    ours = [each for each in _SIGNALS if signal.getsignal(each) not in (signal.SIG_IGN, None)]
    return {each: signal.signal(each, handler) for each in ours}


def _restore(before: dict[int, Any]) -> None:
    for each, handler in before.items():
        signal.signal(each, handler)
