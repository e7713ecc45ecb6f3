"""What a complete set of parameters is."""

import copy

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.network.parameters import CAFFE, SHAPES, TORCHVISION, check_parameters, shape_problems
from nst_jax.weights import weights


@pytest.fixture
def sound():
    return copy.deepcopy(weights.load())


def test_the_shipped_ones_are_complete(sound):
    check_parameters(sound)
    assert len(SHAPES) == 32


def test_every_problem_is_in_the_one_line(sound):
    del sound["params"]["conv3_2"]["bias"]
    sound["params"]["conv1_1"]["kernel"] = sound["params"]["conv1_1"]["kernel"][..., :5]
    sound["params"]["conv2_1"]["bias"][3] = np.nan
    sound["params"]["fc6"] = {"kernel": np.zeros(1)}
    sound["preprocessing"]["scale"] = np.array([1.0, 0.0, 1.0])
    with pytest.raises(InputError) as caught:
        check_parameters(sound, "mine.h5")
    message = str(caught.value)
    assert message.startswith("mine.h5: not VGG-19's parameters: ")
    for words in (
        "conv3_2/bias is missing", "conv1_1/kernel has shape (3, 3, 3, 5), not (3, 3, 3, 64)",
        "conv2_1/bias holds NaN or infinity", "'fc6/kernel' is unexpected", "scale must be 3 positive numbers",
    ):  # fmt: skip
        assert words in message
    assert "\n" not in message


def test_optional_names_are_not_unexpected():
    assert shape_problems({**SHAPES, "conv1_1/kernel_table": (256,)}, optional=["conv1_1/kernel_table"]) == []
    assert shape_problems({**SHAPES, "more": ()}) == ["'more' is unexpected"]


def test_the_two_preprocessings():
    """In levels and in 0..1: the mean color of ImageNet, and torchvision's deviation."""
    grey = np.full(3, 0.5)
    np.testing.assert_allclose((255 * grey - CAFFE["mean"]) * CAFFE["scale"], [3.82, 10.721, 23.561], atol=1e-3)
    expected = (grey - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose((255 * grey - TORCHVISION["mean"]) * TORCHVISION["scale"], expected, rtol=1e-5)
