"""The command line, generated from `settings.Settings`. Nothing heavy is imported before a command needs it."""

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from nst_jax import __version__
from nst_jax.errors import InputError
from nst_jax.settings import Settings, layers

WRONG_INPUT, FAILED, INTERRUPTED = 2, 1, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for every other wrong input; argparse would print the usage too."""
        self.exit(WRONG_INPUT, f"nst-jax: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns 0 when done, 1 when the run failed, 2 for wrong input, 130 after Ctrl-C."""
    warnings.showwarning = _show_warning
    try:
        chosen = vars(_parser().parse_args(arguments))
        module, function = chosen.pop("run").split(".")
        given = {item.name: chosen.pop(item.name) for item in fields(Settings) if item.name in chosen}
        if given:
            chosen["settings"] = Settings(**given)
        return getattr(importlib.import_module(f"nst_jax.{module}"), function)(**chosen)
    except InputError as error:
        code, message = WRONG_INPUT, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except (OSError, MemoryError) as error:
        code, message = FAILED, f"{error}" or type(error).__name__
    print("nst-jax: " + " ".join(message.split()), file=sys.stderr)
    return code


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"nst-jax: note: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="nst-jax", description="Neural style transfer by optimisation (Gatys, Ecker & Bethge) in JAX."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = _command(
        commands, "stylize", "commands.stylize", "one picture: a photograph's content in a painting's style",
        "nst-jax stylize photo.jpg painting.jpg -o out.png",
        "nst-jax stylize photo.jpg painting.jpg -o out.png --size 256 --ratio 1e-4 --init content",
        "nst-jax stylize photo.jpg one.jpg other.jpg -o out.png --style-blend 0.7,0.3",
    )  # fmt: skip
    command.add_argument("content", type=Path, metavar="CONTENT", help="the photograph")
    command.add_argument("style", type=Path, nargs="+", metavar="STYLE", help="the painting, or several to blend")
    command.add_argument("-o", "--output", type=Path, required=True, help="picture to write: .png .jpg .webp .tif")
    _settings(command, "loss", "style", "start", "noise", "search", "size", "style-size", "input", "weights", "network")
    command.add_argument("--save-every", type=int, metavar="N", help="also save a numbered picture every N evaluations")
    command.add_argument("--quiet", action="store_true", help="no progress, no summary")
    command.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")

    command = _command(
        commands, "reconstruct", "commands.reconstruct", "figure 1's reconstructions of any picture",
        "nst-jax reconstruct content photo.jpg -o folder",
        "nst-jax reconstruct style painting.jpg -o folder --layers conv1_1,conv2_1 --size 256",
    )  # fmt: skip
    command.add_argument("kind", choices=("content", "style"), help="from single layers, or from cumulative subsets")
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder to write pictures into")
    command.add_argument(
        "--layers", type=layers, default=("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"), metavar="LAYERS",
        help="(default: conv1_1,conv2_1,conv3_1,conv4_1,conv5_1)",
    )  # fmt: skip
    _settings(command, "noise", "search", "size", "input", "weights", "network")
    command.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    command.add_argument("--quiet", action="store_true", help="no progress, no file names")

    command = _command(
        commands, "evaluate", "commands.evaluate", "the loss of any picture, in parts, as JSON",
        "nst-jax evaluate out.png --content photo.jpg --style painting.jpg",
    )  # fmt: skip
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument("--content", type=Path, required=True)
    command.add_argument("--style", type=Path, nargs="+", required=True)
    _settings(command, "loss", "style", "style-size", "input", "weights", "network")

    command = _command(
        commands, "features", "commands.features", "a picture's style representation (Gram matrices) for other uses",
        "nst-jax features painting.jpg -o painting.npz",
    )  # fmt: skip
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .npz")
    _settings(command, "style", "size", "input", "weights", "network")

    _weights(commands)
    return parser


def _weights(commands: argparse._SubParsersAction) -> None:
    group = _command(commands, "weights", None, "parameters: list, verify, convert, normalise, fetch")
    group = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _command(group, "list", "weights_commands.show_all", "the parameters known by name", "nst-jax weights list")
    command = _command(
        group, "verify", "weights_commands.verify", "whether parameters are sound",
        "nst-jax weights verify", "nst-jax weights verify mine.h5",
    )  # fmt: skip
    command.add_argument("names", nargs="*", metavar="NAME", help="names or files (default: all that are there)")
    command = _command(
        group, "convert", "weights_commands.convert", "Keras, torch, MatConvNet or .npz to our format",
        "nst-jax weights convert imagenet-vgg-verydeep-19.mat -o mine.h5",
    )  # fmt: skip
    command.add_argument("source", type=Path, metavar="FILE")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .h5")
    command.add_argument("--preprocessing", choices=("auto", "caffe", "torchvision"), default="auto")
    command = _command(
        group, "normalise", "weights_commands.normalise", "make mean activations over pictures one",
        "nst-jax weights normalise photographs -o normalised.h5",
    )  # fmt: skip
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .h5")
    command.add_argument("--quiet", action="store_true", help="no progress")
    _settings(command, "size", "input", "weights")
    command = _command(
        group, "fetch", "weights_commands.fetch", "download the original float32 parameters (80 MB) as vgg19-full",
        "nst-jax weights fetch", "nst-jax stylize photo.jpg painting.jpg -o out.png --weights vgg19-full",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress")


def _command(commands, name: str, run: str | None, help: str, *examples: str) -> argparse.ArgumentParser:
    epilog = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else None
    command = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.set_defaults(run=run)
    return command


def _settings(command: argparse.ArgumentParser, *groups: str) -> None:
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
