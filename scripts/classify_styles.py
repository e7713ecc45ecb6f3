#!/usr/bin/env python3
"""Tells pictures of several styles apart by a linear classifier, scored by cross-validation.

    pip install ".[examples]"
    python scripts/classify_styles.py FOLDER --tiles 2

FOLDER holds a folder of pictures for each class, such as a painter or a material. The table compares three
representations of each layer: the Gram matrix per position of equation 3, the means and standard deviations of its
filters, and its activations themselves, averaged to 8x8 positions, so that they still say what is where. Its first line
is of the pixels, its last of all layers together.

Pictures are cut into square tiles. All tiles of a picture are in one fold, so that no classifier is tested on a picture
of which it has seen a part. Of each representation the square roots are taken, they are centered and brought to mean
square one on the training tiles alone, and a linear support vector machine is trained on them; layers together have
equal shares. The accuracy is balanced, the mean over classes, so that chance is one over their number; after it comes
its standard deviation over folds.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nst_jax.cli.progress import PictureCounter
from nst_jax.errors import WRONG_INPUT, InputError, option
from nst_jax.loss.losses import style_representation
from nst_jax.measures.descriptors import channel_statistics
from nst_jax.network.layers import STYLE_LAYERS
from nst_jax.network.vgg import check_layers, features, prepare
from nst_jax.pictures import images
from nst_jax.transfer.fields import layers
from nst_jax.weights import weights

GRID = 8  # positions a side that activations are averaged to; conv5_1 has as many at 128 pixels
KINDS = ("Gram", "mean and deviation", "activations")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="holds a folder of pictures for each class")
    parser.add_argument("--tiles", type=int, default=1, metavar="N",
                        help="tiles across a picture's shorter side (default: 1)")  # fmt: skip
    parser.add_argument(
        "--size", type=int, default=128, help="side of a tile in pixels, a multiple of 128 (default: 128)"
    )
    parser.add_argument("--grey", action="store_true", help="take the colors away")
    parser.add_argument("--layers", type=layers, default=STYLE_LAYERS, help=f"(default: {','.join(STYLE_LAYERS)})")
    parser.add_argument("--weights", default="vgg19", metavar="NAME|FILE", help="parameters (default: vgg19)")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation (default: 5)")
    parser.add_argument("--repeats", type=int, default=4, help="times it is done, on other folds (default: 4)")
    parser.add_argument("--strength", type=float, default=10.0, metavar="C", help="of the classifier (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")
    arguments = parser.parse_args()
    try:
        table(arguments)
    except InputError as error:
        print(f"classify_styles: {error.message(option)}", file=sys.stderr)
        return WRONG_INPUT
    return 0


def table(arguments: argparse.Namespace) -> None:
    """Prints the accuracies; raises InputError for wrong arguments and pictures."""
    if arguments.size < 128 or arguments.size % 128:
        raise InputError(f"--size: {arguments.size} is not allowed; must be a multiple of 128")
    for name, least in (("tiles", 1), ("folds", 2), ("repeats", 1)):
        if getattr(arguments, name) < least:
            raise InputError(f"--{name}: {getattr(arguments, name)} is not allowed; must be at least {least}")
    chosen = check_layers(arguments.layers, "--layers")
    classes = pictures_by_class(arguments.folder, arguments.folds)
    try:
        from sklearn.model_selection import StratifiedGroupKFold  # pyright: ignore[reportMissingImports]  # noqa: PLC0415
    except ImportError:
        raise InputError("scikit-learn is missing; pip install 'nst_jax[examples]' brings it") from None
    tiles, labels, groups = cut(classes, arguments.tiles, arguments.size, arguments.grey)
    params = jax.device_put(prepare(weights.load(arguments.weights), chosen))
    vectors = []
    with PictureCounter("tiles", len(tiles), quiet=False) as report:
        for tile in tiles:
            vectors.append(jax.device_get(representations(params, tile, chosen)))
            report("represented")
    kernels = kernels_of(vectors)
    counts = ", ".join(f"{name} {len(paths)}" for name, paths in classes.items())
    print(
        f"Pictures: {counts}. {len(tiles)} tiles of {arguments.size} pixels{', grey' if arguments.grey else ''}; ",
        end="",
    )
    print(f"{arguments.repeats} times {arguments.folds} folds; chance {100 / len(classes):.1f} %.\n")
    print("| | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    splits = [
        split
        for repeat in range(arguments.repeats)
        for split in StratifiedGroupKFold(arguments.folds, shuffle=True, random_state=arguments.seed + repeat).split(
            labels, labels, groups
        )
    ]
    rows = {layer: [layer] for layer in ("pixels", *chosen)}
    for row, together in {**rows, "all layers": list(chosen)}.items():
        cells = []
        for kind in KINDS:
            kernel = [kernels[kind, layer] for layer in together]
            scores = 100 * np.array([accuracy(kernel, labels, *split, strength=arguments.strength) for split in splits])
            cells.append(f"{scores.mean():.1f} ± {scores.std():.1f}")
        print(f"| {row} | " + " | ".join(cells) + " |", flush=True)


def pictures_by_class(folder: Path, folds: int) -> dict[str, list[Path]]:
    """{class: paths}; raises InputError unless there are two classes and each fold can have a picture of each."""
    folders = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
    if len(folders) < 2:
        raise InputError(
            f"FOLDER {folder}: {len(folders)} folders in it; must hold one for each of at least two classes"
        )
    found = {path.name: images.pictures_in(path, "class") for path in folders}
    for name, paths in found.items():
        if len(paths) < folds:
            raise InputError(f"class {name}: {len(paths)} pictures; must be at least as many as --folds, {folds}")
    return found


def cut(
    classes: dict[str, list[Path]], across: int, size: int, grey: bool
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """All tiles, [size, size, 3] float32 each, the class of each and the picture it is from."""
    tiles, labels, groups = [], [], []
    pictures = [(label, path) for label, paths in enumerate(classes.values()) for path in paths]
    for group, (label, path) in enumerate(pictures):
        new = [images.resize(tile, size, size) for tile in squares(images.read_image(path), across)]
        if grey:
            new = [np.repeat(tile.mean(-1, keepdims=True), 3, axis=-1) for tile in new]
        tiles += new
        labels += [label] * len(new)
        groups += [group] * len(new)
    return tiles, np.array(labels), np.array(groups)


def squares(image: np.ndarray, across: int) -> list[np.ndarray]:
    """As many squares from the middle of an image as fit, `across` of them along its shorter side."""
    side = max(1, min(image.shape[:2]) // across)
    counts = [length // side for length in image.shape[:2]]
    top, left = ((length - count * side) // 2 for length, count in zip(image.shape[:2], counts, strict=True))
    corners = [(top + row * side, left + column * side) for row in range(counts[0]) for column in range(counts[1])]
    return [image[y : y + side, x : x + side] for y, x in corners]


@partial(jax.jit, static_argnames="chosen")
def representations(params: Any, tile: jax.Array, chosen: tuple[str, ...]) -> dict[tuple[str, str], jax.Array]:
    """{(kind, layer): vector}, of the pixels too: the square roots of what is nowhere negative."""
    found = {}
    for layer, activation in {"pixels": tile, **features(params, tile, chosen)}.items():
        height, width, channels = activation.shape
        gram = style_representation(activation)
        coarse = activation.reshape(GRID, height // GRID, GRID, width // GRID, channels).mean((1, 3))
        for kind, values in zip(
            KINDS,
            (gram[jnp.triu_indices(channels)], channel_statistics(activation), coarse.reshape(-1)),
            strict=True,
        ):
            found[kind, layer] = jnp.sqrt(values)
    return found


def kernels_of(rows: list[dict[tuple[str, str], np.ndarray]]) -> dict[tuple[str, str], np.ndarray]:
    """The scalar products of all tiles' vectors with one another, [tiles, tiles] for each kind and layer."""
    kernels = {}
    for key in tuple(rows[0]):
        matrix = np.stack([row.pop(key) for row in rows])
        matrix -= matrix.mean(0)  # changes nothing below, where the training tiles' mean is subtracted, but rounding
        kernels[key] = (matrix @ matrix.T).astype(np.float64)
    return kernels


def centered(kernel: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The scalar products of vectors of which the training tiles have mean zero and mean square one."""
    mean = kernel[:, train].mean(1)
    moved = kernel - mean[:, None] - mean + mean[train].mean()
    return moved / np.diag(moved)[train].mean()


def accuracy(
    kernels: list[np.ndarray], labels: np.ndarray, train: np.ndarray, test: np.ndarray, *, strength: float
) -> float:
    """The share of test tiles that are told right, averaged over the classes that are among them."""
    from sklearn.svm import SVC  # pyright: ignore[reportMissingImports]  # noqa: PLC0415

    kernel = np.mean([centered(kernel, train) for kernel in kernels], axis=0)
    classifier = SVC(C=strength, kernel="precomputed", class_weight="balanced")
    classifier.fit(kernel[np.ix_(train, train)], labels[train])
    right = classifier.predict(kernel[np.ix_(test, train)]) == labels[test]
    return float(np.mean([right[labels[test] == label].mean() for label in np.unique(labels[test])]))


if __name__ == "__main__":
    sys.exit(main())
