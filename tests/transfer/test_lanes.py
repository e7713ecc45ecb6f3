"""Tables of lanes: their order, names and headings; run.json's form and back."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_tables import HOSTILE, PAINTING, PHOTO, assert_sound

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.transfer import lanes
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import ROWS
from nst_jax.transfer.settings import Settings

SETS = st.lists(st.sampled_from([*CONVOLUTIONS]), min_size=1, unique=True).map(tuple)


def make(axes: Axes = Axes(), contents=(PHOTO,), styles=(PAINTING,), settings: Settings = Settings()):  # noqa: B008
    return lanes.table(contents, styles, axes, settings)


def test_the_product_of_all_axes_in_order():
    axes = Axes(ratio=(1e-5, 1e-2), rows=("A", "C"), seed=(3, 4, 5))
    table = make(axes, styles=(PAINTING, Path("other/wave.jpg")))
    assert_sound(table)
    assert [lane.name for lane in table.lanes] == sorted(lane.name for lane in table.lanes)
    expected = [
        (style, ROWS[letter], seed, ratio)
        for style in ("painting.png", "other/wave.jpg")
        for letter in "AC"
        for seed in (3, 4, 5)
        for ratio in (1e-5, 1e-2)
    ]
    of_lanes = [
        (lane.style, tuple(layer for layer, _ in lane.style_layers), lane.seed, lane.alpha / lane.beta)
        for lane in table.lanes
    ]
    assert of_lanes == expected
    assert table.corner == "α/β"
    assert table.column_headings == ("10⁻⁵", "10⁻²")
    assert table.row_headings[0] == "painting, A conv1_1, seed 3"
    assert len(table.row_headings) == 12
    assert {lane.content for lane in table.lanes} == {"photo.png"}


def test_headings_of_figure_3():
    table = make(Axes(ratio=(1e-5, 1e-4, 1e-3, 1e-2), rows=tuple("ABCDE")))
    assert table.column_headings == ("10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²")
    assert table.row_headings == ("A conv1_1", "B conv2_1", "C conv3_1", "D conv4_1", "E conv5_1")
    assert table.lanes[0].name == "00_A-conv1_1_1e-5"
    assert table.lanes[19].name == "19_E-conv5_1_1e-2"
    assert [lane.style_layers for lane in table.lanes[::4]] == [
        tuple((layer, 1 / len(ROWS[letter])) for layer in ROWS[letter]) for letter in "ABCDE"
    ]


@pytest.mark.parametrize(
    ("axes", "corner", "rows", "columns"),
    [
        (Axes(), "α/β", ("picture",), ("picture",)),
        (Axes(ratio=(2e-4,)), "α/β", ("picture",), ("2e-4",)),
        (Axes(seed=(0, 7)), "seed", ("picture",), ("seed 0", "seed 7")),
        (Axes(alpha=(0.5, 1), beta=(1000, 2)), "β", ("α 0.5", "α 1"), ("β 10³", "β 2")),
        (
            Axes(style_layers=(("conv1_1",), ("conv1_1", "conv2_1")), style_weights=()),
            "style layers",
            ("picture",),
            ("conv1_1", "conv1_1+conv2_1"),
        ),
        (
            Axes(style_layers=(("conv1_1", "conv2_1"),), style_weights=((1, 2), (3, 1))),
            "w",
            ("picture",),
            ("1,2", "3,1"),
        ),
    ],
)
def test_the_last_axis_that_varies_makes_the_columns(axes, corner, rows, columns):
    table = make(axes)
    assert_sound(table)
    assert (table.corner, table.row_headings, table.column_headings) == (corner, rows, columns)


def test_alpha_and_beta_instead_of_a_ratio():
    table = make(Axes(alpha=(0.0, 2.0), beta=(1.0, 3.0)))
    assert [(lane.alpha, lane.beta) for lane in table.lanes] == [(0, 1), (0, 3), (2, 1), (2, 3)]


def test_an_axis_overrides_the_settings():
    settings = Settings(alpha=3.0, beta=2.0, style_layers=("conv1_1", "conv2_1"), style_weights=(1.0, 3.0), seed=9)
    (lane,) = make(settings=settings).lanes
    assert (lane.alpha, lane.beta, lane.seed) == (3.0, 2.0, 9)
    assert lane.style_layers == (("conv1_1", 1.0), ("conv2_1", 3.0))
    (lane,) = make(Axes(ratio=(0.5,), rows=("A",)), settings=settings).lanes
    assert (lane.alpha, lane.beta) == (0.5, 1.0)
    assert lane.style_layers == (("conv1_1", 1.0),)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (lambda: Axes(rows=("A",), style_layers=(("conv1_1",),)), "rows"),
        (lambda: Axes(ratio=(1.0,), alpha=(1.0,)), "ratio"),
        (lambda: Axes(rows=("F",)), "'F' is unknown; known are A, B, C, D, E"),
        (lambda: Axes(ratio=(1e-3, 0.001)), "given twice"),
        (lambda: Axes(seed=(1, 1)), "given twice"),
        (lambda: Axes(seed=(-1,)), "seed: -1"),
        (lambda: Axes(ratio=(-1.0,)), "ratio: -1.0"),
        (lambda: Axes(ratio=(float("nan"),)), "ratio: nan"),
        (lambda: Axes(alpha=(0.0, 1.0), beta=(0.0, 1.0)), "both are zero"),
        (lambda: Axes(style_layers=(("conv9_9",),)), "'conv9_9' is unknown"),
        (lambda: Axes(style_layers=((),)), "no layer"),
        (lambda: Axes(style_weights=((1.0, 2.0),)), "2 given for 5 style layers"),
        (lambda: Axes(seed=tuple(range(400)), ratio=tuple(float(n) for n in range(1, 401))), "160,000 lanes"),
    ],
)
def test_axes_that_are_not_allowed(axes, words):
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        make(axes())
    assert "\n" not in str(caught.value)


def test_two_files_of_one_name():
    with pytest.raises(InputError, match="style: 'x' is given twice; lanes need names of their own"):
        make(styles=(Path("a/x.png"), Path("b/x.jpg")))
    named = make(styles=("v1.0", "v1.1"))  # from Python, whose names are no files
    assert [lane.name for lane in named.lanes] == ["0_v1.0", "1_v1.1"]


def test_lanes_that_would_share_a_place_on_the_sheet():
    with pytest.raises(InputError, match="both are in row 'a, b, c'"):
        make(Axes(seed=(0, 1)), contents=("a, b", "a"), styles=("c", "b, c"))


def test_pictures_named_in_other_scripts():
    """The lanes are named after them, in any encoding of file names."""
    table = make(Axes(seed=(0, 1)), styles=(Path("絵/梵高.jpg"), Path("絵/北斎 漫画.jpg")))
    assert [lane.name for lane in table.lanes] == [
        "0_梵高_seed-0",
        "1_梵高_seed-1",
        "2_北斎-漫画_seed-0",
        "3_北斎-漫画_seed-1",
    ]
    assert table.row_headings == ("梵高", "北斎 漫画")
    assert [lane.style for lane in table.lanes[::2]] == ["絵/梵高.jpg", "絵/北斎 漫画.jpg"]
    assert_sound(table)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_names(name):
    assert_sound(make(Axes(seed=(0, 1), rows=("A", "E")), styles=(PAINTING, Path("folder") / f"{name[:80]}.png")))


# -- run.json

stems = st.text(st.characters(exclude_characters="/\x00", exclude_categories=["Cs"]), min_size=1, max_size=100)
ratios = st.floats(0, 1e30, exclude_min=True)


@given(
    axes=st.builds(
        Axes,
        ratio=st.lists(ratios, max_size=3).map(tuple),
        style_layers=st.lists(SETS, max_size=3).map(tuple),
        seed=st.lists(st.integers(0, 2**32 - 1), max_size=3).map(tuple),
    ),
    styles=st.lists(stems, min_size=1, max_size=3),
)  # fmt: skip
def test_any_table_survives_run_json(axes, styles):
    try:
        table = make(axes, styles=[Path("folder") / style for style in styles])
    except InputError:
        return  # the same value twice
    assert_sound(table)
    assert [lane.name for lane in table.lanes] == sorted(lane.name for lane in table.lanes)
    assert lanes.from_json(json.loads(json.dumps(lanes.as_json(table))), table.settings) == table


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "../up"), ("name", ".hidden"), ("name", ""), ("name", "nul"), ("name", "梵\u202e高"), ("name", 1),
     ("name", "山" * 84), ("alpha", "x"), ("seed", None),
     ("style_layers", [["conv9_9", 1]]), ("style_layers", [1]), ("extra", 1)],
)  # fmt: skip
def test_what_as_json_did_not_write(key, value):
    data = lanes.as_json(make())
    data["lanes"][0][key] = value
    with pytest.raises((ValueError, TypeError, KeyError)):
        lanes.from_json(data, Settings())


@pytest.mark.parametrize(("one", "other"), [("a", "a"), ("Dürer", "DÜRER"), ("ǆ", "Ǆ"), ("한", "한")])
def test_a_run_json_in_which_two_lanes_would_have_one_file(one, other):
    data = lanes.as_json(make(Axes(seed=(0, 1))))
    data["lanes"][0]["name"], data["lanes"][1]["name"] = one, other
    with pytest.raises(ValueError, match="one name"):
        lanes.from_json(data, Settings())


def test_a_run_json_in_other_scripts():
    data = lanes.as_json(make(Axes(seed=(0, 1))))
    data["lanes"][0]["name"], data["lanes"][1]["name"] = "梵高", "فان-جوخ"
    assert [lane.name for lane in lanes.from_json(data, Settings()).lanes] == ["梵高", "فان-جوخ"]


CONTROLS = Axes(ratio=(1e-4, 1e-2), seed=(0, 1), vary=(("color", ("painting", "match")), ("pool", ("avg", "max"))))


@pytest.mark.parametrize(("options", "corner", "rows", "columns"), [
    ({}, "α/β", 8, ("10⁻⁴", "10⁻²")),
    ({"grid_columns": "color"}, "color", 8, ("color painting", "color match")),
    ({"grid_rows": "pool"}, "seed, color, α/β", 2, None),
    ({"grid_rows": "seed", "grid_columns": "pool"}, "pool", 8, ("pool avg", "pool max")),
])  # fmt: skip
def test_any_axis_may_be_rows_or_columns(options, corner, rows, columns):
    table = make(replace(CONTROLS, **options))
    assert_sound(table)
    assert len(table.lanes) == 16
    assert (table.corner, len(table.row_headings)) == (corner, rows)
    assert columns is None or table.column_headings == columns


@pytest.mark.parametrize(("options", "words"), [
    ({"grid_rows": "tv"}, r"grid_rows: 'tv' does not vary in this sweep; those that do are seed, color, pool, ratio"),
    ({"grid_rows": "pool", "grid_columns": "pool"}, "grid_rows: 'pool' is the columns already"),
])  # fmt: skip
def test_grids_that_cannot_be(options, words):
    with pytest.raises(InputError, match=words):
        make(replace(CONTROLS, **options))


def test_lanes_tell_of_what_they_alone_have():
    """In one form, whichever way they came; what is as in the table's settings is not theirs."""
    table = make(CONTROLS)
    assert [lane.own for lane in table.lanes[:8:2]] == [
        (), (("pool", "max"),), (("color", "match"),), (("color", "match"), ("pool", "max")),
    ]  # fmt: skip
    assert table.lanes[6].within(table.settings) == Settings(color="match", pool="max")
    assert lanes.from_json(json.loads(json.dumps(lanes.as_json(table))), table.settings) == table


