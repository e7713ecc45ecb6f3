"""A share of a run as a task: one that is done, one whose folder is not there."""

import pytest

from nst_jax.errors import InputError
from nst_jax.runs import stages, tasks
from nst_jax.runs.options import RunOptions


def test_a_share_that_is_done_returns_at_once(in_shares, monkeypatch):
    def compute(*_, **__):
        raise AssertionError("computed")

    monkeypatch.setattr(stages, "resume", compute)
    for share in (0, 1):
        assert tasks.work(in_shares, share, RunOptions(), True) == ([], False)


def test_workers_that_see_another_disk_are_told_in_one_line(in_shares, tmp_path):
    with pytest.raises(InputError, match=r"no run is there, where .* looks for it; every worker must see") as caught:
        tasks.work(tmp_path / "elsewhere", 0, RunOptions(), True)
    assert "\n" not in str(caught.value)
