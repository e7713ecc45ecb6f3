"""The run folder: what is in it, that it is never half of two runs, and what is damaged."""

import errno
import json
import os
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image
from program import assert_refused, done, run
from run_folders import FILES, NAMES, SHORT, assert_same, assert_whole, edit, leftovers, measured, rows

from nst_jax.pictures import images
from nst_jax.runs.folder import RunFolder


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


def test_a_picture_says_how_it_was_made(finished):
    about = json.loads(images.read_settings(finished / "lanes" / f"{NAMES[1]}.png")["nst_jax"])["lane"]
    assert about["content"] == "photo.png"
    assert about["style layers"] == "conv1_1 1"
    assert about["α/β"] == "10⁻²"


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


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_run_json_as_editors_save_it(own, encoding):
    path = own / "run.json"
    path.write_text(path.read_text("utf-8"), encoding)
    done("resume", own)


# -- never half of two runs


@pytest.mark.usefixtures("still")
def test_a_run_is_not_overwritten(own, inputs):
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    assert_refused(run("sweep", *inputs, "-o", own, *SHORT), "is not empty", "nst-jax resume", "--force")
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before


def test_force_leaves_nothing_of_the_old_run(own, inputs):
    (own / "mine.txt").write_text("not a run's")
    done(
        "sweep",
        *inputs,
        "-o",
        own,
        *SHORT,
        "--force",
        "--style-layers",
        "conv2_1",
        "--ratio",
        "5",
        "--evaluations",
        "2",
    )
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


@pytest.mark.usefixtures("still")
def test_what_killed_processes_left_is_removed(own):
    names = [".run.abcdefgh.json", ".grid.abcd_123.png", "checkpoint/.state-0.12345678.npz",
             f"lanes/.{NAMES[2][:20]}.12345678.png"]  # fmt: skip
    others = [".hidden", ".state-0.short.npz", "lanes/.mine.12345678.png", "checkpoint/.state-1.12345678.npz"]
    for name in names + others:
        (own / name).write_text("")
    done("resume", own)
    assert sorted(leftovers(own)) == sorted(str(own / name) for name in others)


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


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, inputs, finished, monkeypatch, number):
    """As Lustre and NFS may be: the run goes on, and says so once."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        outcome = done("sweep", *inputs, "-o", folder, *SHORT)
    told = f"{folder}: its file system has no locks ({os.strerror(number)}); see that no other process works on it"
    assert outcome.err.count("no locks") == 1
    assert f"nst-jax: note: {told}\n" in outcome.err
    assert_same(folder, finished)


@pytest.mark.usefixtures("still")
def test_a_lock_that_fails_otherwise(own, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    outcome = run("resume", own)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert f"{os.strerror(errno.EIO)}: {str(own / 'checkpoint' / 'lock-0')!r}" in outcome.err


# -- damaged


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
@pytest.mark.parametrize("keys", [("plan",), ("plan", "groups"), ("tolerance",), ("settings",), ("table", "lanes")])
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