def test_lanes_of_one_run_cannot_start_from_files_of_their_own():
    with pytest.raises(InputError, match=r"init: 'a.png' is not allowed; lanes of one run may differ in noise"):
        make(Axes(vary=(("init", ("noise", "a.png")),)))
    assert [lane.own for lane in make(Axes(vary=(("init", ("noise", "content")),))).lanes] == [
        (), (("init", "content"),),
    ]  # fmt: skip


def test_a_painting_is_called_by_its_size_where_that_is_the_lane_s_own():
    one, other = make(Axes(vary=(("style_scale", (1.0, 2.0)),))).lanes
    assert (one.painting, other.painting) == ("painting.png", ("painting.png", 2.0))


def test_presence_in_place_of_a_ratio():
    """α and β are yet to be found; names and headings come of the presence."""
    table = make(Axes(presence=(0.2, 0.6), seed=(0, 1)), settings=Settings(beta=3.0))
    assert_sound(table)
    assert (table.corner, table.column_headings) == ("presence", ("presence 0.2", "presence 0.6"))
    assert [lane.name for lane in table.lanes][:2] == ["0_seed-0_presence-0.2", "1_seed-0_presence-0.6"]
    assert all(lane.searched and (lane.presence, lane.expected) == (presence, None)
               for lane, presence in zip(table.lanes, (0.2, 0.6) * 2, strict=True))  # fmt: skip
    (alone,) = make(Axes(presence=(0.6,))).lanes
    assert (alone.column, alone.own) == ("presence 0.6", ())
    assert make(Axes(vary=(("presence", (0.2,)),))) == make(Axes(presence=(0.2,)))
    (lane,) = make(Axes(ratio=(0.5,)), settings=Settings(presence=0.3)).lanes
    assert (lane.presence, lane.alpha) == (None, 0.5)


def test_an_axis_of_alpha_leaves_beta_as_it_is():
    lanes = make(Axes(alpha=(0.5, 2.0)), settings=Settings(beta=3.0)).lanes
    assert [(lane.alpha, lane.beta) for lane in lanes] == [(0.5, 3.0), (2.0, 3.0)]
