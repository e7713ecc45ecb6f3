"""A run in TensorBoard: what its own reader finds is what the run folder has, also of a run that was interrupted."""

import shutil
from contextlib import nullcontext

import pytest
from event_reader import pictures, scalars
from run_folders import measured, of_two, rows

from nst_jax.optim.compiler import remembered
from nst_jax.runs import stages
from nst_jax.runs.board import Board
from nst_jax.runs.options import RunOptions
from nst_jax.runs.stages import Watch

pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")

ALWAYS = RunOptions(checkpoint_every=0)


def begun(table, folder, board, chunks: int = 10**6) -> None:
    list(stages.begin(table, folder, ALWAYS, watched(folder, board, chunks), remembered))


def resumed(folder, board, chunks: int = 10**6) -> None:
    list(stages.resume(folder, ALWAYS, watched(folder, board, chunks), remembered))


def watched(folder, board, chunks: int) -> Watch:
    """Stops the run after so many chunks."""
    left = iter(range(chunks, -1, -1))
    return Watch(lambda *_: nullcontext(lambda: next(left) <= 1), print, board=Board(board, folder))


def assert_tells(board, folder) -> None:
    """Of each lane all losses, each once, its measures and its last picture."""
    for line in measured(folder):
        name = line["lane"]
        own = [row for row in rows(folder) if row["lane"] == name]
        found = scalars(board / name)
        for tag, column in (("loss/total", "total"), ("loss/content", "content"), ("style/conv1_1", "conv1_1")):
            expected = [(int(row["evaluations"]), pytest.approx(float(row[column]), rel=1e-6)) for row in own]
            assert found[tag] == expected, tag
        for column, value in line.items():
            if f"measures/{column}" in found:
                assert found[f"measures/{column}"] == [(len(own), pytest.approx(float(value), rel=1e-6))]
        assert {"measures/ssim", "measures/conv1_1_to_noise"} <= found.keys()
        assert pictures(board / name)[-1] == (len(own), (folder / "lanes" / f"{name}.png").read_bytes())


def test_a_run_is_told_whole(tmp_path, inputs):
    begun(of_two(inputs), tmp_path / "run", tmp_path / "board")
    assert_tells(tmp_path / "board", tmp_path / "run")
    assert len(list((tmp_path / "board").iterdir())) == len(measured(tmp_path / "run")) == 2


def test_a_run_that_was_interrupted_has_each_step_once(tmp_path, inputs):
    """Stopped; killed after more was told than its checkpoint has; gone on without TensorBoard; and with it."""
    folder, board = tmp_path / "run", tmp_path / "board"
    begun(of_two(inputs, evaluations=12), folder, board, chunks=2)
    shutil.copytree(folder, tmp_path / "before")
    resumed(folder, board, chunks=1)
    told = scalars(board / "0_1e-3")["loss/total"]
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "before", folder)
    assert told
    list(stages.resume(folder, ALWAYS, watched(folder, board, 1)._replace(board=None), remembered))
    resumed(folder, board)
    assert_tells(board, folder)
    resumed(folder, board)  # which has ended
    assert_tells(board, folder)


def test_a_run_that_has_ended_can_be_told_later(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    resumed(tmp_path / "run", tmp_path / "board")
    assert_tells(tmp_path / "board", tmp_path / "run")


def test_another_run_in_the_same_folder_takes_its_place(tmp_path, inputs):
    begun(of_two(inputs, seed=1), tmp_path / "first", tmp_path / "board")
    begun(of_two(inputs, evaluations=2), tmp_path / "run", tmp_path / "board")
    assert_tells(tmp_path / "board", tmp_path / "run")


def test_coarser_scales_have_folders_of_their_own(tmp_path, inputs):
    begun(of_two(inputs, size=96, scales=2, evaluations=6), tmp_path / "run", tmp_path / "board")
    (coarse,) = (tmp_path / "run" / "scales").iterdir()
    assert_tells(tmp_path / "board" / "scales" / coarse.name, coarse)
    assert_tells(tmp_path / "board", tmp_path / "run")
