"""Mean activations: the oracle's numbers, with every position of pictures of any size weighing the same."""

import numpy as np
import oracle
import pytest

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS
from nst_jax.weights.mean_activations import mean_activations


@pytest.fixture(scope="module")
def pictures(picture):
    """Of two sizes, so that positions must be weighed and not pictures."""
    return [picture("photograph", 48, 64), picture("painting", 32, 40)]


def test_means_against_the_oracle(params, pictures):
    means = mean_activations(params, pictures)
    assert {layer: len(values) for layer, values in means.items()} == {k: n for k, (_, n) in CONVOLUTIONS.items()}
    shallow = ("conv1_1", "conv2_2")
    found = [oracle.activations(params, image, shallow) for image in pictures]
    for layer in shallow:
        positions = np.concatenate([oracle.matrix(activations[layer]) for activations in found], axis=1)
        np.testing.assert_allclose(means[layer], positions.mean(1), rtol=1e-4, atol=1e-4)


def test_pictures_may_come_one_by_one(params, pictures):
    every, again = mean_activations(params, pictures[:1]), mean_activations(params, iter(pictures[:1]))
    for layer in CONVOLUTIONS:
        assert again[layer].dtype == np.float64
        np.testing.assert_array_equal(every[layer], again[layer])


def test_no_picture(params):
    with pytest.raises(InputError, match="no image"):
        mean_activations(params, [])
