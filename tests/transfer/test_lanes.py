"""Tables of lanes: their order, names and headings; CSV and JSON files, good and bad; run.json's form and back."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.runs.contact_sheet import Cell, placed
from nst_jax.transfer import lanes
from nst_jax.transfer.lanes import ROWS, Axes
from nst_jax.transfer.settings import Settings

SETS = st.lists(st.sampled_from([*CONVOLUTIONS]), min_size=1, unique=True).map(tuple)
PHOTO, PAINTING = Path("photo.png"), Path("painting.png")
HOSTILE = [
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a\nb",
    "\udcff",
    "\x00",
    ".hidden",
    "-o",
    "  ",
    "ß ö 山",
    "a" * 500,
]


def make(axes: Axes = Axes(), contents=(PHOTO,), styles=(PAINTING,), settings: Settings = Settings()):  # noqa: B008
    return lanes.table(contents, styles, axes, settings)


def assert_sound(table: lanes.Table) -> None:
    """Names sort as the lanes do, are safe as file names, and each lane has a place of its own on the sheet."""
    names = [lane.name for lane in table.lanes]
    assert all(re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*", name) and len(name) <= 200 for name in names), names
    assert len({name.lower() for name in names}) == len(names)
    cells = [Cell(lane.name, lane.row, lane.column) for lane in table.lanes]
    assert len(placed(cells, table.row_headings, table.column_headings)) == len(names)


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
            "style_layers",
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
    with pytest.raises(InputError, match="style: the same value"):
        make(styles=(Path("a/x.png"), Path("b/x.jpg")))


def test_lanes_that_would_share_a_place_on_the_sheet():
    with pytest.raises(InputError, match="both are in row 'a, b, c'"):
        make(Axes(seed=(0, 1)), contents=("a, b.png", "a.png"), styles=("c.png", "b, c.png"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_names(name):
    assert_sound(make(Axes(seed=(0, 1), rows=("A", "E")), styles=(PAINTING, Path("folder") / f"{name[:80]}.png")))


# -- tables from files

HEADER = "name,row,column,ratio,alpha,beta,style_layers,style_weights,content_layer,seed,style\n"


def read(tmp_path, text: str | bytes, ending: str = "csv") -> lanes.Table:
    path = tmp_path / f"table.{ending}"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return lanes.read_table(path, PHOTO, PAINTING, Settings())


def test_a_csv_table(tmp_path):
    lines = HEADER + (
        'one,first,x,1e-4,,,"conv1_1,conv2_1","0.3,0.7",conv3_2,5,\n'
        ",first,y,,2,4,,,,,other.png\n"
        "two words!,,,,,,,,,,\n"
    )  # fmt: skip
    table = read(tmp_path, b"\xef\xbb\xbf" + lines.encode())  # as spreadsheets write it
    one, number, two = table.lanes
    assert (one.name, one.row, one.column, one.seed) == ("one", "first", "x", 5)
    assert (one.alpha, one.beta, one.content_layers) == (1e-4, 1.0, (("conv3_2", 1.0),))
    assert one.style_layers == (("conv1_1", 0.3), ("conv2_1", 0.7))
    assert (number.name, number.alpha, number.beta, number.style) == ("1", 2.0, 4.0, "other.png")
    assert (two.name, two.style, two.content, two.row) == ("two-words", "painting.png", "photo.png", "lanes")
    assert dict(two.style_layers) == Settings().layer_weights
    assert_sound(table)


def test_a_json_table(tmp_path):
    entries = [
        {"name": "a", "ratio": 0.5, "style_layers": ["conv1_1", "conv4_1"], "style_weights": [1, 2], "seed": 7},
        {"alpha": 0, "beta": 2},
        {},
    ]
    table = read(tmp_path, json.dumps(entries), "json")
    first, second, _ = table.lanes
    assert (first.alpha, first.seed, first.style_layers) == (0.5, 7, (("conv1_1", 1.0), ("conv4_1", 2.0)))
    assert (second.alpha, second.beta) == (0.0, 2.0)
    assert_sound(table)


def test_default_names_sort_however_many_lanes(tmp_path):
    table = read(tmp_path, "seed\n" + "".join(f"{seed}\n" for seed in range(1200)))
    names = [lane.name for lane in table.lanes]
    assert names == sorted(names)
    assert_sound(table)


@pytest.mark.parametrize(
    ("text", "ending", "words"),
    [
        ("", "csv", "0 lanes"),
        ("ratio\n", "csv", "0 lanes"),
        ("[]", "json", "0 lanes"),
        ("ratio,color\n1,red\n", "csv", "unknown column 'color'"),
        ('[{"color": 1}]', "json", "unknown column 'color'"),
        ("ratio\n1,2\n", "csv", "lane 1 has too many values"),
        ("ratio\n1\nmany\n", "csv", "lane 2"),
        ("ratio\n-1\n", "csv", "ratio: -1.0 is not allowed"),
        ("ratio\nnan\n", "csv", "ratio: nan is not allowed"),
        ("ratio,alpha\n1,1\n", "csv", "not allowed together"),
        ("alpha,beta\n0,0\n", "csv", "both are zero"),
        ("seed\n1.5\n", "csv", "1.5"),
        ('[{"seed": 1.5}]', "json", "1.5"),
        ('[{"alpha": true}]', "json", "True"),
        ('[{"ratio": {"a": 1}}]', "json", "lane 1"),
        ("style_layers\nconv6_1\n", "csv", "'conv6_1' is unknown"),
        ('style_layers,style_weights\n"conv1_1,conv2_1",1\n', "csv", "1 given for 2 style layers"),
        ("content_layer\nconv0\n", "csv", "content_layer: 'conv0'"),
        ("name\na\nA\n", "csv", "two lanes are named 'a'"),
        ("name\na b\na/b\n", "csv", "two lanes are named 'a-b'"),
        ("row,column\nx,y\nx,y\n", "csv", "both are in row 'x', column 'y'"),
        (b"ratio\n\xff\n", "csv", "cannot be read"),
        (b"ratio\n1\x00\n", "csv", "table.csv"),
        ('{"ratio": 1}', "json", "list of objects"),
        ("[1, 2]", "json", "list of objects"),
        ("[" * 100_000, "json", "cannot be read"),
        ("[{]", "json", "cannot be read"),
    ],
)
def test_tables_that_are_not_allowed(tmp_path, text, ending, words):
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read(tmp_path, text, ending)
    assert f"table.{ending}" in str(caught.value) or "both are in" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        lanes.read_table(tmp_path / "none.csv", PHOTO, PAINTING, Settings())


def test_hostile_names_in_a_table(tmp_path):
    entries = [{"name": f"{number} {name}", "row": name, "column": name} for number, name in enumerate(HOSTILE)]
    table = read(tmp_path, json.dumps(entries), "json")
    assert_sound(table)
    assert [lane.row for lane in table.lanes] == HOSTILE
    assert lanes.from_json(lanes.as_json(table), table.settings) == table


# -- run.json

texts = st.text(max_size=90)
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


@given(texts)
def test_any_text_becomes_part_of_a_file_name(text):
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,79}", lanes.slug(text))


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "../up"), ("name", ".hidden"), ("name", ""), ("alpha", "x"), ("seed", None),
     ("style_layers", [["conv9_9", 1]]), ("style_layers", [1]), ("extra", 1)],
)  # fmt: skip
def test_what_as_json_did_not_write(key, value):
    data = lanes.as_json(make())
    data["lanes"][0][key] = value
    with pytest.raises((ValueError, TypeError, KeyError)):
        lanes.from_json(data, Settings())


@given(st.floats(allow_nan=False))
def test_headings_of_numbers_mean_the_number(value):
    shown = lanes.power(value)
    plain = shown.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    if shown != plain:
        plain = "1e" + plain.removeprefix("10")
    assert float(plain) == pytest.approx(value, rel=1e-4)


def test_headings_of_powers_of_ten():
    assert [lanes.power(v) for v in (1e-5, 2e-4, 0.01, 0.02, 0.5, 999, 1000, 999_999.6, 0, float("inf"))] == [
        "10⁻⁵", "2e-4", "10⁻²", "0.02", "0.5", "999", "10³", "10⁶", "0", "inf"
    ]  # fmt: skip
