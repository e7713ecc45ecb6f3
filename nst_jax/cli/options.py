"""How a command of the command line and its options are made; options are generated from dataclasses of settings."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from nst_jax.errors import WRONG_INPUT, InputError, option
from nst_jax.transfer.settings import ORIGINAL


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """One line, as for every other wrong input; argparse would print the usage too."""
        self.exit(WRONG_INPUT, f"nst-jax: {' '.join(message.split())} (see {self.prog} --help)\n")


class OwnSize(argparse.Action):
    """A size in pixels or, as `original_size` beside it, the photograph's own, which only the command can find out."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, type=reader(self._side), metavar=f"INT|{ORIGINAL}", **options)

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        """The last of several counts."""
        namespace.original_size = values is None
        setattr(namespace, self.dest, self.default if values is None else values)

    @staticmethod
    def _side(text: str) -> int | None:
        if text == ORIGINAL:
            return None
        try:
            return int(text)
        except ValueError:
            raise InputError(f"{text!r} is neither a whole number nor {ORIGINAL}") from None


def add_command(commands, name: str, run: str | None, help: str, *examples: str) -> argparse.ArgumentParser:
    """Adds a command; `run` is the function that does it, "module.function"."""
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else None
    command = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.set_defaults(run=run)
    others = ("weights_commands", "timelapse_command")
    if run and (not run.startswith(others) or name == "normalize"):  # what computes
        command.add_argument("--no-cache", action="store_true", help="neither use nor keep compiled programs")
    return command


def add_settings(command: Any, kind: type, *groups: str) -> None:
    """Adds an option for each field of a dataclass of settings in these groups; `entry` makes the dataclass of them.

    Args:
      command: a parser, or a group of its options.
    """
    for item in fields(kind):
        about = item.metadata
        if about["group"] not in groups:
            continue
        options: dict[str, Any] = {"dest": f"{kind.__name__}.{item.name}", "default": item.default}
        if about["parse"] is bool:
            command.add_argument(option(item.name), action="store_true", help=about["help"], **options)
            continue
        parse = about["repeated"] or about["parse"]
        if about["repeated"]:
            options |= {"action": "append", "default": []}
        default = "" if item.default in (None, ()) else f" (default: {_shown(item.default)})"
        command.add_argument(
            option(item.name), type=reader(parse),
            metavar=about["metavar"] or _metavar(about), help=about["help"] + default, **options,
        )  # fmt: skip


def reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """`parse` for argparse, which tells of an InputError in its own words."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    read.__name__ = parse.__name__  # argparse's errors name it
    return read


def _metavar(about: Any) -> str:
    if about["group"] == "axes":
        return "LIST"
    return "|".join(map(str, about["choices"] or ())) or about["parse"].__name__.upper()


def _shown(value: object) -> str:
    if not isinstance(value, tuple):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return ",".join(map(str, value)) if isinstance(value[0], str) else "/".join(map(str, value))
