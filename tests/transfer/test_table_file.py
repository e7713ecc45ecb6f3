"""Tables of lanes from CSV and JSON files: however they are written, the same table; in two ways readable, refused."""

import codecs
import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lane_tables import HOSTILE, PAINTING, PHOTO, assert_sound

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.transfer import lanes
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.table_file import read_table

HEADER = "name,row,column,ratio,alpha,beta,style_layers,style_weights,content_layers,seed,style\n"


def read(tmp_path, text: str | bytes, ending: str = "csv", encoding: str = "utf-8") -> lanes.Table:
    path = tmp_path / f"table.{ending}"
    path.write_bytes(text.encode(encoding, "surrogatepass") if isinstance(text, str) else text)
    return read_table(path, PHOTO, PAINTING, Settings())


def test_a_csv_table(tmp_path):
    lines = HEADER + (
        'one,first,x,1e-4,,,"conv1_1,conv2_1","0.3,0.7",conv3_2,5,\n'
        ",first,y,,2,4,,,,,other.png\n"
        "two words!,,,,,,,,,,\n"
    )  # fmt: skip
    table = read(tmp_path, lines)
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
        {"alpha": 0, "Beta": 2},
        {},
    ]
    table = read(tmp_path, json.dumps(entries), "json")
    first, second, _ = table.lanes
    assert (first.alpha, first.seed, first.style_layers) == (0.5, 7, (("conv1_1", 1.0), ("conv4_1", 2.0)))
    assert (second.alpha, second.beta) == (0.0, 2.0)
    assert_sound(table)


def test_regions_and_masks_are_columns(tmp_path):
    """Their files are looked for beside the table."""
    for name in ("sky.png", "sea.jpg"):
        (tmp_path / name).touch()
    csv = tmp_path / "lanes.csv"
    csv.write_text("keep;region;region-weights\nsky.png;sky.png=sea.jpg;0,5 1\n;sky.png=a.jpg:b.png, c=d;\n")
    first, second = (dict(lane.own) for lane in read_table(csv, Path("p"), "", Settings()).lanes)
    sky = str(tmp_path / "sky.png")
    assert first == {
        "keep": sky, "region": (f"{sky}={tmp_path / 'sea.jpg'}",), "region_weights": (0.5, 1.0),
    }  # fmt: skip
    assert second == {"region": (f"{sky}=a.jpg:b.png", "c=d")}
    (tmp_path / "lanes.json").write_text('[{"region": ["c=d", "e=f"]}, {"region": "c=d"}]')
    listed = [dict(lane.own) for lane in read_table(tmp_path / "lanes.json", Path("p"), "", Settings()).lanes]
    assert listed == [{"region": ("c=d", "e=f")}, {"region": ("c=d",)}]


def test_default_names_sort_however_many_lanes(tmp_path):
    table = read(tmp_path, "seed\n" + "".join(f"{seed}\n" for seed in range(1200)))
    names = [lane.name for lane in table.lanes]
    assert names == sorted(names)
    assert_sound(table)


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_names_in_other_scripts(tmp_path, ending):
    texts = {"csv": "name\n梵高\n北斎\nХокусай\nفان جوخ\n", "json": '["梵高", "北斎", "Хокусай", "فان جوخ"]'}
    text = texts[ending] if ending == "csv" else json.dumps([{"name": name} for name in json.loads(texts["json"])])
    table = read(tmp_path, text, ending)
    assert [lane.name for lane in table.lanes] == ["梵高", "北斎", "Хокусай", "فان-جوخ"]
    assert table.column_headings == ("梵高", "北斎", "Хокусай", "فان-جوخ")


def test_hostile_names_in_a_table(tmp_path):
    entries = [{"name": f"{number} {name}", "row": name, "column": name} for number, name in enumerate(HOSTILE)]
    table = read(tmp_path, json.dumps(entries), "json")
    assert_sound(table)
    assert [lane.row for lane in table.lanes] == HOSTILE
    assert lanes.from_json(lanes.as_json(table), table.settings) == table


# -- as spreadsheets write them

AS_EXCEL = (
    "Name;Ratio;Alpha;Style Layers;STYLE-WEIGHTS;Seed;;\r\n"
    "梵高;0,001;;conv1_1 conv2_1;0,3 0,7;5;;\r\n"
    "北斎;1,5E-04;;conv1_1, conv3_1;;;;\r\n"
    ";;2;;;;;\r\n"
    ";;;;;;;\r\n"
    "\r\n"
)


