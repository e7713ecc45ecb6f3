"""Runs from their beginning to their end: the stages, resuming, running again; what both refuse."""

import base64
import json
import re
import shutil
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from program import assert_refused, done, run
from run_folders import NAMES, SHORT, assert_same, assert_whole, edit, measured, of_two, pictures, rows

from nst_jax.errors import InputError
from nst_jax.optim import engine
from nst_jax.optim.compiler import remembered
from nst_jax.pictures import images
from nst_jax.runs import checkpoint, description, pace, report, stages
from nst_jax.runs.options import RunOptions
from nst_jax.runs.stage import Kept
from nst_jax.runs.stages import Ended, Watch
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import Table, table
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights

# -- stages


def watch(stop_after: int = 1000, notes: list[str] | None = None) -> Watch:
    """One that stops each stage after so many chunks."""

    def following(name, engine):
        chunks = iter(range(1, 1000))
        return nullcontext(lambda: next(chunks) >= stop_after)

    return Watch(following, [].append if notes is None else notes.append)


def test_a_run_at_one_scale_is_one_stage_as_it_was_asked_for(tmp_path, inputs):
    made = of_two(inputs)
    (only,) = stages.stages_of(tmp_path, made, (Kept(None, (2, 1)),))
    assert only == (tmp_path, made, ((None, (2, 1)),), {}, False, 1)


def test_each_scale_is_a_stage_that_the_next_one_starts_from(tmp_path, inputs):
    made = of_two(inputs, size=192, evaluations=10, scales=3, style_size=160)
    coarse, middle, fine = stages.stages_of(tmp_path, made, (Kept(None, (2, 1)),))
    places = ["scales/48x40", "scales/96x80", ""]
    assert [str(stage.folder) for stage in (coarse, middle, fine)] == [str(tmp_path / place) for place in places]
    assert [stage.kept for stage in (coarse, middle, fine)] == [(), (), (Kept(None, (2, 1)),)]
    assert all(stage.table.lanes == made.lanes for stage in (coarse, middle, fine))
    settings = [stage.table.settings for stage in (coarse, middle, fine)]
    assert [own.init for own in settings] == ["noise", str(coarse.folder), str(middle.folder)]
    assert [own.evaluations for own in settings] == [2, 2, 6]
    assert [own.size for own in settings] == [48, 96, 192]
    assert [own.style_size for own in settings] == [40, 80, 160]
    assert [own.ratio_size for own in settings] == [192, 192, None]
    assert replace(settings[2], init="noise", evaluations=10) == made.settings


def test_reports_that_take_long_are_written_at_the_beginning_and_the_end(tmp_path, inputs, monkeypatch):
    """The checkpoint is written all the same."""
    write, save, events = report.write, checkpoint.save, []

    def slowly(*arguments):
        events.append("report")
        return write(*arguments)

    monkeypatch.setattr(report, "write", slowly)
    monkeypatch.setattr(checkpoint, "save", lambda *arguments: (events.append("save"), save(*arguments)))
    monkeypatch.setattr(pace, "PART", 1e-9)
    made = of_two(inputs, evaluations=2)
    several = [replace(lane, own=(("evaluations", n),)) for n, lane in enumerate(made.lanes, 2)]
    apart = made._replace(lanes=tuple(several))
    list(stages.begin(apart, tmp_path / "run", RunOptions(checkpoint_every=0), watch(), remembered))
    assert events.count("report") == 2
    assert events.count("save") >= 2
    assert events[0] == events[-1] == "report"
    assert "2 lanes: 2 done" in (tmp_path / "run" / "index.html").read_text("utf-8")


@pytest.mark.parametrize("own", [("init", "content"), ("convention", "gatys"), ("evaluations", 5), ("size", 64)])
def test_lanes_that_differ_in_what_scales_are_made_of_have_one(tmp_path, inputs, own):
    """So would a forecast say, which asks for the same scales."""
    made = of_two(inputs, size=96, evaluations=10, scales=2)
    apart = made._replace(lanes=(made.lanes[0], replace(made.lanes[1], own=(own,))))
    with pytest.raises(InputError, match=f"scales: only one is allowed where lanes differ in {own[0]}"):
        stages.stages_of(tmp_path, apart)


