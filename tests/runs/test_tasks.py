"""A run's shares as tasks: of any executor, called again, taken back, lost; from Python."""

import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from run_folders import SHORT, assert_same, measured, of_two, pictures

from nst_jax.cli import main
from nst_jax.errors import InputError
from nst_jax.optim import engine
from nst_jax.pictures import images
from nst_jax.runs import anywhere, stages, tasks
from nst_jax.runs.options import RunOptions
from nst_jax.transfer import sweeping
from nst_jax.transfer.region_names import Region

LOW = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1",), "size": 48, "evaluations": 3, "history": 3}


class AtOnce:
    """An executor that does each call when it is submitted; counts them."""

    def __init__(self):
        self.calls = []

    def submit(self, function, /, *arguments):
        self.calls.append(function.__name__)
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def never(state):
    return False


@pytest.fixture(scope="module")
def whole(tmp_path_factory, inputs):
    """Two lanes in two shares."""
    folder = tmp_path_factory.mktemp("tasks") / "run"
    executor, states = AtOnce(), []
    ended = tasks.begin(executor, of_two(inputs), folder, RunOptions(), lambda state: bool(states.append(state)), 2)
    assert executor.calls == ["prepare", "work", "work"]
    assert ended[:2] == (folder, 2)
    assert not ended.interrupted
    assert states[-1] == (6, 6, 2, 2)
    return folder


def test_the_shares_of_a_run_are_those_of_two_processes(whole, inputs, tmp_path):
    other = tmp_path / "by hand"
    for share in ("0/2", "1/2"):
        photo, painting = map(str, inputs)
        assert main(["sweep", photo, painting, "-o", str(other), *SHORT, "--style-layers", "conv1_1", "--batch", "1",
                     "--content-layers", "conv2_1", "--share", share]) == 0  # fmt: skip
    assert len(measured(whole)) == 2
    assert pictures(whole) == pictures(other)


def test_a_share_that_is_done_returns_at_once(whole, monkeypatch):
    def compute(*_, **__):
        raise AssertionError("computed")

    monkeypatch.setattr(stages, "resume", compute)
    for share in (0, 1):
        assert tasks.work(whole, share, 60, True)[::2] == (1, [])


def test_a_lane_without_its_picture_is_done_again(whole, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(whole, copied)
    (picture,) = [path for path in (copied / "lanes").iterdir() if path.name.startswith("1_")]
    before = picture.read_bytes()
    picture.unlink()
    tasks.resume(AtOnce(), copied, RunOptions(), never)
    assert picture.read_bytes() == before
    assert_same(copied, whole)


def test_what_is_stopped_is_saved_and_goes_on_to_the_same_bytes(whole, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.0)
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.01)
    folder = tmp_path / "run"
    with ThreadPoolExecutor(1) as executor:
        ended = tasks.begin(executor, of_two(inputs), folder, RunOptions(), lambda state: state.evaluations > 0, 2)
        assert ended.interrupted
        assert (folder / "checkpoint" / "stop").is_file()
        again = tasks.resume(executor, folder, RunOptions(), never)
    assert not again.interrupted
    assert not (folder / "checkpoint" / "stop").is_file()
    assert pictures(whole) == pictures(folder)


def test_workers_that_see_another_disk_are_told_in_one_line(whole, tmp_path):
    with pytest.raises(InputError, match=r"no run is there, where .* looks for it; every worker must see") as caught:
        tasks.work(tmp_path / "elsewhere", 0, 60, True)
    assert "\n" not in str(caught.value)


def test_a_lost_task_is_one_line_and_resume_goes_on(whole, inputs, tmp_path):
    class Losing(AtOnce):
        def submit(self, function, /, *arguments):
            if function is tasks.work:
                future = Future()
                future.set_exception(TimeoutError("the scheduler\nis gone"))
                return future
            return super().submit(function, *arguments)

    folder = tmp_path / "run"
    with pytest.raises(ConnectionError, match=r"lost a task \(TimeoutError the scheduler is gone\); go on with"):
        tasks.begin(Losing(), of_two(inputs), folder, RunOptions(), never, 2)
    tasks.resume(AtOnce(), folder, RunOptions(), never)
    assert pictures(whole) == pictures(folder)


