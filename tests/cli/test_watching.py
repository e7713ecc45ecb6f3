"""`stylize --timelapse` and `--tensorboard`, `sweep --tensorboard`: what they write, and when they are refused."""

import errno
import itertools
import os
import signal
import sys
from pathlib import Path

import pytest
from event_reader import pictures, scalars
from program import assert_refused, done, run
from run_folders import SHORT

from nst_jax.optim.engine import Engine
from nst_jax.pictures import animation, files, images

FEW = ("--size", 48, "--evaluations", 30, "--content-layers", "conv2_1", "--style-layers", "conv1_1", "--quiet")


def test_tensorboard_hears_of_a_picture(inputs, tmp_path):
    """And of the next one of its name, which takes its place."""
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")
    command = ("stylize", *inputs, "-o", tmp_path / "out.png", "--tensorboard", tmp_path / "board", *FEW)
    done(*command)
    done(*command, "--evaluations", 20)
    found = scalars(tmp_path / "board" / "out")
    assert [step for step, _ in found["loss/total"]] == [*range(1, 21)]
    assert found["loss/total"][-1][1] < found["loss/total"][0][1]
    assert {"loss/content", "loss/style", "style/conv1_1", "measures/ssim", "measures/conv1_1_to_noise"} <= {*found}
    last, png = pictures(tmp_path / "board" / "out")[-1]
    assert last == 20
    (tmp_path / "told.png").write_bytes(png)
    assert (images.read_image(tmp_path / "told.png") == images.read_image(tmp_path / "out.png")).all()


def test_tensorboard_hears_of_a_sweep(inputs, tmp_path):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")
    folder, board = tmp_path / "run", tmp_path / "run" / "board"
    done("sweep", *inputs, "-o", folder, *SHORT, "--tensorboard", board)
    done("resume", folder, "--quiet", "--tensorboard", board)
    for picture in (folder / "lanes").iterdir():
        assert [step for step, _ in scalars(board / picture.stem)["loss/total"]] == [1, 2, 3]
        assert pictures(board / picture.stem)[-1] == (3, picture.read_bytes())


@pytest.mark.slow
def test_tensorboard_hears_of_a_run_that_workers_do(inputs, tmp_path):
    """Each worker tells of its own lanes, and again of those that are done."""
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")
    folder, board = tmp_path / "run", tmp_path / "board"
    done("sweep", *inputs, "-o", folder, *SHORT, "--tensorboard", board, "--on", "processes:1")
    done("resume", folder, "--quiet", "--tensorboard", tmp_path / "again")
    pictures_written = sorted((folder / "lanes").iterdir())
    assert len(pictures_written) == 4
    for picture, place in itertools.product(pictures_written, (board, tmp_path / "again")):
        assert [step for step, _ in scalars(place / picture.stem)["loss/total"]] == [1, 2, 3]
        assert pictures(place / picture.stem)[-1] == (3, picture.read_bytes())


def test_without_the_extra_nothing_begins(inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("tensorboardX", "tensorboardX.record_writer"):
        monkeypatch.setitem(sys.modules, name, None)
    told = '--tensorboard: needs the extra tensorboard: pip install "nst_jax[tensorboard]"'
    assert_refused(run("stylize", *inputs, "-o", "out.png", "--tensorboard", "board"), told)
    assert_refused(run("sweep", *inputs, "-o", "run", "--tensorboard", "board"), told)
    assert_refused(run("sweep", *inputs, "-o", "run", "--tensorboard", "board", "--on", "processes:1"), told)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(inputs, tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")
    monkeypatch.chdir(tmp_path)
    Path("board").write_bytes(b"")
    told = "--tensorboard board: is a file; name a folder"
    assert_refused(run("stylize", *inputs, "-o", "out.png", "--tensorboard", "board"), told)
    assert_refused(run("sweep", *inputs, "-o", "run", "--tensorboard", "board"), told)
    assert_refused(run("resume", "run", "--tensorboard", "board"), told)
    assert [path.name for path in tmp_path.iterdir()] == ["board"]


def test_a_dry_run_tells_tensorboard_nothing(inputs):
    assert_refused(run("sweep", *inputs, "--dry-run", "--tensorboard", "board"), "--tensorboard: not allowed")


def test_an_interrupted_picture_has_a_timelapse(inputs, tmp_path, monkeypatch):
    advance, chunks = Engine.advance, iter(range(30))

    def interrupted(engine):
        if next(chunks) == 15:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(engine)

    monkeypatch.setattr(Engine, "advance", interrupted)
    outcome = run("stylize", *inputs, "-o", tmp_path / "out.png", "--timelapse", tmp_path / "out.gif", *FEW)
    assert outcome.code == 130
    found = list(animation.read_animation(tmp_path / "out.gif"))
    assert 1 < len(found) <= 16
    assert found[-1].image.shape == images.read_image(tmp_path / "out.png").shape


def test_a_timelapse_that_cannot_be_written_is_elsewhere(inputs, tmp_path, monkeypatch):
    written = files.atomic

    def atomic(path):
        if Path(path).name == "out.gif":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(path)

    monkeypatch.setattr(files, "atomic", atomic)
    outcome = run("stylize", *inputs, "-o", tmp_path / "out.png", "--timelapse", tmp_path / "out.gif", *FEW)
    assert outcome.code == 1
    (other,) = tmp_path.glob("out-*.gif")
    assert f"out.gif: cannot be written (No space left on device); the timelapse is in {other}" in outcome.err
    assert len(list(animation.read_animation(other))) > 1