def test_a_precision_of_a_lane_s_own_is_named_too(tmp_path, inputs):
    two = of_two(inputs, evaluations=1, precision="bfloat16")
    made = two._replace(lanes=(two.lanes[0], replace(two.lanes[1], own=(("precision", "auto"),))))
    list(stages.begin(made, tmp_path / "run", RunOptions(), watch(), remembered))
    lanes = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["table"]["lanes"]
    assert [lane["own"] for lane in lanes] == [{}, {"precision": "float32"}]


def test_a_scale_too_many_is_refused(tmp_path, inputs):
    with pytest.raises(InputError, match="scales: 2 is not allowed"):
        stages.stages_of(tmp_path, of_two(inputs, scales=2))


def test_what_was_stopped_goes_on_to_the_same_bytes(tmp_path, inputs):
    """From Python, with an own way to follow it; the checkpoint is written although it is not yet time."""
    made, options = of_two(inputs), RunOptions(batch=1, checkpoint_every=1000)
    (ended,) = stages.begin(made, tmp_path / "whole", options, watch(), remembered)
    assert ended == (tmp_path / "whole", 2, ended.seconds, False, [])
    assert ended.seconds > 0
    (stopped,) = stages.begin(made, tmp_path / "run", options, watch(1), remembered)
    assert stopped.interrupted
    assert 0 < len(rows(tmp_path / "run")) < 6
    assert_whole(tmp_path / "run")
    (resumed,) = stages.resume(tmp_path / "run", options, watch(), remembered)
    assert not resumed.interrupted
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_what_was_stopped_between_two_programs_goes_on(tmp_path, inputs):
    """With the last chunk of the first group; the second is not begun for one chunk more."""
    two = of_two(inputs, evaluations=1)
    apart = tuple(replace(lane, own=own) for lane, own in zip(two.lanes, ((), (("pool", "max"),)), strict=True))
    made, options = two._replace(lanes=apart), RunOptions(checkpoint_every=1000)
    (stopped,) = stages.begin(made, tmp_path / "run", options, watch(1), remembered)
    assert (stopped.interrupted, stopped.lanes) == (True, 1)
    assert {row["lane"] for row in rows(tmp_path / "run")} == {made.lanes[0].name}
    (resumed,) = stages.resume(tmp_path / "run", options, watch(), remembered)
    assert (resumed.interrupted, resumed.lanes) == (False, 2)
    assert len(measured(tmp_path / "run")) == 2


