"""Problems of shapes alone: as many leaves, of the same shapes, as those of pictures."""

import jax
import numpy as np
import pytest

from nst_jax.network.vgg import prepare
from nst_jax.topologies.shapes import OfShapes, convolutions, network
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.problem import Problem
from nst_jax.transfer.settings import Settings

LOW = {"content_layers": ("conv2_2",), "style_layers": ("conv1_1", "conv2_1")}


def shapes_of(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, np.dtype(leaf.dtype)), tree)


@pytest.mark.parametrize("paintings", [1, 2])
@pytest.mark.parametrize("blend", [None, (1.0, 2.0)])
def test_as_the_problem_of_pictures(params, picture, paintings, blend):
    settings = Settings(size=64, style_blend=blend, bounds="none", init="elsewhere.png", **LOW)
    lanes = table(["photo"], [f"painting {n}" for n in range(paintings)], Axes(ratio=(1e-4, 1e-3)), settings)
    photo = picture("photograph", 48, 64)
    styles = {lane.style: [picture("painting", 40, 40)] * len(blend or [1]) for lane in lanes.lanes}
    prepared = prepare(params, ["conv2_2"], platform="tpu")
    real = Problem(params, {"photo": photo}, styles, lanes, prepared=prepared, start=photo)
    found = OfShapes(lanes, 48, 64, 2)
    assert (len(found), found.shape, found.dtype) == (len(real), real.shape, real.dtype)
    goal = real.objective([0, 1])
    assert shapes_of(found.objective([0, 1])) == shapes_of(goal)
    assert found.spread(goal) == real.spread(goal)
    assert shapes_of(found.unknown(2)) == shapes_of(real.unknown(2))
    assert shapes_of(found.boxes([0, 1])) == shapes_of(real.boxes([0, 1]))
    assert np.isinf(found.boxes([0]).upper).all()


def test_no_more_of_the_network_than_the_lanes_use():
    lanes = table(["photo"], ["painting"], Axes(), Settings(**LOW))
    assert convolutions(lanes) == ["conv1_1", "conv1_2", "conv2_1", "conv2_2"]
    assert network(lanes)["params"]["conv2_1"]["kernel"].shape == (3, 3, 64, 128)


def test_layers_without_weight_are_left_out():
    """As `Problem` does, so that neither memory nor arithmetic counts them."""
    lanes = table(["photo"], ["painting"], Axes(rows=("A", "B")), Settings(ratio=0.0))
    assert convolutions(lanes) == ["conv1_1", "conv1_2", "conv2_1"]
    assert convolutions(table(["photo"], ["painting"], Axes(), Settings(alpha=1.0, beta=0.0)))[-1] == "conv4_2"
