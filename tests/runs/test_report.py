"""What a run folder has for people and for other programs: losses, measures, the page's state and notes."""

import json
import math
import os
import shutil
import sys

import numpy as np
import pytest
from made_fonts import font_of
from program import done, separately
from run_folders import NAMES, assert_whole, measured, pictures, rows

from nst_jax.measures import measures
from nst_jax.pictures import images
from nst_jax.runs import report
from nst_jax.runs.description import settings_of
from nst_jax.runs.folder import RunFolder
from nst_jax.transfer.lanes import from_json


def test_losses_as_documented(finished):
    text = (finished / "losses.csv").read_text("utf-8")
    assert text.splitlines()[0] == "lane,step,evaluations,total,content,style,conv1_1,conv2_1,seconds"
    found = rows(finished)
    assert [row["lane"] for row in found] == [name for name in NAMES for _ in range(3)]
    for row in found:
        ratio = 1e-3 if row["lane"].endswith("1e-3") else 1e-2
        assert 0 <= int(row["step"]) <= int(row["evaluations"]) <= 3
        total, content, style = (float(row[key]) for key in ("total", "content", "style"))
        assert math.isclose(total, ratio * content + style, rel_tol=1e-4)
        layers = [float(row["conv1_1"]), float(row["conv2_1"])]
        assert math.isclose(style, layers[0] if "conv2_1" not in row["lane"] else sum(layers) / 2, rel_tol=1e-4)
    seconds = [float(line.rsplit(",", 1)[1]) for line in text.splitlines()[1:4]]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_measures_as_documented(finished, inputs, params):
    """Beside the losses of the last evaluation, and what `measure` says of the lane's file."""
    layers = ("conv1_1", "conv2_1")
    found = measured(finished)
    losses = ["evaluations", "total", "content", "style"]
    assert list(found[0]) == ["lane", "row", "column", *losses, *measures.columns(layers)]
    assert [line["lane"] for line in found] == NAMES
    assert [line["row"] for line in found] == ["conv1_1", "conv1_1", "conv1_1+conv2_1", "conv1_1+conv2_1"]
    assert [line["column"] for line in found] == ["10⁻³", "10⁻²"] * 2
    photo, painting = map(images.read_image, inputs)
    html = (finished / "index.html").read_text("utf-8")
    for line, last in zip(found, rows(finished)[2::3], strict=True):
        assert [line[name] for name in losses] == [last[name] for name in losses]
        made = images.read_image(finished / "lanes" / f"{line['lane']}.png")
        expected = measures.measure(params, made, photo, painting, layers)
        values = [float(line[name]) for name in measures.columns(layers)]
        np.testing.assert_allclose(values, expected.row(), rtol=1e-5)
        for name, value in measures.described(values, layers).items():
            assert f'["{name}","{value}"]' in html


def test_measures_of_lanes_without_style_or_content(tmp_path, inputs):
    """What cannot be told is an empty cell, and not on the page."""
    table = tmp_path / "lanes.csv"
    table.write_text('name,alpha,beta,row\nphoto,1,0,a\npainting,0,1,"b, c"\n')
    sets = ["--size", "48", "--evaluations", "2", "--history", "2", "--content-layers", "conv1_2", "--batch", "2"]
    done("sweep", *inputs, "-o", tmp_path / "out", "--table", table, *sets, "--quiet")
    assert_whole(tmp_path / "out")
    photo, painting = measured(tmp_path / "out")
    distances = [name for name in photo if name.startswith("conv")]
    to_content = [name for name in distances if name.endswith("_to_content")]
    assert (len(distances), len(to_content)) == (20, 5)
    assert {name for name in photo if not photo[name]} == {*distances}
    assert {name for name in painting if not painting[name]} == {"ssim", "correlation", *to_content}
    assert painting["row"] == "b, c"
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert html.count('["structural similarity"') == html.count('["conv5_1 from style, over noise"') == 1
    assert "nan" not in html.split('id="data"')[1].lower().split("</script>")[0]


SMALL = ("--size", "48", "--evaluations", "2", "--history", "2", "--content-layers", "conv1_2", "--batch", "3")
SCRIPTS = (
    "Name;Ratio;Style Layers;Style\r\n梵高;0,001;conv1_1;北斎.png\r\nХокусай;0,01;conv1_1;\r\nفان جوخ;1E-1;conv1_1;\r\n"
)


