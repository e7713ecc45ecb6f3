"""A run whose shares an executor places: called again, taken back, lost, followed by one."""

import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from at_once import AtOnce
from run_folders import SHORT, assert_same, measured, of_two, pictures

from nst_jax.cli import main
from nst_jax.errors import InputError
from nst_jax.optim import engine
from nst_jax.runs import following, tasks
from nst_jax.runs.folder import RunFolder
from nst_jax.runs.options import RunOptions


def never(state):
    return False


def test_the_shares_of_a_run_are_those_of_two_processes(in_shares, inputs, tmp_path):
    other = tmp_path / "by hand"
    for share in ("0/2", "1/2"):
        photo, painting = map(str, inputs)
        assert main(["sweep", photo, painting, "-o", str(other), *SHORT, "--style-layers", "conv1_1", "--batch", "1",
                     "--content-layers", "conv2_1", "--share", share]) == 0  # fmt: skip
    assert len(measured(in_shares)) == 2
    assert pictures(in_shares) == pictures(other)


def test_a_lane_without_its_picture_is_done_again(in_shares, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(in_shares, copied)
    (picture,) = [path for path in (copied / "lanes").iterdir() if path.name.startswith("1_")]
    before = picture.read_bytes()
    picture.unlink()
    following.resume(AtOnce(), copied, RunOptions(), never)
    assert picture.read_bytes() == before
    assert_same(copied, in_shares)


def test_what_is_stopped_is_saved_and_goes_on_to_the_same_bytes(in_shares, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.0)
    monkeypatch.setattr(following, "POLL_SECONDS", 0.01)
    folder = tmp_path / "run"
    with ThreadPoolExecutor(1) as executor:
        ended = following.begin(executor, of_two(inputs), folder, RunOptions(), lambda state: state.evaluations > 0, 2)
        assert ended.interrupted
        assert (folder / "checkpoint" / "stop").is_file()
        again = following.resume(executor, folder, RunOptions(), never)
    assert not again.interrupted
    assert not (folder / "checkpoint" / "stop").is_file()
    assert pictures(in_shares) == pictures(folder)


def test_a_lost_task_is_one_line_and_resume_goes_on(in_shares, inputs, tmp_path):
    class Losing(AtOnce):
        def submit(self, function, /, *arguments):
            if function is tasks.work:
                future = Future()
                future.set_exception(TimeoutError("the scheduler\nis gone"))
                return future
            return super().submit(function, *arguments)

    folder = tmp_path / "run"
    with pytest.raises(ConnectionError, match=r"lost a task \(TimeoutError the scheduler is gone\); go on with"):
        following.begin(Losing(), of_two(inputs), folder, RunOptions(), never, 2)
    following.resume(AtOnce(), folder, RunOptions(), never)
    assert pictures(in_shares) == pictures(folder)


def test_a_run_is_followed_by_one_and_others_do_not_stop_it(in_shares, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(in_shares, copied)
    with RunFolder(copied).followed(), pytest.raises(InputError, match="another process is working on it"):
        following.resume(AtOnce(), copied, RunOptions(), never)
    assert not (copied / "checkpoint" / "stop").exists()


def test_what_is_to_stop_before_there_is_a_folder_leaves_none(inputs, tmp_path):
    class Waiting:
        def submit(self, function, /, *arguments):
            return Future()

    with pytest.raises(KeyboardInterrupt):
        following.begin(Waiting(), of_two(inputs), tmp_path / "run", RunOptions(), lambda _: True, 2)
    assert not (tmp_path / "run").exists()


def test_more_shares_than_lanes_are_as_many_as_lanes(inputs, tmp_path):
    folder = tmp_path / "run"
    following.begin(AtOnce(), of_two(inputs, evaluations=1), folder, RunOptions(), never, 50)
    assert json.loads((folder / "run.json").read_text("utf-8"))["plan"]["shares"] == 2


def test_a_folder_that_is_taken_is_refused_before_anything_is_done(in_shares, inputs):
    executor = AtOnce()
    with pytest.raises(InputError, match="is not empty; go on with"):
        following.begin(executor, of_two(inputs), in_shares, RunOptions(), never, 2)
    assert executor.calls == ["prepare"]


def test_what_is_wrong_with_a_table_is_told_by_the_task_that_finds_it(inputs, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        following.begin(AtOnce(), of_two((tmp_path / "none.png", inputs[1])), tmp_path / "run", RunOptions(), never, 2)
    assert not (tmp_path / "run").exists()