def test_regions_and_what_is_kept_go_on_to_the_same_bytes_wherever_their_files_are(tmp_path, inputs):
    """In two programs, by the edges of regions; masks and the region's painting are inputs as others are."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, first, last in (("sky", 20, 48), ("kept", 0, 10), ("part", 8, 40)):
        mask = np.zeros((40 if name != "part" else 36, 48, 3), np.float32)
        mask[:, first:last] = 1
        images.write_image(folder / f"{name}.png", mask)
    painting = shutil.copy(inputs[1], folder / "painting.png")
    chosen = {
        "region": (f"{folder / 'sky.png'}={painting}:{folder / 'part.png'}",), "keep": str(folder / "kept.png"),
        "size": 48, "evaluations": 3, "history": 3, "content_layers": ("conv2_1",), "style_layers": ("conv1_1",),
    }  # fmt: skip
    axes = Axes(ratio=(1e-3, 1e-2), vary=(("region_edges", ("simple", "all")),))
    made = table([inputs[0]], [inputs[1]], axes, Settings(**chosen))
    whole, cut, again = (tmp_path / name for name in ("whole", "cut", "again"))
    list(stages.begin(made, whole, RunOptions(), watch(), remembered))
    list(stages.begin(made, cut, RunOptions(), watch(stop_after=1), remembered))
    photo = images.read_image(inputs[0], size=48)
    for path in sorted((whole / "lanes").iterdir()):
        np.testing.assert_allclose(images.read_image(path)[:, :10], photo[:, :10], atol=0.51 / 255)
    recorded = json.loads((whole / "run.json").read_text("utf-8"))
    assert {Path(name).name for name in recorded["inputs"]} == {
        "photo.png", "painting.png", "sky.png", "part.png", "kept.png",
    }  # fmt: skip
    assert len(recorded["plan"]["groups"]) == 2
    elsewhere = folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no such file"):
        list(stages.resume(cut, RunOptions(), watch(), remembered))
    list(stages.resume(cut, RunOptions(), watch(), remembered, [elsewhere]))
    assert_same(whole, cut)
    renewed, options, kept, places = stages.again(whole, RunOptions(), [elsewhere])
    list(stages.begin(renewed, again, options, watch(), remembered, kept, places))
    assert_same(whole, again)


def test_pictures_of_16_bits_go_on_to_the_same_bytes(tmp_path, inputs):
    """Those of the lanes; the sheet and the page are of 8 bits, for viewers and so as not to grow."""
    made, options = of_two(inputs, bits=16), RunOptions(batch=1, checkpoint_every=1000)
    list(stages.begin(made, tmp_path / "whole", options, watch(), remembered))
    (stopped,) = stages.begin(made, tmp_path / "run", options, watch(1), remembered)
    assert stopped.interrupted
    for path in (tmp_path / "run" / "lanes").iterdir():
        path.unlink()  # so that all are written anew
    list(stages.resume(tmp_path / "run", options, watch(), remembered))
    assert_same(tmp_path / "run", tmp_path / "whole")
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["settings"]["bits"] == 16

    def depths(pictures: Iterable[bytes]) -> list[int]:
        return [data[24] for data in pictures]

    assert depths(path.read_bytes() for path in (tmp_path / "run" / "lanes").iterdir()) == [16, 16]
    html = (tmp_path / "run" / "index.html").read_text("utf-8")
    embedded = [base64.b64decode(data) for data in re.findall(r'"data:image/png;base64,([^"]+)"', html)]
    assert depths([(tmp_path / "run" / "grid.png").read_bytes(), *embedded]) == [8, 8, 8]


def test_a_stop_at_a_coarser_scale_is_the_end(tmp_path, inputs):
    """The finest is begun before, so that the folder says what was asked for, but nothing of it is computed."""
    made, folder = of_two(inputs, size=96, evaluations=5, scales=2), tmp_path / "run"
    (stopped,) = stages.begin(made, folder, RunOptions(), watch(1), remembered)
    assert stopped.interrupted
    assert stopped.folder == folder / "scales" / "48x40"
    assert (folder / "run.json").is_file()
    assert not (folder / "losses.csv").exists()
    ended = [*stages.resume(folder, RunOptions(), watch(), remembered)]
    assert [stage.folder for stage in ended] == [folder / "scales" / "48x40", folder]
    assert len(rows(folder)) == 2 * 3


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
@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("settings", "evaluations"), 4, ["settings.evaluations", "3, not 4"]),
        (("settings", "history"), 30, ["settings.history"]),
        (("table", "lanes", 0, "alpha"), 0.5, ["table.lanes"]),
        (("tolerance",), 0.1, ["tolerance"]),
        (("plan", "batch"), 8, ["plan.batch"]),
        (("weights", "sha256"), "0" * 64, ["weights.sha256"]),
        (("weights", "name"), "other", ["weights.name"]),
        (("plan", "devices"), 3, ["plan"]),
        (("plan", "shares"), 2, ["run.json was changed: plan.shares (1, not 2)"]),
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
    monkeypatch.setattr(stages, "_gone_on", lambda stage, *_: Ended(stage.folder, 4, 0.0, False, []))
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
    assert_refused(run(*again), "own.h5: changed since")


@pytest.mark.usefixtures("still")
def test_another_version_only_gets_a_note(own, monkeypatch):
    monkeypatch.setattr(description, "__version__", "99.9")
    outcome = done("resume", own)
    assert "begun elsewhere, version" in outcome.err
    assert outcome.err.count("note") == 1


# -- again


def test_a_run_can_be_run_again(finished, tmp_path):
    done("sweep", "--from", finished / "run.json", "-o", tmp_path / "again", "--quiet")
    assert_same(tmp_path / "again", finished)
    assert (tmp_path / "again" / "run.json").read_bytes() == (finished / "run.json").read_bytes()


def test_what_a_run_json_is_run_again_with(finished):
    """Its table, tolerance, batch and strips, whether it or its folder is named; how to run it is for the options."""
    made, options, *others = stages.again(finished, RunOptions(quiet=True, share=(0, 2)))
    assert stages.again(finished / "run.json", RunOptions(quiet=True, share=(0, 2))) == (made, options, *others)
    assert [lane.name for lane in made.lanes] == NAMES
    assert made.settings.evaluations == 3
    assert (options, others) == (RunOptions(quiet=True, share=(0, 2), batch=2), [(Kept(4),), {}])  # of four devices


def test_running_again_is_told_of_before(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = done("sweep", "--from", finished, "--dry-run")
    assert [line.split(":")[0] for line in outcome.out.splitlines()[:-1]] == NAMES
    assert "4 lanes in 1 batches of 4 on 4 devices" in outcome.out
    assert [*tmp_path.iterdir()] == []
    assert_refused(run("sweep", "--from", finished), "--output: needed, unless --dry-run is given")


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    "more",
    [["--evaluations", "5"], ["--ratio", "1"], ["--batch", "3"], ["--tolerance", "0.1"], ["--table", "lanes.csv"]],
)
def test_a_run_is_not_run_again_otherwise(finished, tmp_path, more):
    assert_refused(run("sweep", "--from", finished, "-o", tmp_path / "again", *more), "--from")
    assert [*tmp_path.iterdir()] == []


def test_a_run_of_an_earlier_version_goes_on(own, finished):
    """Its run.json tells no sizes, and lacks settings that there were not yet."""
    data = json.loads((own / "run.json").read_text("utf-8"))
    del data["sizes"]
    for name in ("padding", "bits", "style_loss", "color", "color_match", "style_scale"):
        del data["settings"][name]
    (data["settings"]["content_layer"],) = data["settings"].pop("content_layers")
    data["plan"] |= data["plan"].pop("groups")[0]
    for lane in data["table"]["lanes"]:
        del lane["own"]
    (own / "run.json").write_text(json.dumps(data), "utf-8")
    (own / "checkpoint" / "state-0.npz").unlink()
    assert done("resume", own, "--quiet").err == ""
    assert_same(own, finished)


# -- inputs that were moved


QUICK = {"optimizer": "adam", "content_layers": ("conv1_1",)}  # to compile


def copied(tmp_path, inputs) -> tuple[Path, Path]:
    """The pictures in a folder of their own."""
    (tmp_path / "before").mkdir()
    photo, painting = (Path(shutil.copy(path, tmp_path / "before")) for path in inputs)
    return photo, painting


def moved_away(tmp_path) -> Path:
    """All files of that folder, by other names at other depths."""
    for number, path in enumerate(sorted((tmp_path / "before").iterdir())):
        there = tmp_path / "there" / "deep" / str(number)
        there.mkdir(parents=True)
        shutil.move(path, there / f"{number}{path.suffix.upper()}")
    return tmp_path / "there"


def with_work_left(folder: Path, table: Table) -> None:
    """As when nothing was interrupted but a picture was lost, at each scale."""
    for path in folder.rglob(f"{table.lanes[0].name}.png"):
        path.unlink()


@pytest.mark.usefixtures("optax_mixes_dtypes")
def test_inputs_that_were_moved_are_found(tmp_path, inputs, monkeypatch):
    """The photograph, the painting, the weights and the start; the second time without being told where to look."""
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.0)
    photo, painting = copied(tmp_path, inputs)
    own = shutil.copy(weights.verify("vgg19").path, photo.with_name("own.h5"))
    start = Path(shutil.copy(photo, photo.with_name("start.png")))
    with start.open("ab") as file:
        file.write(b"unlike the photograph")
    made, options = of_two((photo, painting), weights=str(own), init=str(start), **QUICK), RunOptions(batch=1)
    whole, folder = tmp_path / "whole", tmp_path / "run"
    list(stages.begin(made, whole, options, watch(), remembered))
    (stopped,) = stages.begin(made, folder, options, watch(1), remembered)
    assert stopped.interrupted
    there = moved_away(tmp_path)
    assert_refused(run("resume", folder), "photo.png: no such file (4 inputs are missing", "name a folder", "--find-in")
    assert_refused(run("resume", folder, "--find-in", whole), "photo.png: no such file", f"below --find-in {whole}")
    notes: list[str] = []
    (again,) = stages.resume(folder, options, watch(1, notes), remembered, [there])
    assert again.interrupted
    assert notes == [f"{photo}: found in {there / 'deep' / '2' / '2.PNG'}, and 3 more inputs elsewhere"]
    done("resume", folder, "--quiet")
    assert_same(folder, whole)
    assert (folder / "run.json").read_bytes() == (whole / "run.json").read_bytes()
    done("resume", folder, "--quiet", "--find-in", there)


@pytest.mark.usefixtures("optax_mixes_dtypes")
def test_a_run_is_run_again_with_inputs_that_were_moved(tmp_path, inputs, monkeypatch):
    """To the same bytes, run.json among them, from another run's folder too; and what comes of it can be resumed."""
    monkeypatch.chdir(tmp_path)
    photo, painting = copied(tmp_path, inputs)
    made, whole = of_two((photo, painting), **QUICK), tmp_path / "whole"
    list(stages.begin(made, tmp_path / "before" / "first", RunOptions(), watch(), remembered))
    made = made._replace(settings=replace(made.settings, init=str(tmp_path / "before" / "first"), evaluations=2))
    list(stages.begin(made, whole, RunOptions(), watch(), remembered))
    moved_away(tmp_path)
    assert_refused(run("sweep", "--from", whole, "-o", "again"), "photo.png: no such file", "--find-in")
    assert_refused(run("sweep", "--from", whole, "-o", "again", "--find-in", "whole"), "none with its sha256 below")
    assert not Path("again").exists()
    assert "2 lanes in " in done("sweep", "--from", whole, "--dry-run", "--find-in", "there").out
    done("sweep", "--from", whole / "run.json", "-o", "again", "--quiet", "--find-in", "there")
    assert_same(Path("again"), whole)
    assert Path("again", "run.json").read_bytes() == (whole / "run.json").read_bytes()
    with_work_left(Path("again"), made)
    done("resume", "again", "--quiet")
    assert_same(Path("again"), whole)
    assert not (whole / "moved.json").exists()  # what is run again is not written to


