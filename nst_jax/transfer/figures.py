"""Figures 1, 2 and 3 of the paper as tables of lanes."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from nst_jax.errors import InputError, argument
from nst_jax.network.layers import ROWS
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Lane, Table, table
from nst_jax.transfer.names import power, slug
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


def reconstructions(kind: str, content: str, style: str, layers: Sequence[str], settings: Settings) -> Table:
    """Reconstructs a picture's content from single layers, or its style from cumulative subsets: figure 1's lanes.

    Args:
      kind: "content" or "style".
      content: the content picture, whose size the lanes have.
      style: the style picture.
      layers: names, in the network's order.
      settings: of all lanes.

    Returns:
      The table, of one lane for each layer; in float32 unless the settings name another precision, since the losses
      of low layers end near zero.
    """
    lanes = []
    for number, layer in enumerate(layers):
        subset = tuple((name, 1 / (number + 1)) for name in layers[: number + 1])
        own = ("", 1.0, 0.0, ((layer, 1.0),), ()) if kind == "content" else (style, 0.0, 1.0, (), subset)
        name = f"content_{layer}" if kind == "content" else f"style_to_{layer}"
        lanes.append(Lane(name, kind, layer, content, *own, settings.seed))
    return Table(tuple(lanes), (kind,), tuple(layers), "reconstructions", settings.exact)


def figure1(photograph: Path, painting: Path, settings: Settings) -> Table:
    """Makes figure 1: content reconstructions from conv1_1 to conv5_1, style reconstructions from the subsets A to E.

    Args:
      photograph: the content picture's file.
      painting: the style picture's file.
      settings: of all lanes.

    Returns:
      The table, of ten lanes.
    """
    letters = "abcde"
    lanes = [
        replace(lane, name=f"{kind}_{letter}_{lane.name.removeprefix(f'{kind}_')}", column=letter)
        for kind in ("content", "style")
        for letter, lane in zip(
            letters, reconstructions(kind, str(photograph), str(painting), ROWS["E"], settings).lanes, strict=True
        )
    ]
    return Table(tuple(lanes), ("content", "style"), tuple(letters), "reconstructions", settings.exact)


def figure2(photograph: Path, paintings: Sequence[Path], ratios: Sequence[float] | None, settings: Settings) -> Table:
    """Makes figure 2: one photograph in the styles of several paintings, each with a ratio of its own.

    Args:
      photograph: the content picture's file.
      paintings: the style pictures' files.
      ratios: α/β for each; None for RATIOS_OF_FIGURE_2.
      settings: of all lanes.

    Returns:
      The table, of one lane for each painting.

    Raises:
      InputError: not as many ratios as paintings, none given for a number of paintings that has no default, or more
        paintings than letters.
    """
    letters = "BCDEFGHIJKLMNOPQRSTUVWXYZ"  # A is the photograph
    if len(paintings) > len(letters):
        raise InputError(f"{argument('style')}: {len(paintings)} paintings; at most {len(letters)} are allowed")
    chosen = ratios or RATIOS_OF_FIGURE_2.get(len(paintings)) or ()
    if len(chosen) != len(paintings):
        raise InputError(f"{argument('ratio')}: {len(chosen)} given for {len(paintings)} paintings; give one for each")
    made = [
        table([photograph], [painting], Axes(ratio=(ratio,)), settings).lanes[0]
        for painting, ratio in zip(paintings, chosen, strict=True)
    ]
    headings = [f"{letter} {painting.stem}, {power(ratio)}" for letter, painting, ratio in zip(
        letters, paintings, chosen, strict=False)]  # fmt: skip
    lanes = [
        replace(lane, name=f"{heading[0]}_{slug(painting.stem)}", row="picture", column=heading)
        for lane, heading, painting in zip(made, headings, paintings, strict=True)
    ]
    return Table(tuple(lanes), ("picture",), tuple(headings), "style, α/β", settings)


def figure3(photograph: Path, painting: Path, settings: Settings) -> Table:
    """Makes figure 3: rows A to E, the cumulative subsets of style layers, by columns α/β from 1e-5 to 1e-2.

    Args:
      photograph: the content picture's file.
      painting: the style picture's file.
      settings: of all lanes.

    Returns:
      The table, of twenty lanes.
    """
    return table([photograph], [painting], Axes(ratio=RATIOS_OF_FIGURE_3, rows=tuple(ROWS)), settings)
