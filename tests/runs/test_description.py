"""run.json: what it holds, with files by absolute paths, and where two differ."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from run_folders import NAMES

from nst_jax.errors import InputError
from nst_jax.pictures import files
from nst_jax.runs.description import absolute, completed, describe, differences, settings_of
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import from_json, table
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights


def test_run_json_as_documented(finished, inputs):
    data = json.loads((finished / "run.json").read_text("utf-8"))
    assert set(data) == {
        "format", "version", "jax", "python", "device", "settings", "tolerance", "weights", "inputs", "sizes", "table",
        "plan",
    }  # fmt: skip
    assert data["weights"]["sha256"] == weights.verify("vgg19").sha256
    assert sorted(data["inputs"]) == sorted(map(str, inputs))
    assert data["sizes"] == {str(path): path.stat().st_size for path in inputs} | {
        "vgg19": weights.verify("vgg19").bytes
    }
    assert [lane["name"] for lane in data["table"]["lanes"]] == NAMES
    assert data["settings"]["evaluations"] == 3
    assert data["plan"]["groups"][0]["batch"] >= 1


def test_where_two_runs_differ():
    before = {"a": 1, "settings": {"size": 256, "evaluations": 3}, "table": {"lanes": [1]}, "gone": None}
    now = {"a": 1, "settings": {"size": 512, "evaluations": 3}, "table": {"lanes": [2]}, "new": "x"}
    assert differences(before, now) == ["new (None, not x)", "settings.size (256, not 512)", "table.lanes"]
    assert differences(before, before) == []
    assert re.fullmatch(r"settings \(.*", differences(before, {**before, "settings": 1})[0])


def test_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = absolute(table(["photo.png"], ["a/painting.png"], Axes(), Settings(init="start.png", weights="own.h5")))
    assert (made.lanes[0].content, made.lanes[0].style) == (f"{tmp_path}/photo.png", f"{tmp_path}/a/painting.png")
    assert (made.settings.init, made.settings.weights) == (f"{tmp_path}/start.png", f"{tmp_path}/own.h5")
    assert absolute(made) == made


def test_files_that_are_elsewhere_keep_their_names(tmp_path, monkeypatch):
    """Even where the folders that they were in have become links since."""
    monkeypatch.chdir(tmp_path)
    Path("gone").symlink_to(tmp_path / "new", target_is_directory=True)
    photo, painting, start = (str(tmp_path / "gone" / name) for name in ("photo.png", "painting.png", "start.png"))
    made = table([photo], [painting], Axes(), Settings(init=start))
    places = {photo: "/x/1.png", start: "/x/2.png"}
    expected = replace(made.lanes[0], style=f"{tmp_path}/new/painting.png")
    assert absolute(made, places) == made._replace(lanes=(expected,))


def test_what_is_no_file_keeps_its_name():
    for init in ("noise", "content"):
        made = table(["/photo.png"], ["/painting.png"], Axes(), Settings(init=init))
        made = made._replace(lanes=(replace(made.lanes[0], style=""),))
        assert absolute(made) == made


def test_all_that_a_run_is_made_from(inputs, tmp_path):
    """Twice the same; the start is one of the inputs, and of a run folder its run.json. It is JSON already."""
    start = Path(inputs[0]).with_name("painting.png")
    made = table([inputs[0]], [inputs[1]], Axes(), Settings(init=str(start)))
    described = describe(made, 0.5)
    assert described == describe(made, 0.5) == json.loads(json.dumps(described))
    assert described["inputs"] == {str(path): files.sha256(path) for path in inputs}
    assert described["tolerance"] == 0.5
    assert settings_of(described, tmp_path) == made.settings
    assert from_json(described["table"], made.settings) == made
    (tmp_path / "run.json").write_text("{}")
    of_run = describe(made._replace(settings=Settings(init=str(tmp_path))), 0.5)
    assert str(tmp_path / "run.json") in of_run["inputs"]


def test_files_are_described_by_their_names_wherever_they_are(inputs, tmp_path):
    """As if none had been moved; of a run folder to start from the run.json is that of the folder where it is now."""
    photo, painting = map(str, inputs)
    (tmp_path / "run.json").write_text("{}")
    names = {"/gone/photo.png": photo, "/gone/painting.png": painting, "/gone/first": str(tmp_path)}
    made = table(["/gone/photo.png"], ["/gone/painting.png"], Axes(), Settings(init="/gone/first"))
    described = describe(made, 0.5, names)
    hashed = {"/gone/photo.png": photo, "/gone/painting.png": painting, "/gone/first/run.json": tmp_path / "run.json"}
    assert described["inputs"] == {name: files.sha256(path) for name, path in hashed.items()}
    assert described["sizes"] == {name: Path(path).stat().st_size for name, path in hashed.items()} | {
        "vgg19": weights.verify().bytes
    }
    assert described["settings"]["init"] == "/gone/first"
    with pytest.raises(InputError, match=r"^/gone/photo.png: no such file$"):
        describe(made, 0.5)


def test_a_missing_input_is_named(inputs, tmp_path):
    made = table([inputs[0]], [tmp_path / "none.png"], Axes(), Settings())
    with pytest.raises(InputError, match=r"none.png: no such file"):
        describe(made, 0.0)
    with pytest.raises(InputError, match=r"run.json: no such file"):
        describe(table(inputs[:1], inputs[1:], Axes(), Settings(init=str(tmp_path))), 0.0)


def test_settings_that_there_were_not_yet_are_as_runs_were_then():
    run = {"format": "nst_jax run 1", "settings": {"pool": "max", "bits": 16}}
    then = {"padding": "zero", "bounds": "none", "style_loss": "gram", "color": "painting", "color_match": "pca"}
    then |= {"region": [], "region_edges": "simple", "region_weights": None, "keep": None, "presence": None}
    assert completed(run) == {**run, "settings": {"pool": "max", "bits": 16, "style_scale": 1.0, **then}}
    assert run["settings"] == {"pool": "max", "bits": 16}
    everything = {"format": "nst_jax run 1", "settings": vars(Settings(padding="reflect"))}
    assert completed(everything) == everything


def test_a_run_of_the_first_version_can_be_run_again(tmp_path):
    """Its settings' names, and a plan without strips."""
    run = {"settings": {"content_layer": "conv1_1", "steps": 7}, "plan": {"batch": 2, "devices": 1, "shares": 1}}
    now = completed(run)
    settings = settings_of(now, tmp_path)
    assert (settings.content_layers, settings.evaluations, settings.bounds) == (("conv1_1",), 7, "none")
    assert now["plan"] == {"groups": [{"batch": 2, "strips": []}], "together": 1, "devices": 1, "shares": 1}


@pytest.mark.parametrize("settings", [{"steps": 3}, None, [1]])
def test_settings_of_another_version(settings, tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: run.json has settings of another version"):
        settings_of({"settings": settings}, tmp_path)