@pytest.mark.usefixtures("optax_mixes_dtypes")
def test_each_share_finds_what_was_moved(tmp_path, inputs):
    """The second is told by the first."""
    made, folder = of_two(copied(tmp_path, inputs), **QUICK), tmp_path / "run"
    for share in (0, 1):
        list(stages.begin(made, folder, RunOptions(share=(share, 2)), watch(), remembered))
    whole = shutil.copytree(folder, tmp_path / "whole")
    for lane in made.lanes:
        (folder / "lanes" / f"{lane.name}.png").unlink()
    there = moved_away(tmp_path)
    assert_refused(run("resume", folder, "--share", "0/2"), "photo.png: no such file", "--find-in")
    done("resume", folder, "--share", "1/2", "--quiet", "--find-in", there)
    done("resume", folder, "--share", "0/2", "--quiet")
    assert_same(folder, whole)


@pytest.mark.slow
@pytest.mark.usefixtures("optax_mixes_dtypes")
def test_scales_that_are_yet_to_begin_are_planned_as_asked(tmp_path, inputs):
    """A resumed run forgot the batch and the memory that were asked for."""
    made, folder = of_two(inputs, size=192, evaluations=10, scales=3, **QUICK), tmp_path / "run"
    (stopped,) = stages.begin(made, folder, RunOptions(batch=1), watch(1), remembered)
    assert stopped.interrupted
    done("resume", folder, "--quiet")
    plans = [json.loads(path.read_text("utf-8"))["plan"] for path in folder.rglob("run.json")]
    assert [(own["groups"][0]["batch"], own["asked"]) for own in plans] == [(4, {"batch": 1, "memory": None})] * 3


