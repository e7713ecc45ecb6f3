"""Runs whose presence is asked: searched for once, before the run is begun, and never again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from program import assert_refused, done, run
from run_folders import assert_same

from nst_jax.pictures import images
from nst_jax.runs import presences
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.options import RunOptions
from nst_jax.transfer import presence
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import as_json, table
from nst_jax.transfer.presence import Found
from nst_jax.transfer.settings import Settings

OPTIONS = ("--size", "48", "--evaluations", "2", "--content-layers", "conv2_1", "--style-layers", "conv1_1")
NOTES: list[str] = []


@pytest.fixture
def searched(monkeypatch):
    """What was searched for, in place of searching."""
    calls = []

    def ratios_for(presences, content, style, settings, **options):
        calls.append((list(presences), content, style, settings, options))
        return [Found(each, each / 100, min(each, 0.5), each <= 0.5) for each in presences]

    monkeypatch.setattr(presence, "ratios_for", ratios_for)
    return calls


@pytest.fixture
def never(monkeypatch):
    """No search may take place."""

    def forbid():
        monkeypatch.setattr(presence, "ratios_for", lambda *_, **__: pytest.fail("it searches"))

    return forbid


def lanes_of(folder):
    return json.loads((folder / "run.json").read_text("utf-8"))["table"]["lanes"]


def test_a_run_is_had_again_without_the_search(tmp_path, inputs, searched, never):
    outcome = done("sweep", *inputs, "-o", tmp_path / "run", *OPTIONS, "--presence", "0.2,0.6", "--seed", "0,1")
    assert [asked for asked, *_ in searched] == [[0.2, 0.6]]
    notes = [line for line in outcome.err.splitlines() if "presence" in line]
    assert notes[1:] == [
        "nst-jax: note: 0_seed-0_presence-0.2: presence 0.2: α/β 2e-3 (expected 0.20)",
        "nst-jax: note: 1_seed-0_presence-0.6: presence 0.6: cannot be reached; the nearest is 0.50, at α/β 6e-3",
    ]
    found = [(lane["alpha"], lane["beta"], lane["presence"], lane["expected"]) for lane in lanes_of(tmp_path / "run")]
    assert found == 2 * [(0.002, 1.0, 0.2, 0.2), (0.006, 1.0, 0.6, 0.5)]
    settings = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["settings"]
    assert (settings["presence"], settings["ratio"]) == (None, None)
    never()
    done("sweep", "--from", tmp_path / "run", "-o", tmp_path / "again")
    assert_same(tmp_path / "run", tmp_path / "again")
    (tmp_path / "again" / "lanes" / "0_seed-0_presence-0.2.png").unlink()
    done("resume", tmp_path / "again")
    assert_same(tmp_path / "run", tmp_path / "again")
    page = (tmp_path / "run" / "index.html").read_text("utf-8")
    assert "presence 0.6" in page
    assert "0.6 asked, 0.50 expected" in page


def test_scales_have_the_ratio_that_was_found(tmp_path, inputs, searched):
    done("sweep", *inputs, "-o", tmp_path / "run", *OPTIONS, "--size", "96", "--scales", "2", "--presence", "0.4")
    assert len(searched) == 1
    coarse = json.loads(next((tmp_path / "run" / "scales").glob("*/run.json")).read_text("utf-8"))
    assert [lane["alpha"] for lane in coarse["table"]["lanes"]] == [0.004]
    assert coarse["settings"]["ratio_size"] == 96


def test_lanes_of_a_table(tmp_path, inputs, searched):
    lines = ("name,presence,ratio,color,style layers", "a,0.4,,match,conv1_1", "b,,0.1,,conv1_1", "c,.3,,match,conv1_1")
    text = "\n".join(lines)
    (tmp_path / "lanes.csv").write_text(text)
    done("sweep", *inputs, "-o", tmp_path / "run", *OPTIONS[:-2], "--table", tmp_path / "lanes.csv", "--quiet")
    ((asked, _, _, settings, _),) = searched
    assert (asked, settings.color) == ([0.4, 0.3], "match")
    assert [(lane["name"], lane["alpha"], lane["presence"]) for lane in lanes_of(tmp_path / "run")] == [
        ("a", 0.004, 0.4), ("b", 0.1, None), ("c", 0.003, 0.3)
    ]  # fmt: skip


def test_what_is_refused_is_refused_before_the_search(tmp_path, inputs, never):
    never()
    (tmp_path / "file").write_text("")
    command = ["sweep", *inputs, *OPTIONS, "--presence"]
    assert_refused(run(*command, "0.4", "-o", tmp_path), "--output")
    assert_refused(run(*command, "0.4,1.5", "-o", tmp_path / "run"), "--presence: 1.5 is not allowed; must be from 0")
    assert_refused(
        run(*command, "0.4", "--ratio", "1", "-o", tmp_path / "run"),
        "--presence: not allowed together with --ratio, --alpha or --beta; give one or the other",
    )
    assert_refused(run(*command, "0.4,0.4", "-o", tmp_path / "run"), "'presence 0.4' is given twice")
    assert not (tmp_path / "run").exists()


def test_a_dry_run_only_says_that_there_is_a_search(inputs, never):
    never()
    outcome = done("sweep", *inputs, *OPTIONS, "--presence", "0.2,0.6", "--dry-run")
    assert outcome.out.splitlines()[1].startswith("1_presence-0.6: α/β searched for first, for presence 0.6, style")


def begun(folder, made):
    """A folder with the run.json of a run that another process began."""
    folder.mkdir()
    plan = {"groups": [{"batch": 1, "strips": []}], "devices": 1, "shares": 2}
    run = {"format": "nst_jax run 1", "settings": vars(made.settings), "table": as_json(made), "plan": plan}
    (folder / "run.json").write_text(json.dumps(run | {"tolerance": 0.0}))


def test_what_another_process_found_is_taken(tmp_path, inputs, searched, never):
    """Also where it was faster: a search on another machine may come to another ratio."""
    options = RunOptions(share=(1, 2))
    asked = table(inputs[:1], inputs[1:], Axes(presence=(0.2, 0.4)), Settings(size=48))
    found = asked._replace(lanes=tuple(replace(lane, alpha=7.0, expected=0.3) for lane in asked.lanes))

    def of(note):
        return presences.found(asked, RunFolder(tmp_path / "run", 1), options, note, lambda *_: None)

    def beaten(text):
        if "expected 0.40" in text:  # the last that the search tells
            begun(tmp_path / "run", found)

    assert [(lane.alpha, lane.expected) for lane in of(beaten).lanes] == [(7.0, 0.3)] * 2
    assert len(searched) == 1
    never()
    assert of(pytest.fail) == found


def test_a_search_has_all_that_its_lanes_are_made_from(tmp_path, inputs, searched):
    photo, painting = inputs
    start = images.read_image(photo)[::-1]
    images.write_image(tmp_path / "start.png", start)
    half = np.zeros((40, 48, 3), np.float32)
    half[:, :24] = 1
    images.write_image(tmp_path / "left.png", half)
    images.write_image(tmp_path / "right.png", 1 - half)
    region = (f"{tmp_path / 'left.png'}={painting}",)
    settings = Settings(
        size=64, style_scale=1.25, init=str(tmp_path / "start.png"), keep=str(tmp_path / "right.png"), region=region
    )
    made = table([photo], [""], Axes(presence=(0.2,), vary=(("size", (48, 64)),)), settings)
    found = presences.found(made, RunFolder(tmp_path / "run"), RunOptions(), NOTES.append, lambda *_: None)
    assert [lane.alpha for lane in found.lanes] == [0.002] * 2
    assert [content.shape for _, content, *_ in searched] == [(40, 48, 3), (53, 64, 3)]
    for _, content, style, own, options in searched:
        assert style is None
        assert own.region == region
        assert max(options["regions"].paintings[str(painting)].shape) == round(1.25 * own.size)
        assert [*options["regions"].masks] == [str(tmp_path / "left.png")]
        assert options["keep"].shape == content.shape[:2]
        assert options["start"].shape == content.shape


def test_lanes_may_start_from_another_run_s(tmp_path, inputs, finished, searched):
    made = table(inputs[:1], inputs[1:], Axes(presence=(0.2,)), Settings(size=48, init=str(finished)))
    name = lanes_of(finished)[0]["name"]
    made = made._replace(lanes=(replace(made.lanes[0], name=name),))
    presences.found(made, RunFolder(tmp_path / "run"), RunOptions(), NOTES.append, lambda *_: None)
    ((*_, options),) = searched
    assert options["start"].shape == (40, 48, 3)
