"""Differences between what two sets of parameters make: nothing for equal ones, known ones for known changes."""

import math

import jax
import numpy as np
import oracle
import pytest

from nst_jax.cli.compare_command import problem_of
from nst_jax.measures import compare
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.transfer.settings import Settings
from nst_jax.weights import weights
from nst_jax.weights.normalize import normalized
from nst_jax.weights.quantize import quantized


@pytest.fixture(scope="module")
def few():
    """The shipped weights with 32 values a layer."""
    return quantized(weights.load(), 5)[0]


def test_activation_differences_against_the_oracle(params, few, picture):
    pictures = [picture("photograph", 36, 48), picture("painting", 32, 40)]
    found = compare.activation_differences(few, params, pictures)
    layers = ("conv1_1", "conv2_2", "conv3_1")
    ours, theirs = ([oracle.activations(each, image, layers) for image in pictures] for each in (few, params))
    for layer in layers:
        difference = sum(((f[layer] - x[layer]) ** 2).sum() for f, x in zip(ours, theirs, strict=True))
        size = sum((x[layer] ** 2).sum() for x in theirs)
        assert found[layer] == pytest.approx(math.sqrt(difference / size), rel=1e-3)
    assert list(found) == list(CONVOLUTIONS)


def test_equal_parameters_make_equal_things(params, picture):
    photo, painting = picture("photograph", 32, 48), picture("painting", 32, 48)
    assert set(compare.activation_differences(params, params, [photo]).values()) == {0.0}
    goal = problem_of(params, photo, painting, Settings()).objective([0])
    found = compare.gradient_difference(goal, goal, painting)
    assert found.relative == 0
    assert found.cosine == pytest.approx(1)
    assert compare.picture_difference(photo, photo) == (math.inf, 0.0)


def test_a_scale_of_every_filter_shows_in_activations(params, picture):
    """Activations of the network divided by two are a half off."""
    means = {layer: np.full(channels, 2.0) for layer, (_, channels) in CONVOLUTIONS.items()}
    halved = normalized(params, means)
    found = compare.activation_differences(
        halved, params, [picture("photograph", 32, 32)], pool="max", padding="reflect"
    )
    for layer, relative in found.items():
        assert relative == pytest.approx(0.5, rel=1e-4), layer


def test_gradient_difference_is_that_of_the_totals(params, few, picture):
    photo, painting = picture("photograph", 32, 48), picture("painting", 32, 48)
    image = 0.5 * (photo + painting)
    goals = [problem_of(each, photo, painting, Settings(ratio=0.1)).objective([0]) for each in (few, params)]
    found = compare.gradient_difference(*goals, image)
    g, h = (
        np.float64(jax.grad(lambda x, goal=goal: goal(x).total.sum())(jax.numpy.asarray(image[None]))).ravel()
        for goal in goals
    )
    assert 0 < found.relative < 1
    assert found.relative == pytest.approx(np.linalg.norm(g - h) / np.linalg.norm(h), rel=1e-3)
    assert found.cosine == pytest.approx(g @ h / np.sqrt((g @ g) * (h @ h)), rel=1e-5)


def test_picture_difference_by_hand():
    black, grey = np.zeros((4, 5, 3), np.float32), np.full((4, 5, 3), 0.1, np.float32)
    found = compare.picture_difference(grey, black)
    assert found.psnr == pytest.approx(20, abs=1e-4)
    assert found.mean_absolute == pytest.approx(25.5, abs=1e-4)
    assert compare.picture_difference(black - 3, black) == (math.inf, 0.0)  # clipped, as when it is saved