def test_more_shares_than_lanes_are_as_many_as_lanes(inputs, tmp_path):
    folder = tmp_path / "run"
    tasks.begin(AtOnce(), of_two(inputs, evaluations=1), folder, RunOptions(), never, 50)
    assert json.loads((folder / "run.json").read_text("utf-8"))["plan"]["shares"] == 2


def test_a_folder_that_is_taken_is_refused_before_anything_is_done(whole, inputs):
    executor = AtOnce()
    with pytest.raises(InputError, match="is not empty; go on with"):
        tasks.begin(executor, of_two(inputs), whole, RunOptions(), never, 2)
    assert executor.calls == ["prepare"]


def test_what_is_wrong_with_a_table_is_told_by_the_task_that_finds_it(inputs, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        tasks.begin(AtOnce(), of_two((tmp_path / "none.png", inputs[1])), tmp_path / "run", RunOptions(), never, 2)
    assert not (tmp_path / "run").exists()


# -- from Python


def test_a_sweep_by_an_executor_is_the_sweep_here(picture, tmp_path):
    """With a region, what is kept, and a start; files have 8 bits, and inputs 16."""
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    mask = np.zeros((40, 48), bool)
    mask[:, :30] = True
    common = {"region": [Region(mask, painting)], "keep": ~mask, "start": photo, "ratio": [1e-3, 1e-2], **LOW}
    states = []
    found = {
        outcome.name: outcome
        for outcome in anywhere.sweep(
            photo, None, executor=AtOnce(), folder=tmp_path / "run", shares=2, callback=states.append, **common
        )
    }
    here = {outcome.name: outcome for outcome in sweeping.sweep(photo, None, batch=1, **common)}
    assert found.keys() == here.keys()
    assert states
    for name, outcome in here.items():
        np.testing.assert_allclose(found[name].image, np.clip(outcome.image, 0, 1), atol=2 / 255)
        assert found[name].losses.total == pytest.approx(outcome.losses.total, rel=1e-2)
        assert found[name].measures.ssim == pytest.approx(outcome.measures.ssim, abs=1e-2)
        assert len(found[name].history) == len(outcome.history)
    again = {outcome.name: outcome for outcome in anywhere.resume(tmp_path / "run")}
    assert again.keys() == here.keys()
    np.testing.assert_array_equal(again[name].image, found[name].image)


def test_a_sweep_without_an_executor_is_that_of_transfer(picture):
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    (one,), (other,) = (made(photo, painting, ratio=1e-3, **LOW) for made in (anywhere.sweep, sweeping.sweep))
    np.testing.assert_array_equal(one.image, other.image)


def test_what_a_callback_stops_goes_on_here(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.0)
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.01)
    photo, painting = picture("photograph", 40, 48), picture("painting", 36, 48)
    with ThreadPoolExecutor(1) as executor:
        first = list(
            anywhere.sweep(
                photo, painting, ratio=[1e-3, 1e-2], executor=executor, folder=tmp_path / "run",
                callback=lambda state: state.evaluations > 0, **LOW,
            )
        )  # fmt: skip
    assert len(first) < 2
    assert len(list(anywhere.resume(tmp_path / "run"))) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folder": "run"}, "folder: only with executor"),
        ({"shares": 2}, "shares: only with executor"),
        ({"executor": AtOnce()}, "folder: needed with executor"),
        ({"executor": AtOnce(), "folder": "run", "terms": [1]}, "terms: not allowed with executor"),
        ({"executor": AtOnce(), "folder": "run", "colour": 1}, "colour: unknown"),
    ],
)
def test_what_python_refuses(picture, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    photo = picture("photograph", 40, 48)
    with pytest.raises(InputError, match=words):
        list(anywhere.sweep(photo, photo, **options))
    assert not list(tmp_path.iterdir())


def test_resume_from_python_refuses_what_is_no_run(tmp_path):
    images.write_image(tmp_path / "picture.png", np.zeros((32, 32, 3), np.float32))
    with pytest.raises(InputError, match="not a run folder"):
        anywhere.resume(tmp_path)
