"""Every command's `--help`, from the parser."""

import argparse
from collections.abc import Iterator

from nst_jax.cli.parser import parser


def every_help() -> str:
    """A section for each command, as Markdown."""
    return "\n".join(f"## {name}\n```text\n{help}```\n" for name, help in helps(parser()))


def helps(of: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The program's or a command's name and help, and those of the commands in it."""
    yield of.prog, of.format_help()
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from helps(command)