def assert_as_excel(table: lanes.Table) -> None:
    first, second, third = table.lanes
    assert (first.name, first.alpha, first.seed) == ("梵高", 0.001, 5)
    assert first.style_layers == (("conv1_1", 0.3), ("conv2_1", 0.7))
    assert (second.name, second.alpha, second.style_layers) == ("北斎", 1.5e-4, (("conv1_1", 0.5), ("conv3_1", 0.5)))
    assert (third.name, third.alpha) == ("2", 2.0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_of_a_spreadsheet(tmp_path, encoding):
    assert_as_excel(read(tmp_path, AS_EXCEL, encoding=encoding))
    assert_as_excel(read(tmp_path, "sep=;\r\n" + AS_EXCEL, encoding=encoding))
    assert_as_excel(read(tmp_path, AS_EXCEL.replace(";", "\t"), encoding=encoding))
    assert_as_excel(read(tmp_path, ";;;\n\n" + AS_EXCEL.replace("\r\n", "\r"), encoding=encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_json_table_in_any_unicode(tmp_path, encoding):
    table = read(tmp_path, '[{"Name": "梵高", "Style Layers": "conv1_1 conv2_1"}]', "json", encoding)
    assert table.lanes[0].name == "梵高"
    assert table.lanes[0].style_layers == (("conv1_1", 0.5), ("conv2_1", 0.5))


def test_windows_1252_beyond_doubt(tmp_path):
    """The letters that all Latin code pages have alike, alone in words: no other alphabet looks like that."""
    text = "name;ratio\nDürer;0,1\nKöln;0,2\nCafé;0,3\nÖl;0,4\nGroß;0,5\n"
    table = read(tmp_path, text, encoding="cp1252")
    assert [lane.name for lane in table.lanes] == ["Dürer", "Köln", "Café", "Öl", "Groß"]
    assert table == read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Dvořák", "cp1250"),
        ("Søren", "cp1252"),
        ("Ван Гог", "cp1251"),
        ("Ф", "cp1251"),
        ("Φειδίας", "cp1253"),
        ("梵高", "gbk"),
        ("北斎", "shift_jis"),
        ("고흐", "cp949"),
        ("梵高", "big5"),
        ("x縣x", "big5"),
        ("Müöller", "cp1252"),
        ("ä", "cp1252"),
        ("Dürer", "cp437"),
        ("Dürer", "mac_roman"),
    ],
)
def test_text_in_an_encoding_that_nothing_tells(tmp_path, text, encoding):
    with pytest.raises(InputError, match=r"table\.csv, line 3: the byte 0x.. is not UTF-8.*Windows-1252.*as UTF-8"):
        read(tmp_path, f"name,row\nplain,a\n{text},b\n", encoding=encoding)


def test_utf_16_that_is_cut_short(tmp_path):
    with pytest.raises(InputError, match=r"table\.csv.*is not UTF-16; save the table as UTF-8"):
        read(tmp_path, codecs.BOM_UTF16_LE + "name\na".encode("utf-16-le") + b"\x00")


numbers = st.sampled_from([0.001, 1e-05, 2.5, 1.0, 20.0, 1.5e-4, 0.25, 123456.0])
subsets = st.lists(st.sampled_from([*CONVOLUTIONS]), min_size=1, max_size=4, unique=True)
names = st.text(st.characters(categories=["L", "N"], codec="utf-8"), min_size=1, max_size=8)
paths = st.sampled_from(["a b.png", "絵/梵高.jpg", "x,y;z.jpg", 'q"q.png'])


@st.composite
def entries(draw: st.DrawFn) -> list[dict]:
    """Lanes as one would say them in Python."""
    found = []
    for number in range(draw(st.integers(1, 4))):
        entry: dict = {"name": f"{number} {draw(names)}"}
        if draw(st.booleans()):
            entry["ratio"] = draw(numbers)
        elif draw(st.booleans()):
            entry |= {"alpha": draw(numbers), "beta": draw(numbers)}
        if draw(st.booleans()):
            entry["style_layers"] = layers = draw(subsets)
            if draw(st.booleans()):
                entry["style_weights"] = draw(st.lists(numbers, min_size=len(layers), max_size=len(layers)))
        if draw(st.booleans()):
            entry |= {
                "style": draw(paths),
                "seed": draw(st.integers(0, 99)),
                "content_layers": ["conv3_1:0.5", "conv4_2"],
            }
        if draw(st.booleans()):
            entry |= {"color": "luminance", "style_scale": draw(st.sampled_from([0.5, 1.25])), "pool": "max"}
        found.append(entry)
    return found


@st.composite
def written(draw: st.DrawFn, entries: list[dict]) -> bytes:
    """The same as a spreadsheet may write it."""
    separator = draw(st.sampled_from(",;\t"))
    comma = separator != "," and draw(st.booleans())
    exponent = draw(st.sampled_from(["e", "E"]))

    def cell(value: object) -> str:
        if isinstance(value, list):
            of_numbers = isinstance(value[0], float)
            between = draw(st.sampled_from([" ", ", "] if comma and of_numbers else [",", " ", ", ", "\n"]))
            return between.join(map(cell, value))
        text = str(value)
        if isinstance(value, float):
            text = f"{text}" if draw(st.booleans()) or "e" in text else f"{value:.6e}"
            text = text.replace("e", exponent)
            text = text.replace(".", ",") if comma else text
        return text

    columns = ["name", "ratio", "alpha", "beta", "style_layers", "style_weights", "style", "seed", "content_layers"]
    columns += ["color", "style_scale", "pool"]
    columns = draw(st.permutations(columns))
    style = draw(st.sampled_from([str, str.upper, str.title, lambda text: f" {text} "]))
    between = draw(st.sampled_from(["_", " ", "-"]))
    empty = draw(st.integers(0, 3)) * [""]
    buffer = io.StringIO(newline="")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(buffer, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow([*(style(column).replace("_", between) for column in columns), *empty])
    for entry in entries:
        writer.writerow([*(cell(entry.get(column, "")) for column in columns), *empty])
    for _ in range(draw(st.integers(0, 2))):
        writer.writerow([""] * len(columns) + empty)
    told = f"sep={separator}{end}" if draw(st.booleans()) else ""
    return (told + buffer.getvalue()).encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


@given(data=st.data(), entries=entries())
def test_the_same_table_however_it_is_written(tmp_path_factory, data, entries):
    """Any separator, encoding, decimal sign, line ends, quotes, order and style of headings, lists: one table."""
    folder = tmp_path_factory.mktemp("tables")
    expected = read(folder, json.dumps(entries), "json")
    assert read(folder, data.draw(written(entries))) == expected


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("style_layers;style_weights\nconv1_1,conv2_1;1,2\n", [1, 2]),
        ("style_layers;style_weights\nconv1_1;1,2\n", [1.2]),
        ("style_layers;style_weights\nconv1_1 conv2_1;0,3 0,7\n", [0.3, 0.7]),
        ("style_layers;style_weights\nconv1_1 conv2_1;0.3,0.7\n", [0.3, 0.7]),
        ("style_layers;style_weights;ratio\nconv1_1 conv2_1;1, 2;0,1\n", [1, 2]),
        ('style_layers,style_weights\n"conv1_1,conv2_1","0.3, 0.7"\n', [0.3, 0.7]),
        ("style_layers,style_weights\nconv1_1 conv2_1,0.3 0.7\n", [0.3, 0.7]),
    ],
)
def test_commas_between_numbers_and_within(tmp_path, text, weights):
    assert [weight for _, weight in read(tmp_path, text).lanes[0].style_layers] == weights


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ratio;seed\n0,001;1\n0.01;2\n", "line 2, column ratio: '0,001' has a comma, and '0.01' a point"),
        ("alpha;beta\n1.000,5;1\n", "line 2, column alpha: '1.000,5' has a comma, and '1.000,5' a point"),
        ("alpha;beta\n1.000;2.000\n", "line 2, column alpha: '1.000' may mean 1 or 1000"),
        ("alpha\tbeta\n1,500\t1\n", "line 2, column alpha: '1,500' may mean 1.5 or 1500"),
        ('ratio,seed\n"0,001",1\n', "line 2, column ratio: '0,001' has a comma"),
        ("ratio\n0,001\n", "line 2, column 2: '001' stands under no heading"),
        ("ratio;style_layers;style_weights\n0,1;conv1_1 conv2_1;0,5\n", "line 2: style_weights: 1 given for 2"),
        ("ratio;style_layers;style_weights\n0,1;conv1_1 conv2_1;0.5 1\n", "line 2, column style_weights: '0.5' is not"),
        ("seed;Seed \n1;2\n", "line 1: two columns are headed seed"),
        ('name;seed\n"a;1\nb;2\n', "line 2: cannot be read"),
        ("\n\nname;seed\n\na;1\n;x\n", "line 6, column seed: 'x' is not a whole number"),
        ('name,style_layers\n"a\nb","conv1_1\nconv2_1"\nc,conv9_1\n', "line 5: style_layers: 'conv9_1' is unknown"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_named_by_line_and_column(tmp_path, text, words):
    with pytest.raises(InputError, match=re.escape(f"table.csv, {words}")) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_thousands_are_told_from_decimals_by_the_other_numbers(tmp_path):
    table = read(tmp_path, "alpha;beta\n1,000;2,5\n")
    assert (table.lanes[0].alpha, table.lanes[0].beta) == (1.0, 2.5)
    assert read(tmp_path, "alpha,beta\n1.000,2.000\n").lanes[0].alpha == 1.0


def test_paths_beside_the_table_win(tmp_path, monkeypatch):
    """Then those in the working directory; absolute ones, and such as are nowhere, are as they are written."""
    (tmp_path / "tables" / "in").mkdir(parents=True)
    for name in ("tables/both.png", "tables/in/beside.png", "both.png", "here.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    absolute = str(tmp_path / "here.png")
    named = ["both.png", "in/beside.png", "here.png", "nowhere.png", absolute, "~/here.png", "x" * 5000, "a\x00"]
    Path("tables/lanes.csv").write_text("style;seed\n" + "".join(f"{name};\n" for name in named), "utf-8")
    table = read_table(Path("tables/lanes.csv"), PHOTO, PAINTING, Settings())
    found = ["tables/both.png", "tables/in/beside.png", "here.png", "nowhere.png", absolute, absolute, *named[-2:]]
    assert [lane.style for lane in table.lanes] == found


@pytest.mark.parametrize(
    ("text", "ending", "words"),
    [
        ("", "csv", "0 lanes"),
        ("ratio\n", "csv", "0 lanes"),
        ("sep=;\n", "csv", "0 lanes"),
        ("[]", "json", "0 lanes"),
        ("ratio,colour\n1,red\n", "csv", "line 1: unknown column 'colour'"),
        ("ratio;colour\n1;red\n", "csv", "line 1: unknown column 'colour'"),
        ('[{"colour": 1}]', "json", "lane 1: unknown column 'colour'"),
        ('[{"seed": 1, "Seed": 2}]', "json", "lane 1: two columns are headed seed"),
        ("ratio\n1,2\n", "csv", "line 2, column 2: '2' stands under no heading"),
        ("ratio\n1\nmany\n", "csv", "line 3, column ratio: 'many' is not a number"),
        ("ratio\n-1\n", "csv", "ratio: -1.0 is not allowed"),
        ("ratio\nnan\n", "csv", "ratio: nan is not allowed"),
        ("ratio,alpha\n1,1\n", "csv", "not allowed together"),
        ("alpha,beta\n0,0\n", "csv", "both are zero"),
        ("seed\n1.5\n", "csv", "1.5"),
        ('[{"seed": 1.5}]', "json", "lane 1, column seed: '1.5' is not a whole number"),
        ('[{"alpha": true}]', "json", "True"),
        ('[{"alpha": "0,5"}]', "json", "'0,5' is not a number"),
        ('[{"ratio": {"a": 1}}]', "json", "lane 1"),
        ('[{"style_layers": []}]', "json", "no layer is named"),
        ('[{"style": "\\ud800"}]', "json", "lane 1, column style"),
        ("style_layers\nconv6_1\n", "csv", "'conv6_1' is unknown"),
        ('style_layers,style_weights\n"conv1_1,conv2_1",1\n', "csv", "1 given for 2 style layers"),
        ("content_layers\nconv0\n", "csv", "content_layers: 'conv0'"),
        ("name\na\nA\n", "csv", "line 2 and line 3: two lanes are named 'A'"),
        ("name\na b\na/b\n", "csv", "two lanes are named 'a-b'"),
        ("name\nDürer\nDU\u0308RER\n", "csv", "two lanes are named 'DÜRER'"),
        ("row,column\nx,y\nx,y\n", "csv", "both are in row 'x', column 'y'"),
        (b"ratio\n\xff\n", "csv", "line 2: the byte 0xff is not UTF-8"),
        (b"ratio\n1\x00\n", "csv", "line 2"),
        ("name\n" + "x" * 200_000 + "\n", "csv", "line 2: cannot be read"),
        ("x" * 200_000, "csv", "line 1: cannot be read"),
        ('{"ratio": 1}', "json", "list of objects"),
        ("[1, 2]", "json", "list of objects"),
        ("[" * 100_000, "json", "cannot be read"),
        ("[{]", "json", "cannot be read"),
        (b'[{"name": "\xe9"}]', "json", "cannot be read"),
    ],
)
def test_tables_that_are_not_allowed(tmp_path, text, ending, words):
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read(tmp_path, text, ending)
    assert f"table.{ending}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv", PHOTO, PAINTING, Settings())


@pytest.mark.parametrize("cell", ["conv3_2:0,2 conv4_2", "conv3_2:0.2,conv4_2", " conv3_2:0,2, conv4_2 "])
def test_weights_of_content_layers_with_a_decimal_comma(tmp_path, cell):
    (lane,) = read(tmp_path, f"ratio;content_layers\n0,01;{cell}\n").lanes
    assert lane.content_layers == (("conv3_2", 0.2), ("conv4_2", 1.0))
