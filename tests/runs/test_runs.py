"""The run folder: what is in it, that it is never half of two runs, what resuming and running again refuse."""

import csv
import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from program import assert_refused, done, run
from run_folders import FILES, NAMES, SWEEP, assert_same, assert_whole, cached_programs, leftovers, pictures, rows

from nst_jax.cli import sweep_commands
from nst_jax.measures import measures
from nst_jax.pictures import images
from nst_jax.runs import description
from nst_jax.runs.description import differences
from nst_jax.runs.runs import RunFolder
from nst_jax.transfer import sweep as sweeps
from nst_jax.transfer.problem import Problem
from nst_jax.weights import weights

SHORT = [*SWEEP, "--steps", "3", "--quiet"]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory):
    with cached_programs(tmp_path_factory.mktemp("cache")):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, picture):
    folder = tmp_path_factory.mktemp("inputs")
    images.write_image(folder / "photo.png", picture("photograph", 40, 48))
    images.write_image(folder / "painting.png", picture("painting", 36, 48))
    return folder / "photo.png", folder / "painting.png"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, inputs):
    """A run that is over; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    done("sweep", *inputs, "-o", folder, *SHORT)
    return folder


@pytest.fixture
def own(finished, tmp_path):
    """A copy of it, to do with as one likes."""
    return shutil.copytree(finished, tmp_path / "own")


@pytest.fixture
def still(monkeypatch):
    """Nothing may be computed."""
    monkeypatch.setattr(sweeps.Sweep, "advance", lambda _: pytest.fail("it computes"))
    monkeypatch.setattr(Problem, "measure", lambda *_: pytest.fail("it measures"))


def edit(folder: Path, *keys: object, value: object) -> None:
    """Changes one value of run.json."""
    data = json.loads((folder / "run.json").read_text("utf-8"))
    inner = data
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / "run.json").write_text(json.dumps(data), "utf-8")


# -- what is there


def test_what_a_run_leaves(finished):
    assert sorted(os.listdir(finished)) == FILES
    assert sorted(path.stem for path in (finished / "lanes").iterdir()) == NAMES
    assert assert_whole(finished) == 5 + 4 + 1
    assert leftovers(finished) == []
    html = (finished / "index.html").read_text("utf-8")
    assert "4 lanes: 4 done" in html
    sheet = np.asarray(Image.open(finished / "grid.png"))
    for name in NAMES:
        lane = np.asarray(Image.open(finished / "lanes" / f"{name}.png"))
        assert lane.shape == (40, 48, 3)
        places = np.argwhere((sheet[: 1 - 40, : 1 - 48] == lane[0, 0]).all(-1))
        assert any(np.array_equal(sheet[y : y + 40, x : x + 48], lane) for y, x in places)


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


def measured(folder: Path) -> list[dict[str, str]]:
    """The lines of measures.csv."""
    with (folder / "measures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
    sets = ["--size", "48", "--steps", "2", "--history", "2", "--content-layer", "conv1_2", "--batch", "2"]
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


def test_run_json_as_documented(finished, inputs):
    data = json.loads((finished / "run.json").read_text("utf-8"))
    assert set(data) == {
        "format", "version", "jax", "python", "device", "settings", "tolerance", "weights", "inputs", "table", "plan",
    }  # fmt: skip
    assert data["weights"]["sha256"] == weights.verify("vgg19").sha256
    assert sorted(data["inputs"]) == sorted(map(str, inputs))
    assert [lane["name"] for lane in data["table"]["lanes"]] == NAMES
    assert data["settings"]["steps"] == 3
    assert data["plan"]["batch"] >= 1


def test_a_picture_says_how_it_was_made(finished):
    about = json.loads(images.read_settings(finished / "lanes" / f"{NAMES[1]}.png")["nst_jax"])["lane"]
    assert about["content"] == "photo.png"
    assert about["style layers"] == "conv1_1 1"
    assert about["α/β"] == "10⁻²"


# -- never half of two runs


@pytest.mark.usefixtures("still")
def test_a_run_is_not_overwritten(own, inputs):
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    assert_refused(run("sweep", *inputs, "-o", own, *SHORT), "is not empty", "nst-jax resume", "--force")
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before


def test_force_leaves_nothing_of_the_old_run(own, inputs):
    (own / "mine.txt").write_text("not a run's")
    done("sweep", *inputs, "-o", own, *SHORT, "--force", "--style-layers", "conv2_1", "--ratio", "5", "--steps", "2")
    assert sorted(os.listdir(own)) == sorted([*FILES, "mine.txt"])
    assert os.listdir(own / "lanes") == ["0_5.png"]
    assert {row["lane"] for row in rows(own)} == {"0_5"}
    assert len(rows(own)) == 2
    html = (own / "index.html").read_text("utf-8")
    assert not any(name in html for name in NAMES)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_folder_of_something_else_is_left_alone(tmp_path, inputs, force):
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    page.write_text("mine")
    assert_refused(run("sweep", *inputs, "-o", page.parent, *SHORT, *force), "holds no run")
    assert [*page.parent.iterdir()] == [page]
    assert page.read_text() == "mine"


@pytest.mark.usefixtures("still")
def test_places_that_cannot_be_a_folder(tmp_path, inputs):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "inside", tmp_path / ("x" * 300)):
        assert_refused(run("sweep", *inputs, "-o", place, *SHORT), "--output", "cannot be written")


def test_a_run_that_ended_before_its_run_json_can_be_begun_again(tmp_path, finished, inputs):
    for name in ("lanes", "checkpoint"):
        (tmp_path / "new" / name).mkdir(parents=True)
    (tmp_path / "new" / "checkpoint" / "lock-0").touch()
    (tmp_path / "new" / ".run.abcd1234.json").write_text("{")
    done("sweep", *inputs, "-o", tmp_path / "new", *SHORT)
    assert_same(tmp_path / "new", finished)
    assert leftovers(tmp_path / "new") == []


# -- one process at a time


@pytest.mark.usefixtures("still")
def test_a_second_process_is_refused(own, inputs):
    """A lock belongs to an open file, so that one process can stand for two."""
    with RunFolder(own).locked():
        assert_refused(run("resume", own), "another process is working on it")
        assert_refused(run("sweep", *inputs, "-o", own, *SHORT, "--force"), "another process is working on it")
    assert assert_whole(own) == 10
    with RunFolder(own, share=1).locked():
        assert_refused(run("sweep", *inputs, "-o", own, *SHORT, "--force"), "another process is working on it")
    assert assert_whole(own) == 10


# -- resuming


@pytest.mark.usefixtures("still")
def test_lanes_that_are_done_are_not_run_again(own, finished):
    (own / "grid.png").unlink()
    (own / "losses.csv").write_text("")
    (own / "measures.csv").write_text("")
    done("resume", own)
    assert_same(own, finished)


def test_a_lane_without_its_picture_is_run_again(own, finished):
    (own / "lanes" / f"{NAMES[2]}.png").unlink()
    done("resume", own, "--quiet")
    assert_same(own, finished)


@pytest.mark.usefixtures("still")
def test_what_killed_processes_left_is_removed(own):
    names = [".run.abcdefgh.json", ".grid.abcd_123.png", "checkpoint/.state-0.12345678.npz",
             f"lanes/.{NAMES[2][:20]}.12345678.png"]  # fmt: skip
    others = [".hidden", ".state-0.short.npz", "lanes/.mine.12345678.png", "checkpoint/.state-1.12345678.npz"]
    for name in names + others:
        (own / name).write_text("")
    done("resume", own)
    assert sorted(leftovers(own)) == sorted(str(own / name) for name in others)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("settings", "steps"), 4, ["settings.steps", "3, not 4"]),
        (("settings", "history"), 30, ["settings.history"]),
        (("table", "lanes", 0, "alpha"), 0.5, ["table.lanes"]),
        (("tolerance",), 0.1, ["tolerance"]),
        (("plan", "batch"), 8, ["plan.batch"]),
        (("weights", "sha256"), "0" * 64, ["weights.sha256"]),
        (("weights", "name"), "other", ["weights.name"]),
        (("plan", "devices"), 3, ["plan"]),
        (("plan", "shares"), 2, ["--share", "2 shares"]),
    ],
)
def test_resume_refuses_what_was_changed_in_run_json(own, keys, value, words):
    edit(own, *keys, value=value)
    assert_refused(run("resume", own), str(own), *words)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("command", ["resume", "sweep"])
def test_changed_inputs_and_weights_are_refused(tmp_path, inputs, command, monkeypatch):
    for path in inputs:
        shutil.copy(path, tmp_path)
    shutil.copy(weights.verify("vgg19").path, tmp_path / "own.h5")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    again = ["resume", folder] if command == "resume" else ["sweep", "--from", folder, "-o", tmp_path / "new"]
    monkeypatch.setattr(sweep_commands, "_go_on", lambda *_: 0)
    done("sweep", "photo.png", "painting.png", "-o", folder, *SHORT, "--weights", "own.h5")
    done(*again)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    shutil.copy("photo.png", "painting.png")
    assert_refused(run(*again), "painting.png")
    Path("painting.png").unlink()
    assert_refused(run(*again), "painting.png: no such file")
    shutil.copy(inputs[1], "painting.png")
    done(*again)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    with Path("own.h5").open("ab") as file:
        file.write(b"x")
    assert_refused(run(*again), "weights.sha256")


@pytest.mark.usefixtures("still")
def test_another_version_only_gets_a_note(own, monkeypatch):
    monkeypatch.setattr(description, "__version__", "99.9")
    outcome = done("resume", own)
    assert "begun elsewhere, version" in outcome.err
    assert outcome.err.count("note") == 1


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, '{"format": "nst_jax run 1"}', '{"format": 2}', "\udcff",
        '{"format": "nst_jax run 1", "table": {"lanes": []}}',
    ],
)  # fmt: skip
def test_a_damaged_run_json(own, text):
    (own / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert_refused(run("resume", own), "run.json: damaged")
    assert_refused(run("sweep", "--from", own, "-o", own.parent / "new"), "run.json: damaged")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("keys", [("plan",), ("plan", "batch"), ("tolerance",), ("settings",), ("table", "lanes")])
@pytest.mark.parametrize("value", [None, "x", -1, {}, [1]])
def test_a_run_json_with_nonsense_inside(own, keys, value):
    edit(own, *keys, value=value)
    assert_refused(run("resume", own), str(own))


@pytest.mark.usefixtures("still")
def test_a_damaged_checkpoint(own):
    path = own / "checkpoint" / "state-0.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert_refused(run("resume", own), "state-0.npz: damaged")


@pytest.mark.usefixtures("still")
def test_a_folder_without_a_run(tmp_path):
    assert_refused(run("resume", tmp_path), "not a run folder")
    assert_refused(run("resume", tmp_path / "none"), "not a run folder")


# -- again


def test_a_run_can_be_run_again(finished, tmp_path):
    done("sweep", "--from", finished / "run.json", "-o", tmp_path / "again", "--quiet")
    assert_same(tmp_path / "again", finished)
    assert (tmp_path / "again" / "run.json").read_bytes() == (finished / "run.json").read_bytes()


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    "more", [["--steps", "5"], ["--ratio", "1"], ["--batch", "3"], ["--tolerance", "0.1"], ["--table", "lanes.csv"]]
)
def test_a_run_is_not_run_again_otherwise(finished, tmp_path, more):
    assert_refused(run("sweep", "--from", finished, "-o", tmp_path / "again", *more), "--from")
    assert [*tmp_path.iterdir()] == []


# -- pictures and lanes of all kinds


def test_file_names_that_are_no_unicode(tmp_path, inputs, finished):
    content, style = (tmp_path / os.fsdecode(name) for name in (b"\xff.png", b"a\n<b>\xfe.png"))
    shutil.copy(inputs[0], content)
    shutil.copy(inputs[1], style)
    done("sweep", content, style, "-o", tmp_path / "out", *SHORT)
    assert rows(tmp_path / "out") == rows(finished)
    assert measured(tmp_path / "out") == measured(finished)
    data = json.loads((tmp_path / "out" / "run.json").read_text("utf-8"))
    assert {lane["content"] for lane in data["table"]["lanes"]} == {str(content)}
    done("resume", tmp_path / "out")


def test_a_lane_that_is_not_finite(tmp_path, inputs, finished):
    """It is marked as failed, and the others are what they are without it."""
    table = tmp_path / "lanes.csv"
    table.write_text("name,ratio,style_layers\ngood,1e-3,conv1_1\nbad,1e30,conv1_1\n")
    sets = ["--size", "48", "--steps", "3", "--history", "3", "--content-layer", "conv2_1", "--batch", "2"]
    outcome = run("sweep", *inputs, "-o", tmp_path / "out", "--table", table, *sets, "--quiet")
    assert outcome.code == 1
    assert outcome.err == "nst-jax: bad: the loss is not finite; kept the last good picture\n"
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "1 done, 1 failed" in html
    assert [row["lane"] for row in rows(tmp_path / "out")] == ["good"] * 3 + ["bad"]
    assert [line["lane"] for line in measured(tmp_path / "out")] == ["good", "bad"]
    assert len(pictures(tmp_path / "out")) == 3
    outcome = run("resume", tmp_path / "out", "--quiet")
    assert outcome.code == 1


def test_where_two_runs_differ():
    before = {"a": 1, "settings": {"size": 256, "steps": 3}, "table": {"lanes": [1]}, "gone": None}
    now = {"a": 1, "settings": {"size": 512, "steps": 3}, "table": {"lanes": [2]}, "new": "x"}
    assert differences(before, now) == ["new (None, not x)", "settings.size (256, not 512)", "table.lanes"]
    assert differences(before, before) == []
    assert re.fullmatch(r"settings \(.*", differences(before, {**before, "settings": 1})[0])
