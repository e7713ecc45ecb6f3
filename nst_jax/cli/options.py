"""How a command of the command line and its options are made; options are generated from `settings.Settings`."""

import argparse
import re
from collections.abc import Callable
from dataclasses import fields
from typing import NoReturn

from nst_jax.errors import WRONG_INPUT
from nst_jax.transfer.settings import Settings


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """One line, as for every other wrong input; argparse would print the usage too."""
        self.exit(WRONG_INPUT, f"nst-jax: {' '.join(message.split())} (see {self.prog} --help)\n")


def add_command(commands, name: str, run: str | None, help: str, *examples: str) -> argparse.ArgumentParser:
    """Adds a command; `run` is the function that does it, "module.function"."""
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else None
    command = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.set_defaults(run=run)
    if run and (not run.startswith("weights_commands") or name == "normalize"):  # what computes
        command.add_argument("--no-cache", action="store_true", help="neither use nor keep compiled programs")
    return command


def add_settings(command: argparse.ArgumentParser, *groups: str) -> None:
    """Adds an option for each field of `Settings` in these groups."""
    for item in fields(Settings):
        about = item.metadata
        if about["group"] not in groups:
            continue
        default = "" if item.default is None else f" (default: {_shown(item.default)})"
        command.add_argument(
            "--" + item.name.replace("_", "-"), type=about["parse"], default=item.default,
            metavar=about["metavar"] or "|".join(about["choices"] or ()) or about["parse"].__name__.upper(),
            help=about["help"] + default,
        )  # fmt: skip


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def sets(kind: Callable[[str], tuple]) -> Callable[[str], tuple]:
    """Reads sets separated by semicolons, each by `kind`."""

    def read(text: str) -> tuple:
        return tuple(kind(part) for part in text.split(";"))

    return read


def whole_numbers(text: str) -> tuple[int, ...]:
    """Reads "0,1,2"."""
    return tuple(int(part) for part in text.split(","))


def size_in_bytes(text: str) -> int:
    """Reads "4GB" or "512MiB"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([kMGT]?)(i?)B?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 4GB")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** " kMGT".index(match[2] or " "))


def share(text: str) -> tuple[int, int]:
    """Reads "0/4" as share 0 of 4."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} must be K/N with K from 0 to N - 1")
    return int(match[1]), int(match[2])