@pytest.fixture
def in_scripts(tmp_path, inputs):
    """A table beside one of its pictures, as a spreadsheet writes it, with lanes named in three scripts."""
    folder = tmp_path / "表"
    folder.mkdir()
    shutil.copy(inputs[1], folder / "北斎.png")
    (folder / "lanes.txt").write_bytes(SCRIPTS.encode("utf-16"))
    return folder / "lanes.txt"


def test_lanes_in_other_scripts(tmp_path, inputs, in_scripts, system_fonts):
    """Files, tables, pictures' texts and the page have their names; the sheet has numbers, which the page explains."""
    (system_fonts / "cyrillic.ttf").write_bytes(font_of("Хокусай"))
    names = ["梵高", "Хокусай", "فان-جوخ"]
    folder = tmp_path / "out"
    told = done("sweep", *inputs, "-o", folder, "--table", in_scripts, *SMALL)
    assert told.err.count("grid.png") == 1
    assert_whole(folder)
    assert {path.name for path in (folder / "lanes").iterdir()} == {f"{name}.png" for name in names}
    assert [row["lane"] for row in rows(folder)][::2] == names
    assert [row["lane"] for row in measured(folder)] == names
    assert [lane["name"] for lane in json.loads((folder / "run.json").read_text("utf-8"))["table"]["lanes"]] == names
    text = images.read_settings(folder / "lanes" / "梵高.png")["nst_jax"]
    assert json.loads(text)["lane"]["style"] == "北斎.png"
    html = (folder / "index.html").read_text("utf-8")
    assert '<th scope="col">梵高</th>' in html
    assert "<dt>#1 in grid.png</dt><dd>梵高</dd><dt>#2 in grid.png</dt><dd>فان-جوخ</dd></dl>" in html
    assert done("resume", folder, "--quiet").err == ""
    onward = ["--init", folder, "-o", tmp_path / "onward", "--table", in_scripts, *SMALL, "--evaluations", "5"]
    done("sweep", *inputs, *onward)
    assert pictures(tmp_path / "onward")["lanes/梵高.png"] != pictures(folder)["lanes/梵高.png"]


def test_lanes_whose_names_every_sheet_has_need_no_numbers(finished):
    assert "grid.png" not in (finished / "index.html").read_text("utf-8")


def test_a_sheet_of_many_pictures_is_shrunk_and_the_page_says_so(own, monkeypatch):
    run = RunFolder(own)
    table = from_json(run.run()["table"], settings_of(run.run(), own))
    lanes, before = pictures(own), images.read_image(own / "grid.png")
    monkeypatch.setattr(report, "SHEET_PIXELS", 4 * 40 * 48 / 4)
    run.report(table)
    shrunk = images.read_image(own / "grid.png")
    assert shrunk.shape[0] < before.shape[0]
    assert shrunk.shape[1] < before.shape[1]
    assert "<dt>pictures in grid.png</dt><dd>shrunk to 50%</dd>" in (own / "index.html").read_text("utf-8")
    lanes.pop("grid.png")
    assert {name: pictures(own)[name] for name in lanes} == lanes
    monkeypatch.undo()
    run.report(table)
    np.testing.assert_array_equal(images.read_image(own / "grid.png"), before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are UTF-8 whatever the locale")
def test_lanes_in_other_scripts_where_the_locale_has_no_letters(tmp_path, inputs, in_scripts):
    """The same files, named in UTF-8, as a process with another locale makes, which goes on with them."""
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    folder = tmp_path / "plain"
    assert separately("sweep", *inputs, "-o", folder, "--table", in_scripts, *SMALL, env=plain).returncode == 0
    made = pictures(folder)
    assert {f"lanes/{name}.png" for name in ("梵高", "Хокусай", "فان-جوخ")} < {*made}
    assert json.loads(images.read_settings(folder / "lanes" / "梵高.png")["nst_jax"])["lane"]["style"] == "北斎.png"
    (folder / "lanes" / "梵高.png").unlink()
    assert separately("resume", folder, env=plain).returncode == 0
    assert pictures(folder) == made
    (folder / "lanes" / "Хокусай.png").unlink()
    assert separately("resume", folder).returncode == 0
    assert pictures(folder) == made
