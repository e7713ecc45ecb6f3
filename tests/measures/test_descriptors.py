"""Style descriptors: their values against NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.measures import descriptors
from nst_jax.network import vgg

LAYERS = ("conv1_1", "pool1", "conv2_1")
OPTIONS = ("--size", 48, "--style-layers", ",".join(LAYERS))
FOUND = {"a.png": (36, 48), "one/b.jpg": (48, 40), "one/deep/c.PNG": (36, 48), "two/a.png": (40, 48)}
SKIPPED = ("two/notes.txt", "two/.hidden.png", ".cache/d.png", "one/read.me")


@pytest.mark.parametrize(("pool", "padding"), [("avg", "zero"), ("binomial", "reflect"), ("max", "replicate")])
@pytest.mark.parametrize("kind", descriptors.KINDS)
def test_descriptors_agree_with_the_oracle(params, picture, kind, pool, padding):
    image = picture("painting", 33, 46)
    found = descriptors.style_descriptors(params, image, kind, LAYERS, pool=pool, padding=padding)
    for layer, expected in oracle.descriptors(params, image, LAYERS, kind, pool, padding).items():
        assert found[layer].dtype == np.float32
        assert found[layer].shape == expected.shape
        assert np.linalg.norm(found[layer] - expected) <= 1e-5 * np.linalg.norm(expected), layer


def test_statistics_of_known_activations():
    """A constant has no deviation; of 0, 0, 3, 3 the mean and the deviation are 3/2; positions may change places."""
    activation = np.stack([np.full((2, 2), 5), np.array([[0, 3], [3, 0]])], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(descriptors.channel_statistics(activation), [5, 1.5, 0, 1.5])
    generator = np.random.default_rng(0)
    batch = generator.random((3, 6, 4, 8), np.float32)
    shuffled = generator.permutation(batch.reshape(3, 24, 8), axis=1).reshape(3, 6, 4, 8)
    for describe in (descriptors.channel_statistics, losses.style_representation):
        np.testing.assert_allclose(describe(batch), describe(shuffled), rtol=1e-5, atol=1e-6)
    single = [descriptors.channel_statistics(activation) for activation in batch]
    np.testing.assert_allclose(descriptors.channel_statistics(batch), single, rtol=1e-6)


def test_the_gradient_of_a_filter_that_never_responds_is_zero():
    activation = jnp.stack([jnp.zeros((2, 2)), jnp.array([[0.0, 3.0], [3.0, 0.0]])], axis=-1)
    gradient = jax.grad(lambda x: descriptors.channel_statistics(x)[2:].sum())(activation)
    np.testing.assert_allclose(gradient[..., 0], 0)
    np.testing.assert_allclose(gradient[..., 1], [[-0.25, 0.25], [0.25, -0.25]], rtol=1e-6)


def test_layers_may_be_a_list_or_one_name(params, picture):
    image = picture("painting", 32, 40)
    expected = descriptors.style_descriptors(params, image, "compact", ("conv1_1", "pool1"))
    found = descriptors.style_descriptors(params, image, "compact", ["pool1", "conv1_1"])
    assert list(found) == list(expected)
    for layer, values in expected.items():
        np.testing.assert_array_equal(found[layer], values)
    assert list(descriptors.style_descriptors(params, image, "compact", "pool1")) == ["pool1"]


def test_an_unknown_kind_is_refused(params, picture):
    with pytest.raises(InputError, match="kind 'mean': unknown; known are gram, compact"):
        descriptors.style_descriptors(params, picture("painting", 32, 32), "mean")


def test_pictures_may_come_from_the_host_where_transfers_are_to_be_explicit(params, picture):
    image = picture("painting", 32, 32)
    plain = jax.device_get(params)
    with jax.transfer_guard("disallow"):
        found = descriptors.style_descriptors(vgg.prepare(plain, ("conv1_1",)), image, "gram", LAYERS[:1])
        activations = vgg.features(params, image, LAYERS[:1])
    np.testing.assert_allclose(
        found["conv1_1"],
        np.tensordot(activations["conv1_1"], activations["conv1_1"], ((0, 1), (0, 1))) / 32**2,
        rtol=1e-4,
    )