@pytest.mark.slow
@pytest.mark.usefixtures("optax_mixes_dtypes")
def test_all_scales_find_what_was_moved(tmp_path, picture):
    """The coarser runs, which a finer one starts from, when the folder was moved; and all find the inputs."""
    for name in ("photograph", "painting"):
        images.write_image(tmp_path / f"{name}.png", picture(name, 64, 64))
    pictures = copied(tmp_path, (tmp_path / "photograph.png", tmp_path / "painting.png"))
    made, whole = of_two(pictures, size=128, evaluations=5, scales=3, **QUICK), tmp_path / "whole"
    list(stages.begin(made, whole, RunOptions(batch=2), watch(), remembered))
    folder = shutil.copytree(whole, tmp_path / "copy")
    shutil.move(whole / "scales", tmp_path / "scales")  # so that those are not to be found where they were
    with_work_left(folder, made)
    done("resume", folder, "--quiet")
    shutil.move(tmp_path / "scales", whole)
    assert_same(folder, whole)
    with_work_left(folder, made)
    there = moved_away(tmp_path)
    done("resume", folder, "--quiet", "--find-in", there)
    assert_same(folder, whole)


# -- lanes of all kinds


def test_a_lane_that_is_not_finite(tmp_path, inputs, finished):
    """It is marked as failed, and the others are what they are without it."""
    table = tmp_path / "lanes.csv"
    table.write_text("name,ratio,style_layers\ngood,1e-3,conv1_1\nbad,1e30,conv1_1\n")
    sets = ["--size", "48", "--evaluations", "3", "--history", "3", "--content-layers", "conv2_1", "--batch", "2"]
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
