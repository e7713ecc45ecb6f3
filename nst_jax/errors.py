"""The one exception for what a user can put right, and the exit codes."""

import re
from collections.abc import Callable

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130  # 130: the shell's code for a program that Ctrl-C ended

_ARGUMENT = re.compile("⟦(\\w+)⟧")


class InputError(ValueError):
    """An argument or an input file is wrong.

    The message is one line: it names the argument or the file, says what was wrong and what is allowed. Arguments stand
    in it as they are typed in Python; the command line writes them as options (`message`), prints the line on standard
    error and exits with code 2.
    """

    def __str__(self) -> str:
        return self.message(str)

    def message(self, write: Callable[[str], str]) -> str:
        """The message, with the name of each marked `argument` as `write` gives it."""
        return _ARGUMENT.sub(lambda match: write(match[1]), super().__str__())


def argument(name: str) -> str:
    """An argument's name for an InputError's message, marked as such; `name` is as in Python: `style_size`."""
    return f"⟦{name}⟧"


def option(name: str) -> str:
    """An argument as the command line has it: `--style-size` for `style_size`."""
    return "--" + name.replace("_", "-")
