"""Figures 1, 2 and 3 of the paper as tables of lanes."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from nst_jax.errors import InputError
from nst_jax.transfer.lanes import ROWS, Axes, Lane, Table, power, slug, table
from nst_jax.transfer.settings import Settings

SAMPLES = Path(str(files("nst_jax") / "samples"))
PHOTOGRAPH = SAMPLES / "schwerin_palace.jpg"
PAINTINGS = tuple(
    SAMPLES / name
    for name in ("van_gogh_street_in_auvers.jpg", "hokusai_great_wave.jpg", "kandinsky_composition_viii.jpg")
)
RATIOS_OF_FIGURE_2 = {3: (1e-3, 1e-3, 1e-4), 5: (1e-3, 1e-3, 1e-3, 1e-4, 1e-4)}
"""By the number of paintings. Five are the paper's: Turner, van Gogh and Munch, then Picasso and Kandinsky; three are
the shipped samples, of which the abstract one has the abstract ones' ratio."""
RATIOS_OF_FIGURE_3 = (1e-5, 1e-4, 1e-3, 1e-2)


def figure1(photograph: Path, painting: Path, settings: Settings) -> Table:
    """Content reconstructions from conv1_1 to conv5_1, and style reconstructions from the subsets A to E."""
    letters = "abcde"
    lanes = []
    for letter, layer in zip(letters, ROWS["E"], strict=True):
        name, weights = f"content_{letter}_{layer}", ((layer, 1.0),)
        lanes.append(Lane(name, "content", letter, str(photograph), "", 1.0, 0.0, weights, (), settings.seed))
    for letter, layers in zip(letters, ROWS.values(), strict=True):
        name, weights = f"style_{letter}_to_{layers[-1]}", tuple((layer, 1 / len(layers)) for layer in layers)
        lanes.append(Lane(name, "style", letter, str(photograph), str(painting), 0.0, 1.0, (), weights, settings.seed))
    return Table(tuple(lanes), ("content", "style"), tuple(letters), "reconstructions")


def figure2(photograph: Path, paintings: Sequence[Path], ratios: Sequence[float] | None, settings: Settings) -> Table:
    """One photograph in the styles of several paintings, each with a ratio of its own.

    Raises:
      InputError: not as many ratios as paintings, none given for a number of paintings that has no default, or more
        paintings than letters.
    """
    letters = "BCDEFGHIJKLMNOPQRSTUVWXYZ"  # A is the photograph
    if len(paintings) > len(letters):
        raise InputError(f"--style: {len(paintings)} paintings; at most {len(letters)} are allowed")
    chosen = ratios or RATIOS_OF_FIGURE_2.get(len(paintings)) or ()
    if len(chosen) != len(paintings):
        raise InputError(f"--ratio: {len(chosen)} given for {len(paintings)} paintings; give one for each")
    made = [
        table([photograph], [painting], Axes(ratios=(ratio,)), settings).lanes[0]
        for painting, ratio in zip(paintings, chosen, strict=True)
    ]
    headings = [f"{letter} {painting.stem}, {power(ratio)}" for letter, painting, ratio in zip(
        letters, paintings, chosen, strict=False)]  # fmt: skip
    lanes = [
        replace(lane, name=f"{heading[0]}_{slug(painting.stem)}", row="picture", column=heading)
        for lane, heading, painting in zip(made, headings, paintings, strict=True)
    ]
    return Table(tuple(lanes), ("picture",), tuple(headings), "style, α/β")


def figure3(photograph: Path, painting: Path, settings: Settings) -> Table:
    """Rows A to E, the cumulative subsets of style layers, by columns α/β from 1e-5 to 1e-2."""
    return table([photograph], [painting], Axes(ratios=RATIOS_OF_FIGURE_3, rows=tuple(ROWS)), settings)
