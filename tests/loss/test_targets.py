"""Blended targets have the gradient of the weighted sum of losses. The oracle of test_objective.py checks targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.loss.targets import blend, content_targets, style_targets


def test_blend_differs_from_the_weighted_sum_of_losses_by_a_constant():
    random = np.random.default_rng(0)
    pictures = [{"conv1_1": jnp.asarray(random.normal(size=(1, 4, 4)), jnp.float32)} for _ in range(3)]
    given = np.array([1.0, 2.0, 5.0])
    shares = given / given.sum()
    blended = blend(pictures, given)["conv1_1"]
    assert blended.dtype == np.float32
    np.testing.assert_allclose(
        blended, sum(v * np.asarray(p["conv1_1"]) for v, p in zip(shares, pictures, strict=True)), rtol=1e-5
    )

    def separate(gram):
        each = [losses.style_layer_loss(gram, p["conv1_1"])[0] for p in pictures]
        return jnp.dot(jnp.asarray(shares, jnp.float32), jnp.stack(each))

    def together(gram):
        return losses.style_layer_loss(gram, blended)[0]

    grams = jnp.asarray(random.normal(size=(5, 4, 4)), jnp.float32)
    constants = [separate(gram) - together(gram) for gram in grams]
    np.testing.assert_allclose(constants, constants[0], atol=1e-5)
    assert constants[0] > 0.01
    for gram in grams:
        np.testing.assert_allclose(jax.grad(separate)(gram), jax.grad(together)(gram), atol=1e-5)


def test_blends_are_the_same_where_float64_is_allowed():
    pictures = [{"conv1_1": jnp.full((1, 2, 2), value, jnp.float32)} for value in (0.1, 0.7, 0.3)]
    expected = blend(pictures, [1, 2, 5])["conv1_1"]
    with jax.enable_x64(True):
        found = blend(pictures, [1, 2, 5])["conv1_1"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0], ["1 given for 2"]),
        ([0.0, 0.0], ["zero"]),
        ([1.0, -1.0], ["-1"]),
        ([1.0, np.nan], ["nan"]),
        ([np.inf, 1.0], ["inf"]),
    ],
)
def test_blend_refuses_in_one_line(weights, words):
    grams = [{"conv1_1": jnp.ones((1, 2, 2))}] * 2
    with pytest.raises(InputError) as caught:
        blend(grams, weights)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in ["weights", *words]), caught.value


@pytest.mark.parametrize("targets", [content_targets, style_targets])
def test_layers_may_be_a_list_or_one_name(params, picture, targets):
    image = picture("photograph", 32, 48)[None]
    expected = targets(params, image, ("conv1_1", "pool1"))
    found = targets(params, image, ["pool1", "conv1_1", "pool1"])
    assert list(found) == list(expected) == ["conv1_1", "pool1"]
    for layer, target in expected.items():
        np.testing.assert_array_equal(found[layer], target)
    assert list(targets(params, image, "conv1_1")) == ["conv1_1"]


@pytest.mark.parametrize("shape", [(32, 48, 3), (48,), (32, 48), (0, 32, 48, 3)], ids=str)
@pytest.mark.parametrize("targets", [content_targets, style_targets])
def test_images_of_another_shape_are_refused(params, targets, shape):
    """A picture without an axis of lanes above all."""
    with pytest.raises(InputError, match=r"^images of shape \(.*: must be \["):
        targets(params, np.zeros(shape, np.float32), ("conv1_1",))
