"""The normalized network: mean activations of one, and the same function but for a positive scale per filter."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.network.layers import CONVOLUTIONS, LAYERS, POOLS
from nst_jax.network.vgg import features
from nst_jax.pictures import images
from nst_jax.weights import hdf5, weights
from nst_jax.weights.mean_activations import mean_activations
from nst_jax.weights.normalize import normalized, read_means, save_means

SAMPLES = Path(__file__).resolve().parents[2] / "nst_jax" / "samples"


@pytest.fixture(scope="module")
def pictures(picture):
    """Of two sizes, so that positions must be weighed and not pictures."""
    return [picture("photograph", 48, 64), picture("painting", 48, 64), picture("painting", 32, 40)]


@pytest.fixture(scope="module")
def means(params, pictures):
    return mean_activations(params, pictures)


@pytest.fixture(scope="module")
def scaled(params, means):
    return normalized(params, means)


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


@pytest.mark.parametrize("pool", POOLS)
def test_the_function_is_the_same_up_to_a_positive_scale_per_filter(params, scaled, pictures, means, pool):
    before = features(params, pictures[0], LAYERS, pool=pool)
    after = features(scaled, pictures[0], LAYERS, pool=pool)
    scale = np.ones(3)
    for layer in LAYERS:
        if layer in CONVOLUTIONS:
            scale = np.where(means[layer] > 0, means[layer], 1)
            assert np.all(scale > 0)
        difference = np.float64(after[layer]) * scale - np.float64(before[layer])
        assert np.linalg.norm(difference) <= 1e-4 * np.linalg.norm(before[layer]), layer


def test_a_filter_that_never_responds_keeps_its_scale(params, means):
    silent = {**means, "conv3_1": np.where(np.arange(256) == 7, 0.0, means["conv3_1"])}
    before, after = params["params"], normalized(params, silent)["params"]
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


def test_shipped_means_are_near_those_of_the_sample_photographs():
    """Two of the 45 that they were measured over, smaller here.

    Single filters depend on what a picture shows, and beyond the layers that styles use most respond to few things.
    """
    files = ("schwerin_palace.jpg", "rocamadour.jpg")
    photographs = [images.read_image(SAMPLES / file, size=256) for file in files]
    found = mean_activations(weights.load(weights.NORMALIZED), photographs)
    for layer in list(CONVOLUTIONS)[: list(CONVOLUTIONS).index("conv5_1") + 1]:
        assert np.median(found[layer]) == pytest.approx(1, abs=0.25), layer
        assert found[layer].mean() == pytest.approx(1, abs=0.25), layer


def test_shipped_network_is_the_original_up_to_a_positive_scale_per_filter(params, pictures):
    shipped = weights.load(weights.NORMALIZED)
    before, after = (features(each, pictures[0], CONVOLUTIONS) for each in (params, shipped))
    for layer in CONVOLUTIONS:
        x, y = np.float64(before[layer]), np.float64(after[layer])
        scale = (x * y).sum((0, 1)) / np.maximum((y * y).sum((0, 1)), 1e-30)
        assert np.linalg.norm(y * scale - x) <= 1e-3 * np.linalg.norm(x), layer


def means_file(path, means, **attributes):
    save_means(path, means, attributes={"of": "vgg19", "of_sha256": weights.verify().sha256, **attributes})
    return path


def test_a_file_of_means_round_trips(params, means, scaled, tmp_path):
    path = means_file(tmp_path / "means.h5", means)
    with hdf5.opened(path) as file:
        again = read_means(file)
    loaded = weights.load(path)
    for layer in CONVOLUTIONS:
        np.testing.assert_array_equal(again[layer], np.float32(means[layer]))
        for name in ("kernel", "bias"):
            np.testing.assert_allclose(loaded["params"][layer][name], scaled["params"][layer][name], rtol=1e-6)


def test_attributes_of_other_weights_do_not_change_the_format(means, tmp_path):
    path = means_file(tmp_path / "means.h5", means, format=weights.FORMAT)
    assert weights.verify(path).storage == "mean activations for vgg19"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"of_sha256": "0" * 64}, "mean activations of vgg19 with sha256 0000"),
        ({"of": "vgg19-normalized"}, "must be of vgg19 or vgg19-full"),
        ({"of": "/etc/passwd"}, "must be of vgg19 or vgg19-full"),
        ({"of": "vgg19-full"}, "not fetched yet"),
    ],
)
def test_means_of_other_weights_are_refused(means, tmp_path, monkeypatch, attributes, message):
    monkeypatch.setenv("NST_JAX_CACHE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=message):
        weights.load(means_file(tmp_path / "means.h5", means, **attributes))


@pytest.mark.parametrize(
    ("value", "message"),
    [(-1.0, "conv4_1/mean_activation must be finite"), (np.nan, "must be finite"), (2.0, "damaged"), (None, "missing")],
)
def test_wrong_means_are_refused(means, tmp_path, value, message):
    path = means_file(tmp_path / "means.h5", means)
    with h5py.File(path, "r+") as file:
        if value is None:
            del file["conv4_1/mean_activation"]
        else:
            file["conv4_1/mean_activation"][3] = value
    with pytest.raises(InputError, match=message):
        weights.load(path)
