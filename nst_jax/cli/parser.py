"""The commands of the command line with their options. Nothing heavy is imported."""

import argparse
from dataclasses import fields
from pathlib import Path

from nst_jax import __version__
from nst_jax.cli.options import OneLineParser, OwnSize, add_command, add_settings, reader
from nst_jax.network.layers import STYLE_LAYERS
from nst_jax.pictures.constants import TRANSPARENCY
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.fields import layers, numbers, size_in_bytes
from nst_jax.transfer.settings import ORIGINAL, Settings

_OF_LOSSES = (
    "loss",
    "sweep",
    "style",
    "style-loss",
    "color",
    "color-match",
    "style-size",
    "region",
    "input",
    "weights",
    "network",
)
"""The groups of settings that the loss of a picture depends on."""


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = OneLineParser(
        prog="nst-jax", description="Neural style transfer by optimization (Gatys, Ecker & Bethge) in JAX."
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = add_command(
        commands, "stylize", "stylize_command.stylize", "one picture: a photograph's content in a painting's style",
        "nst-jax stylize photo.jpg painting.jpg -o out.png",
        "nst-jax stylize photo.jpg painting.jpg -o out.png --size 256 --ratio 1e-4 --init content",
        "nst-jax stylize photo.jpg one.jpg other.jpg -o out.png --style-blend 0.7,0.3",
        "nst-jax stylize photo.jpg painting.jpg -o out.png --convention neural-style --alpha 5 --beta 100 --pool max",
        "nst-jax stylize photo.jpg -o out.png --region sky.png=sea.jpg --region ground.png=field.jpg:grass.png",
        "nst-jax stylize photo.jpg painting.jpg -o out.png --keep face.png",
        "nst-jax stylize photo.jpg painting.jpg -o out.png --presence 0.6",
        "nst-jax stylize photos/ painting.jpg -o made/",
        "nst-jax stylize photos/ one.jpg paintings/ -o made/ --ending .jpg",
        "nst-jax stylize moving.gif painting.jpg -o out.webp --size 320",
    )  # fmt: skip
    command.add_argument(
        "content", type=Path, metavar="CONTENT", help="the photograph, a folder of them, or an animated GIF or WebP"
    )
    command.add_argument(
        "style", type=Path, nargs="*", metavar="STYLE",
        help="the painting, or several: to blend, or with a folder to make a picture with each. A folder stands for "
        "those in it",
    )  # fmt: skip
    command.add_argument(
        "-o", "--output", type=Path, required=True,
        help="picture to write: .png .jpg .webp .tif; with a folder, one to write into; of an animation, .gif .webp",
    )  # fmt: skip
    own = ("keep", "start", "noise", "seed", "search", "scales", "output")
    add_settings(command, Settings, "presence", *_OF_LOSSES, *own)
    _size(command)
    command.add_argument(
        "--transparency", choices=TRANSPARENCY, default="white",
        help="of the photograph: laid over white, or kept, so that the picture has it too, as .png .webp .tif "
        "(default: white)",
    )  # fmt: skip
    command.add_argument(
        "--memory", type=reader(size_in_bytes), metavar="SIZE",
        help="memory to use, e.g. 4GB; a picture that needs more is computed in strips (default: most of what is free)",
    )  # fmt: skip
    command.add_argument("--save-every", type=int, metavar="N", help="also save a numbered picture every N evaluations")
    command.add_argument(
        "--timelapse", type=Path, metavar="FILE",
        help="also write how the picture was made, in about 40 frames: .gif .webp (`nst-jax timelapse` makes others)",
    )  # fmt: skip
    command.add_argument(
        "--tensorboard", type=Path, metavar="DIR",
        help="also write losses, measures and pictures into this folder, for TensorBoard (extra tensorboard)",
    )  # fmt: skip
    command.add_argument("--ending", metavar=".jpg", help="with a folder: of the pictures to write (default: .png)")
    command.add_argument(
        "--force", action="store_true",
        help="with a folder or an animation: make anew what is there of other settings, or of nobody's making",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress, no summary")
    command.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")

    command = add_command(
        commands, "reconstruct", "commands.reconstruct", "figure 1's reconstructions of any picture",
        "nst-jax reconstruct content photo.jpg -o folder",
        "nst-jax reconstruct style painting.jpg -o folder --layers conv1_1,conv2_1 --size 256",
    )  # fmt: skip
    command.add_argument("kind", choices=("content", "style"), help="from single layers, or from cumulative subsets")
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder to write pictures into")
    command.add_argument(
        "--layers", type=layers, default=STYLE_LAYERS, metavar="LAYERS",
        help=f"(default: {','.join(STYLE_LAYERS)})",
    )  # fmt: skip
    add_settings(command, Settings, "noise", "seed", "search", "size", "input", "weights", "network", "output")
    command.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    command.add_argument("--quiet", action="store_true", help="no progress, no file names")

    _pictures(commands)
    _timelapse(commands)

    command = add_command(
        commands, "evaluate", "commands.evaluate", "the loss of any picture, in parts, as JSON",
        "nst-jax evaluate out.png --content photo.jpg --style painting.jpg",
        "nst-jax evaluate out.png --content photo.jpg --style painting.jpg --measures",
    )  # fmt: skip
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument("--content", type=Path, required=True)
    command.add_argument("--style", type=Path, nargs="+", default=[], help="needed unless there is a --region")
    command.add_argument(
        "--measures", action="store_true", dest="with_measures",
        help="also how much of both is in it, the scale of its structure, and how far grids stand out",
    )  # fmt: skip
    add_settings(command, Settings, *_OF_LOSSES)

    command = add_command(
        commands, "features", "features_commands.features", "the style representation of pictures, for other uses",
        "nst-jax features painting.jpg -o painting.npz",
        "nst-jax features folder -o paintings.npz --kind compact --size 256",
        "nst-jax features folder -o paintings.npz --skip-bad",
        """python -c "import numpy; file = numpy.load('paintings.npz'); print(file['names'], file['conv5_1'])\"""",
    )  # fmt: skip
    command.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="PICTURE|FOLDER",
        help="pictures, or folders of them and of sub-folders; another height or width is compiled anew",
    )
    command.add_argument(
        "-o", "--output", type=Path, required=True,
        help="file to write: .npz of `names` (relative to a single folder, else as given) and an array for each layer",
    )  # fmt: skip
    command.add_argument(
        "--kind", choices=("gram", "compact"), default="gram",
        help="Gram matrices per position, [pictures, N, N], or each filter's mean and then its standard deviation over "
        "positions, [pictures, 2N] (default: gram)",
    )  # fmt: skip
    _skip_bad(command)
    command.add_argument("--quiet", action="store_true", help="no progress")
    add_settings(command, Settings, "style", "size", "input", "weights", "network")

    _sweeps(commands)
    _weights(commands)
    return top


def _pictures(commands: argparse._SubParsersAction) -> None:
    command = add_command(
        commands, "recolor", "commands.recolor", "the colors of a photograph for any picture",
        "nst-jax recolor stylized.png --like photo.jpg -o out.png",
        "nst-jax recolor painting.jpg --like photo.jpg -o painting_like_photo.png --color match --color-match monge",
    )  # fmt: skip
    command.add_argument("image", type=Path, metavar="PICTURE")
    command.add_argument("--like", type=Path, required=True, metavar="PHOTO", help="whose colors it gets")
    command.add_argument("-o", "--output", type=Path, required=True, help="picture to write: .png .jpg .webp .tif")
    command.add_argument(
        "--color", choices=("luminance", "match"), default="luminance",
        help="luminance: the photograph's color at each pixel, for a picture made of it; match: its mean color and "
        "covariance, for any picture (default: luminance)",
    )  # fmt: skip
    add_settings(command, Settings, "color-match", "input", "output")
    command.add_argument("--quiet", action="store_true", help="no summary")

    command = add_command(
        commands, "blend-styles", "commands.blend_styles",
        "a painting with the fine structure of one and the coarse structure of another",
        "nst-jax blend-styles brushwork.jpg composition.jpg -o style.png",
        "nst-jax blend-styles brushwork.jpg composition.jpg -o style.png --style-layers conv1_1,conv2_1 --size 1024",
    )  # fmt: skip
    command.add_argument("fine", type=Path, metavar="FINE", help="the painting whose strokes it has")
    command.add_argument("coarse", type=Path, metavar="COARSE", help="the painting whose shapes it has")
    command.add_argument("-o", "--output", type=Path, required=True, help="picture to write: .png .jpg .webp .tif")
    add_settings(
        command, Settings, "style", "color", "color-match", "search", "size", "style-size", "input", "weights",
        "network", "output",
    )  # fmt: skip
    command.set_defaults(**{"Settings.style_layers": ("conv1_1", "conv2_1")})
    command.add_argument(
        "--memory", type=reader(size_in_bytes), metavar="SIZE",
        help="memory to use, e.g. 4GB (default: most of what is free)",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress, no summary")


def _timelapse(commands: argparse._SubParsersAction) -> None:
    command = add_command(
        commands, "timelapse", "timelapse_command.run",
        "an animation of how a picture was made, or of a sweep along α/β",
        "nst-jax timelapse out.png -o out.gif",
        "nst-jax timelapse folder -o folder.webp --seconds 0.5",
        'nst-jax timelapse folder -o row.gif --row "D conv4_1"',
        "nst-jax timelapse first.png second.png third.png -o out.gif",
    )  # fmt: skip
    command.add_argument(
        "sources", type=Path, nargs="+", metavar="PICTURE|FOLDER",
        help="a picture made with `stylize --save-every`, whose numbered ones are found beside it; or pictures in "
        "order; or a run folder, each lane of a row a frame, in the order of α/β or of the columns",
    )  # fmt: skip
    command.add_argument("-o", "--output", type=Path, required=True, help="animation to write: .gif .webp")
    command.add_argument("--row", metavar="HEADING", help="of a run folder: this row (default: the first)")
    command.add_argument("--all-rows", action="store_true", help="of a run folder: one row after the other")
    command.add_argument(
        "--seconds", type=float, default=0.1, metavar="FLOAT", help="how long each frame stays (default: 0.1)"
    )
    command.add_argument(
        "--hold", type=float, default=1.0, metavar="FLOAT", help="how much longer the last one stays (default: 1)"
    )
    command.add_argument(
        "--size", type=int, metavar="INT", help="longest side of the pictures in pixels (default: their own)"
    )
    command.add_argument("--quiet", action="store_true", help="no summary")


def _skip_bad(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--skip-bad", action="store_true",
        help="leave out pictures that cannot be read, name them at the end and exit with 1 (default: refuse them all, "
        "before anything is computed)",
    )  # fmt: skip


def _sweeps(commands: argparse._SubParsersAction) -> None:
    command = add_command(
        commands, "sweep", "sweep_commands.sweep", "many pictures in one compiled program, into a run folder",
        "nst-jax sweep photo.jpg painting.jpg -o folder --ratio 1e-5,1e-4,1e-3,1e-2 --rows A,B,C,D,E",
        "nst-jax sweep photo.jpg one.jpg other.jpg -o folder --presence 0.2,0.4,0.6,0.8",
        "nst-jax sweep photo.jpg one.jpg other.jpg -o folder --seed 0,1,2 --size 256 --dry-run",
        "nst-jax sweep photo.jpg painting.jpg -o folder --seed 0,1,2 --serve",
        'nst-jax sweep photo.jpg painting.jpg -o folder --style-layers "conv1_1;conv1_1,conv2_1"',
        "nst-jax sweep photo.jpg -o folder --region sky.png=sea.jpg --ratio 1e-4,1e-3 --vary region-edges=inside,all",
        "nst-jax sweep --from folder/run.json -o again",
        "nst-jax sweep --from folder/run.json -o again --find-in /mnt/pictures",
    )  # fmt: skip
    command.add_argument("content", type=Path, nargs="?", metavar="CONTENT", help="the photograph")
    command.add_argument("style", type=Path, nargs="*", metavar="STYLE", help="the painting, or several to sweep over")
    command.add_argument("--more-content", type=Path, nargs="+", default=[], metavar="FILE",
                         help="more photographs of the same size to sweep over")  # fmt: skip
    command.add_argument("--table", type=Path, metavar="FILE", help="lanes from a CSV or JSON file, one a line")
    command.add_argument("--from", type=Path, dest="source", metavar="RUN", help="run a run.json again")
    _find_in(command, "with --from: ")
    axes = command.add_argument_group("what to sweep over (lists separated by commas, sets by semicolons)")
    add_settings(axes, Axes, "axes", "vary")
    _run_options(command)
    add_settings(
        command,
        Settings,
        "search",
        "style-size",
        "input",
        "weights",
        "network",
        "start",
        "noise",
        "scales",
        "sweep",
        "style-loss",
        "color",
        "color-match",
        "region",
        "keep",
        "output",
    )
    _size(command)

    command = add_command(
        commands, "figure", "sweep_commands.figure", "the paper's figures, from any pictures",
        "nst-jax figure 3 -o folder",
        "nst-jax figure 2 -o folder --content photo.jpg --style one.jpg two.jpg three.jpg",
    )  # fmt: skip
    command.add_argument("number", type=int, choices=(1, 2, 3))
    command.add_argument("--content", type=Path, help="the photograph (default: a shipped one)")
    command.add_argument(
        "--style", type=Path, nargs="+", default=[], help="the painting or paintings (default: shipped)"
    )
    command.add_argument("--ratio", type=numbers, default=(), metavar="LIST",
                         help="figure 2: α/β of each painting (default: the paper's)")  # fmt: skip
    _run_options(command)
    add_settings(
        command, Settings, "noise", "seed", "search", "scales", "size", "style-size", "input", "weights", "network",
        "output",
    )  # fmt: skip

    command = add_command(
        commands, "resume", "sweep_commands.resume", "go on with a sweep or figure that was interrupted",
        "nst-jax resume folder",
        "nst-jax resume folder --find-in /mnt/pictures --find-in ~/weights",
    )  # fmt: skip
    command.add_argument("folder", type=Path, metavar="DIR")
    _find_in(command, "")
    add_settings(command, RunOptions, "work")
    _serve(command)


def _find_in(command: argparse.ArgumentParser, when: str) -> None:
    command.add_argument(
        "--find-in", type=Path, action="append", default=[], metavar="FOLDER",
        help=f"{when}look below this folder for inputs that were moved or changed: pictures, a weights file, the "
        "run folder that lanes start from. They are known by their sha256, whatever they are called; where they were "
        "found is kept in moved.json, for the next time. May be given several times",
    )  # fmt: skip


def _size(command: argparse.ArgumentParser) -> None:
    (item,) = (item for item in fields(Settings) if item.name == "size")
    command.add_argument(
        "--size", action=OwnSize, dest="Settings.size", default=item.default,
        help=f"{item.metadata['help']}, or {ORIGINAL}, the photograph's own (default: {item.default})",
    )  # fmt: skip
    command.set_defaults(original_size=False)


def _run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", type=Path, metavar="DIR", help="run folder to make")
    how = command.add_argument_group("how to run it")
    add_settings(how, RunOptions, "begin", "work")
    _serve(how)


def _serve(command: argparse._ActionsContainer) -> None:
    (about,) = (item.metadata for item in fields(RunOptions) if item.name == "serve")
    command.add_argument(
        "--serve", type=int, nargs="?", const=0, metavar=about["metavar"], dest="RunOptions.serve", help=about["help"]
    )


def _weights(commands: argparse._SubParsersAction) -> None:
    group = add_command(
        commands, "weights", None, "parameters: list, verify, convert, normalize, quantize, compare, fetch"
    )
    group = group.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_command(group, "list", "weights_commands.show_all", "the parameters known by name", "nst-jax weights list")
    command = add_command(
        group, "verify", "weights_commands.verify", "whether parameters are sound",
        "nst-jax weights verify", "nst-jax weights verify mine.h5",
    )  # fmt: skip
    command.add_argument("names", nargs="*", metavar="NAME", help="names or files (default: all that are there)")
    command = add_command(
        group, "convert", "weights_commands.convert", "Keras, torch, MatConvNet or .npz to our format",
        "nst-jax weights convert imagenet-vgg-verydeep-19.mat -o mine.h5",
    )  # fmt: skip
    command.add_argument("source", type=Path, metavar="FILE")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .h5")
    command.add_argument("--preprocessing", choices=("auto", "caffe", "torchvision"), default="auto")
    command = add_command(
        group, "normalize", "weights_commands.normalize", "make mean activations over pictures one",
        "nst-jax weights normalize photographs -o normalized.h5",
        "nst-jax weights normalize photographs -o means.h5 --means-only",
        "nst-jax weights normalize photographs -o normalized.h5 --skip-bad",
    )  # fmt: skip
    command.add_argument("folder", type=Path, metavar="FOLDER")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .h5")
    command.add_argument(
        "--means-only", action="store_true",
        help="write the mean activations alone (47 kB), which load as the normalized network of their weights",
    )  # fmt: skip
    _skip_bad(command)
    command.add_argument("--quiet", action="store_true", help="no progress")
    add_settings(command, Settings, "size", "input", "weights")
    command = add_command(
        group, "quantize", "weights_commands.quantize", "few values for each layer's kernel, stored in 8 bits or fewer",
        "nst-jax weights quantize vgg19-full -o mine.h5", "nst-jax weights quantize vgg19 -o mine.h5 --bits 6",
    )  # fmt: skip
    command.add_argument("source", metavar="NAME|FILE", help="parameters: a name that `weights list` shows, or a file")
    command.add_argument("-o", "--output", type=Path, required=True, help="file to write: .h5")
    command.add_argument(
        "--bits", type=int, default=8, metavar="1-8", help="2 to this power are the values (default: 8)"
    )
    command = add_command(
        group, "compare", "compare_command.run", "how far activations, gradients and pictures made with A are from B's",
        "nst-jax weights compare vgg19 vgg19-full",
        "nst-jax weights compare mine.h5 vgg19 --size 128 --evaluations 100",
    )  # fmt: skip
    command.add_argument("first", metavar="A", help="parameters: a name that `weights list` shows, or a file")
    command.add_argument("second", metavar="B", help="others, which differences are relative to")
    command.add_argument("--content", type=Path, metavar="FILE", help="the photograph (default: a shipped one)")
    command.add_argument("--style", type=Path, metavar="FILE", help="the painting (default: a shipped one)")
    command.add_argument("--evaluations", type=int, metavar="N",
                         help="also make a picture with each, in N evaluations")  # fmt: skip
    command.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    add_settings(command, Settings, "seed", "noise", "size", "input", "network")
    command = add_command(
        group, "fetch", "weights_commands.fetch", "download the original float32 parameters (80 MB) as vgg19-full",
        "nst-jax weights fetch", "nst-jax stylize photo.jpg painting.jpg -o out.png --weights vgg19-full",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress")
