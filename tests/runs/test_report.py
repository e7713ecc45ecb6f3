"""What a run folder has for people and for other programs: losses, measures, the page's state and notes."""

import math

import numpy as np
from program import done
from run_folders import NAMES, assert_whole, measured, rows

from nst_jax.measures import measures
from nst_jax.pictures import images


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
    sets = ["--size", "48", "--evaluations", "2", "--history", "2", "--content-layer", "conv1_2", "--batch", "2"]
    done("sweep", *inputs, "-o", tmp_path / "out", "--table", table, *sets, "--quiet")
    assert_whole(tmp_path / "out")
    photo, painting = measured(tmp_path / "out")
    distances = [name for name in photo if "_to_" in name]
    assert len(distances) == 10
    assert {name for name in photo if not photo[name]} == {*distances}
    assert {name for name in painting if not painting[name]} == {"ssim", "correlation", *distances[5:]}
    assert painting["row"] == "b, c"
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert html.count('["structural similarity"') == html.count('["conv5_1 from style, over noise"') == 1
    assert "nan" not in html.split('id="data"')[1].lower().split("</script>")[0]
