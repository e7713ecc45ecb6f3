"""The normalised network: mean activations of one, and the same function but for a positive scale per filter."""

import numpy as np
import oracle
import pytest

from nst_jax import weights
from nst_jax.errors import InputError
from nst_jax.layers import CONVOLUTIONS, LAYERS
from nst_jax.normalise import mean_activations, normalised
from nst_jax.vgg import represent


@pytest.fixture(scope="module")
def pictures(picture):
    """Of two sizes, so that positions must be weighed and not pictures."""
    return [picture("photograph", 48, 64), picture("painting", 48, 64), picture("painting", 32, 40)]


@pytest.fixture(scope="module")
def means(params, pictures):
    return mean_activations(params, pictures)


@pytest.fixture(scope="module")
def scaled(params, means):
    return normalised(params, means)


def test_means_against_the_oracle(params, pictures, means):
    shallow = ("conv1_1", "conv2_2")
    found = [oracle.activations(params, image, shallow) for image in pictures]
    for layer in shallow:
        positions = np.concatenate([oracle.matrix(activations[layer]) for activations in found], axis=1)
        np.testing.assert_allclose(means[layer], positions.mean(1), rtol=1e-4, atol=1e-4)


def test_mean_activation_is_one_over_the_same_pictures(scaled, pictures, means):
    again = mean_activations(scaled, pictures)
    assert set(again) == set(CONVOLUTIONS)
    for layer, values in again.items():
        # A filter that hardly responds is the small difference of large numbers, in float32.
        responsive = means[layer] > 1e-2 * means[layer].mean()
        assert responsive.mean() > 0.3, layer
        np.testing.assert_allclose(values[responsive], 1, rtol=1e-3, err_msg=layer)
        np.testing.assert_allclose(values[means[layer] > 0], 1, rtol=0.05, err_msg=layer)
        np.testing.assert_array_equal(values[means[layer] == 0], 0, err_msg=layer)


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_the_function_is_the_same_up_to_a_positive_scale_per_filter(params, scaled, pictures, means, pool):
    before = represent(params, pictures[0], LAYERS, pool=pool)
    after = represent(scaled, pictures[0], LAYERS, pool=pool)
    scale = np.ones(3)
    for layer in LAYERS:
        if layer in CONVOLUTIONS:
            scale = np.where(means[layer] > 0, means[layer], 1)
            assert np.all(scale > 0)
        difference = np.float64(after[layer]) * scale - np.float64(before[layer])
        assert np.linalg.norm(difference) <= 1e-4 * np.linalg.norm(before[layer]), layer


def test_a_filter_that_never_responds_keeps_its_scale(params, means):
    silent = {**means, "conv3_1": np.where(np.arange(256) == 7, 0.0, means["conv3_1"])}
    before, after = params["params"], normalised(params, silent)["params"]
    assert after["conv3_1"]["bias"][7] == before["conv3_1"]["bias"][7]
    assert all(np.isfinite(value).all() for arrays in after.values() for value in arrays.values())
    incoming = before["conv3_2"]["kernel"][0, 0, 7] / silent["conv3_2"]
    np.testing.assert_allclose(after["conv3_2"]["kernel"][0, 0, 7], incoming, rtol=1e-6)


def test_preprocessing_and_parameters_given_are_left_alone(params, scaled, means):
    np.testing.assert_array_equal(scaled["preprocessing"]["mean"], params["preprocessing"]["mean"])
    shipped = weights.load()
    for layer in CONVOLUTIONS:
        np.testing.assert_array_equal(params["params"][layer]["kernel"], shipped["params"][layer]["kernel"])
        assert scaled["params"][layer]["kernel"].dtype == scaled["params"][layer]["bias"].dtype == np.float32


def test_no_picture(params):
    with pytest.raises(InputError, match="no image"):
        mean_activations(params, [])
