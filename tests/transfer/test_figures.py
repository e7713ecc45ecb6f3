"""The figures' tables against the paper: layers, ratios, cumulative subsets."""

import re
from pathlib import Path

import pytest

from nst_jax.errors import InputError
from nst_jax.transfer import figures, lanes
from nst_jax.transfer.settings import Settings

PHOTO = Path("photo.jpg")
PAINTING = Path("painting.jpg")
FIVE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def test_figure_1_has_five_contents_and_five_styles():
    table = figures.figure1(PHOTO, PAINTING, Settings(seed=4))
    assert (table.row_headings, table.column_headings) == (("content", "style"), tuple("abcde"))
    content, style = table.lanes[:5], table.lanes[5:]
    assert {(lane.row, lane.alpha, lane.beta, lane.style_layers) for lane in content} == {("content", 1.0, 0.0, ())}
    assert [lane.content_layers for lane in content] == [((layer, 1.0),) for layer in FIVE]  # one at a time
    assert {(lane.row, lane.alpha, lane.beta, lane.content_layers) for lane in style} == {("style", 0.0, 1.0, ())}
    for count, lane in enumerate(style, start=1):  # cumulative subsets, equation 5's w_l
        assert lane.style_layers == tuple((layer, 1 / count) for layer in FIVE[:count])
    assert {lane.seed for lane in table.lanes} == {4}
    assert {lane.content for lane in table.lanes} == {"photo.jpg"}
    assert {lane.style for lane in style} == {"painting.jpg"}


def test_figure_2_has_the_paper_s_ratios():
    paintings = [Path(f"{name}.jpg") for name in ("turner", "van gogh", "munch", "picasso", "kandinsky")]
    table = figures.figure2(PHOTO, paintings, None, Settings())
    assert [lane.alpha / lane.beta for lane in table.lanes] == [1e-3, 1e-3, 1e-3, 1e-4, 1e-4]
    assert [lane.style for lane in table.lanes] == list(map(str, paintings))
    assert {tuple(dict(lane.style_layers)) for lane in table.lanes} == {FIVE}
    assert {lane.content_layers for lane in table.lanes} == {(("conv4_2", 1.0),)}
    assert [heading[0] for heading in table.column_headings] == list("BCDEF")
    assert table.lanes[1].name == "C_van-gogh"
    assert lanes.from_json(lanes.as_json(table), table.settings) == table


def test_figure_2_of_the_samples_and_with_ratios():
    table = figures.figure2(figures.PHOTOGRAPH, figures.PAINTINGS, (), Settings())
    assert [lane.alpha for lane in table.lanes] == [1e-3, 1e-3, 1e-4]
    table = figures.figure2(PHOTO, [PAINTING, PHOTO], [0.5, 2.0], Settings())
    assert [lane.alpha for lane in table.lanes] == [0.5, 2.0]


@pytest.mark.parametrize(
    ("paintings", "ratios", "words"),
    [
        ([PAINTING], None, "ratio: 0 given for 1 paintings"),
        ([PAINTING] * 3, [1.0], "ratio: 1 given for 3 paintings"),
        ([PAINTING] * 26, [1.0] * 26, "26 paintings; at most 25"),
        ([PAINTING], [-1.0], "ratio: -1.0"),
    ],
)
def test_figure_2_refuses(paintings, ratios, words):
    with pytest.raises(InputError, match=re.escape(words)):
        figures.figure2(PHOTO, paintings, ratios, Settings())


def test_figure_3_has_rows_a_to_e_by_four_ratios():
    table = figures.figure3(PHOTO, PAINTING, Settings())
    assert len(table.lanes) == 20
    assert table.column_headings == ("10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²")
    assert [heading[0] for heading in table.row_headings] == list("ABCDE")
    for number, lane in enumerate(table.lanes):
        row, column = divmod(number, 4)
        assert (lane.alpha, lane.beta) == ((1e-5, 1e-4, 1e-3, 1e-2)[column], 1.0)
        assert lane.style_layers == tuple((layer, 1 / (row + 1)) for layer in FIVE[: row + 1])
        assert lane.content_layers == (("conv4_2", 1.0),)
        assert (lane.row[0], lane.column) == ("ABCDE"[row], table.column_headings[column])


def test_the_shipped_pictures_are_there():
    assert all(path.is_file() for path in (figures.PHOTOGRAPH, *figures.PAINTINGS))
