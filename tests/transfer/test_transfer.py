"""A table's pictures at its scales, and what a picture must be."""

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import Transfer, optimizer_key, optimizer_of

SMALL = {"content_layers": ("conv2_1",), "style_layers": ("conv1_1",)}


def test_the_optimizer_of_settings():
    assert optimizer_of(Settings()) == DEFAULT_OPTIMIZER
    assert optimizer_of(Settings(history=7)) == LBFGS(7, precondition=DEFAULT_OPTIMIZER.precondition)
    assert isinstance(optimizer_of(Settings(optimizer="adam")), FirstOrder)
    keys = {
        optimizer_key(Settings(**own)) for own in ({}, {"history": 7}, {"optimizer": "adam"}, {"learning_rate": 1.0})
    }
    assert len(keys) == 4
    assert optimizer_key(Settings(seed=3, ratio=1.0)) == optimizer_key(Settings())


def test_problems_at_each_scale(params, picture):
    settings = Settings(size=128, evaluations=10, **SMALL)
    one = table(["photo"], ["painting"], Axes(ratio=(1e-3, 1.0)), settings)
    photo, paintings = picture("photograph", 64, 128), [picture("painting", 80, 100)]
    work = Transfer(params, {"photo": photo}, {"painting": paintings}, one, count=2)
    coarse, fine = (work.problem(scale) for scale in work.scales)
    assert (coarse.shape, fine.shape) == ((32, 64, 3), (64, 128, 3))
    assert [scale.evaluations for scale in work.scales] == [4, 6]
    assert coarse.table.settings.ratio_size == 128
    ratio = (
        coarse.objective([0]).loss_weights.content_layers["conv2_1"]
        / fine.objective([0]).loss_weights.content_layers["conv2_1"]
    )
    np.testing.assert_allclose(ratio, 4)
    np.testing.assert_array_equal(coarse.objective([0, 1]).loss_weights.alpha, np.float32([1e-3, 1]))
    started = fine.after({lane.name: np.full((32, 64, 3), 0.5, np.float32) for lane in one.lanes})
    assert np.abs(np.asarray(started.starts([0])) - 0.5).max() > 0.05  # the photograph's finest detail
    np.testing.assert_array_equal(fine.starts([0]), fine.starts([1]))  # is as it was


def test_a_start_that_is_a_file_s_name_is_refused(params, picture):
    one = table(["photo"], ["painting"], Axes(), Settings(init="start.png"))
    with pytest.raises(InputError, match=r"^init: 'start.png' is not allowed"):
        Transfer(params, {"photo": picture("photograph", 32, 48)}, {"painting": [picture("painting", 32, 48)]}, one)


def test_a_start_of_another_aspect_is_refused(params, picture):
    """It was stretched."""
    one = table(["photo"], ["painting"], Axes(), Settings(size=48))
    pictures = {"photo": picture("photograph", 32, 48)}, {"painting": [picture("painting", 32, 48)]}
    assert Transfer(params, *pictures, one, start=picture("painting", 64, 96)).scales[0].height == 32
    with pytest.raises(InputError, match=r"^start: 48x48 cannot be brought to 48x32, which has another aspect$"):
        Transfer(params, *pictures, one, start=picture("painting", 48, 48))
