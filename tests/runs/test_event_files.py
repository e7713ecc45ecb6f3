"""Event files, as TensorBoard's own reader reads them: each step once, whatever happened in between."""

import errno
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from event_reader import accumulated, pictures, scalars

from nst_jax.errors import InputError
from nst_jax.loss.objective import Losses
from nst_jax.optim.engine import Record
from nst_jax.pictures import images
from nst_jax.runs import event_files
from nst_jax.runs.event_files import LaneEvents, check_folder
from nst_jax.runs.pace import Pace

try:
    import tensorboardX
except ImportError:
    tensorboardX = None

needs_extra = pytest.mark.skipif(tensorboardX is None, reason="needs tensorboardX, the extra tensorboard")
PNG = images.encoded(np.full((32, 48, 3), 0.5, np.float32))


def records(first: int, last: int, scale: float = 1.0) -> list[Record]:
    return [
        Record(n, n, Losses(scale / n, 1.0, 2.0, {"conv1_1": 3.0}, 0.0, {}), 1.0, 10.0 * n)  # type: ignore[arg-type]
        for n in range(first, last + 1)
    ]


def steps(folder: Path, tag: str = "loss/total") -> list[int]:
    return [step for step, _ in scalars(folder)[tag]]


@needs_extra
def test_losses_measures_and_pictures_are_read_as_they_were_written(tmp_path):
    events = LaneEvents(tmp_path / "lane", 100, anew=True)
    assert not (tmp_path / "lane").exists()
    events.losses(records(1, 3))
    events.losses(records(1, 5))
    events.measures({"ssim": 0.25, "scale": math.nan}, 5)
    events.picture(lambda: PNG, 5, over=True)
    found = scalars(tmp_path / "lane")
    assert found == {
        "loss/total": [(n, pytest.approx(1 / n)) for n in range(1, 6)],
        "loss/content": [(n, 1) for n in range(1, 6)],
        "loss/style": [(n, 2) for n in range(1, 6)],
        "style/conv1_1": [(n, 3) for n in range(1, 6)],
        "measures/ssim": [(5, 0.25)],
    }
    assert pictures(tmp_path / "lane") == [(5, PNG)]
    (image,) = accumulated(tmp_path / "lane").Images("picture")
    assert (image.width, image.height) == (48, 32)
    times = [event.wall_time for event in accumulated(tmp_path / "lane").Scalars("loss/total")]
    np.testing.assert_allclose(np.diff(times)[:2], 10, atol=1e-3)  # as long apart as the evaluations were
    assert len(list((tmp_path / "lane").iterdir())) == 1


@needs_extra
@pytest.mark.parametrize("cut", [0, 1, 9, 30])
def test_a_lane_that_goes_on_has_each_step_once(tmp_path, cut):
    """Also after a process died while it wrote."""
    events = LaneEvents(tmp_path, 100, anew=True)
    events.losses(records(1, 4))
    events.picture(lambda: PNG, 4, over=True)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[: -cut or None])
    for last in (3, 6, 8):  # first back to a checkpoint that is older than what was written
        again = LaneEvents(tmp_path, 100, anew=False)
        again.losses(records(1, last))
        again.picture(lambda: PNG, min(4, last), over=True)
    again.measures({"ssim": 0.5}, 8)
    LaneEvents(tmp_path, 100, anew=False).measures({"ssim": 0.5}, 8)
    assert steps(tmp_path) == [*range(1, 9)]
    assert steps(tmp_path, "measures/ssim") == [8]
    assert [step for step, _ in pictures(tmp_path)] in ([4], [3, 4])


@needs_extra
def test_a_lane_that_begins_anew_takes_the_place_of_what_was_there(tmp_path):
    LaneEvents(tmp_path, 100, anew=True).losses(records(1, 9))
    events = LaneEvents(tmp_path, 100, anew=True)
    events.losses(records(1, 3, scale=7.0))
    events.losses(records(4, 5, scale=7.0))
    LaneEvents(tmp_path, 100, anew=False).losses(records(1, 6, scale=7.0))
    assert scalars(tmp_path)["loss/total"] == [(n, pytest.approx(7 / n)) for n in range(1, 7)]


@needs_extra
def test_pictures_of_a_lane_that_runs_are_few(tmp_path, monkeypatch):
    """At most one in a twentieth of its evaluations, and of the time; the last one is always there."""
    monkeypatch.setattr(Pace, "due", True)
    events = LaneEvents(tmp_path, 100, anew=True)
    for step in range(1, 100):
        events.picture(lambda: PNG, step, over=False)
    monkeypatch.setattr(Pace, "due", False)
    events.picture(lambda: pytest.fail("not wanted"), 100, over=False)
    events.picture(lambda: PNG, 100, over=True)
    events.picture(lambda: pytest.fail("there already"), 100, over=True)
    LaneEvents(tmp_path, 100, anew=False).picture(lambda: pytest.fail("there already"), 100, over=True)
    assert [step for step, _ in pictures(tmp_path)] == [*range(5, 101, 5)]


@needs_extra
def test_trouble_is_told_once_and_stops_nothing(tmp_path, monkeypatch, recwarn):
    events = LaneEvents(tmp_path, 100, anew=True)
    events.losses(records(1, 2))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(event_files, "_record", full)
    events.losses(records(3, 4))
    events.picture(lambda: PNG, 4, over=True)
    assert [str(warning.message) for warning in recwarn] == ["TensorBoard is told no more: No space left on device"]
    assert steps(tmp_path) == [1, 2]


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    for name in ("tensorboardX", "tensorboardX.record_writer"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        check_folder(tmp_path)
    assert str(caught.value) == 'tensorboard: needs the extra tensorboard: pip install "nst_jax[tensorboard]"'


@needs_extra
def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, told in (
        (tmp_path / "file", "is a file; name a folder"),
        (tmp_path / "file" / "below", f"{tmp_path / 'file'} is a file; name a folder"),
        (Path("/proc/none"), "/proc/events: cannot write there"),
        (tmp_path / ("a" * 300), "cannot write there (File name too long)"),
    ):
        with pytest.raises(InputError, match=r"^tensorboard /") as caught:
            check_folder(path)
        assert told in str(caught.value)
    check_folder(tmp_path / "new" / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
