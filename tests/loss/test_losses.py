"""Equations 1 to 6: cases known by hand, NumPy float64, the paper's derivatives, finite differences, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.loss import losses
from nst_jax.loss.objective import Objective
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.network import vgg

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1")


def activation(f, height, width):
    """The paper's F, N rows and M columns, as [height, width, N]."""
    return np.moveaxis(f.reshape(-1, height, width), 0, -1)


def style_loss(x, a):
    return losses.style_layer_loss(losses.style_representation(x), losses.style_representation(a))


def test_gram_of_ones_counts_positions():
    ones = np.ones((3, 5, 4), np.float32)
    np.testing.assert_array_equal(losses.gram_matrix(ones), np.full((4, 4), 15.0))
    np.testing.assert_array_equal(losses.style_representation(ones), np.ones((4, 4)))


def test_content_loss_is_half_a_sum():
    target = np.zeros((2, 3, 4), np.float32)
    assert losses.content_loss(target + 2, target) == 0.5 * 4 * target.size


def test_style_loss_by_hand():
    """N = 2, M = 4: G - A = [[4, 4], [4, 4]] - 0, so E = 4 · 16 / (4 · 4 · 16)."""
    ones = np.ones((2, 2, 2), np.float32)
    assert style_loss(ones, 0 * ones) == 4 * 16 / (4 * 4 * 16)


@pytest.mark.parametrize("size", [(4, 6), (3, 5)], ids=str)
def test_total_variation_of_a_checkerboard_and_of_a_plain_picture(size):
    height, width = size
    board = np.indices(size).sum(0) % 2
    image = np.repeat(board[..., None], 3, -1).astype(np.float32)
    pairs = (height - 1) * width + height * (width - 1)
    np.testing.assert_allclose(losses.total_variation(image), 3 * pairs * 255.0**2, rtol=1e-6)
    assert losses.total_variation(0 * image + 0.3) == 0


def test_total_variation_against_numpy():
    image = np.random.default_rng(0).uniform(size=(7, 9, 3)).astype(np.float32)
    np.testing.assert_allclose(losses.total_variation(image), oracle.total_variation(image), rtol=1e-5)


@pytest.mark.parametrize("positions", [(3, 4), (2, 5)], ids=str)
def test_values_against_numpy_float64(positions):
    """Also with a style picture of another size."""
    random = np.random.default_rng(1)
    f, p, a = random.normal(size=(5, 12)), random.normal(size=(5, 12)), random.normal(size=(5, np.prod(positions)))
    with jax.enable_x64(True):
        x, target, style = activation(f, 3, 4), activation(p, 3, 4), activation(a, *positions)
        np.testing.assert_allclose(losses.content_loss(x, target), oracle.content_loss(f, p), rtol=1e-12)
        np.testing.assert_allclose(losses.gram_matrix(x), f @ f.T, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(style_loss(x, style), oracle.style_loss(f, a), rtol=1e-12)


def test_the_papers_derivatives_2_and_6():
    """With respect to what goes into the ReLU: zero where it is negative."""
    random = np.random.default_rng(2)
    before, p, a = (random.normal(size=(5, 12)) for _ in range(3))
    f = np.maximum(before, 0)
    with jax.enable_x64(True):
        x, target, style = (activation(m, 3, 4) for m in (before, p, a))
        content = jax.grad(lambda x: losses.content_loss(jax.nn.relu(x), target))(x)
        np.testing.assert_allclose(content, activation(oracle.content_gradient(f, p), 3, 4), rtol=1e-12, atol=1e-14)
        slope = jax.grad(lambda x: style_loss(jax.nn.relu(x), style))(x)
        np.testing.assert_allclose(slope, activation(oracle.style_gradient(f, a), 3, 4), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("part", ["content", "style", "tv", "total"])
def test_finite_differences_through_the_real_network(params, picture, part):
    """Central differences in float64 along random directions, from an odd size, where pools drop pixels."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), params)
        content = picture("photograph", 33, 35).astype(np.float64)
        style = picture("painting", 32, 32).astype(np.float64)
        targets = Targets(
            {"conv3_1": vgg.features(wide, content, ["conv3_1"])["conv3_1"][None]},
            {
                layer: losses.style_representation(x)[None]
                for layer, x in vgg.features(wide, style, STYLE_LAYERS).items()
            },
        )
        weights = loss_weights(0.5, 2.0, content_layers=["conv3_1"], style_layers=STYLE_LAYERS, tv=0.1)
        terms = Objective(wide, targets, jax.tree.map(lambda leaf: leaf.astype(jnp.float64), weights))

        @jax.jit
        def loss(image):
            return getattr(terms(image[None]), part)[0]

        random = np.random.default_rng(3)
        image = random.uniform(size=content.shape)
        gradient = jax.jit(jax.grad(loss))(image)
        assert gradient.dtype == np.float64
        for _ in range(3):
            direction = random.normal(size=image.shape)
            step = 1e-7  # small: a ReLU that switches in between would spoil the difference
            difference = (loss(image + step * direction) - loss(image - step * direction)) / (2 * step)
            np.testing.assert_allclose(np.vdot(gradient, direction), difference, rtol=1e-5)


@st.composite
def activations(draw):
    height, width, filters = draw(st.sampled_from([(1, 1, 2), (2, 3, 4), (5, 4, 3)]))  # each is compiled once
    values = st.floats(-100, 100, width=32)
    flat = draw(st.lists(values, min_size=height * width * filters, max_size=height * width * filters))
    return np.float32(flat).reshape(height, width, filters)


@settings(max_examples=50, deadline=None)
@given(activations(), st.randoms())
def test_invariances_of_the_style_representation(x, random):
    gram = np.float64(losses.gram_matrix(x))
    scale = np.trace(gram) + 1e-30
    np.testing.assert_allclose(gram, gram.T, atol=1e-6 * scale)
    assert np.linalg.eigvalsh(gram).min() >= -1e-5 * scale  # positive semidefinite

    height, width, filters = x.shape
    positions, order = list(range(height * width)), list(range(filters))
    random.shuffle(positions)
    random.shuffle(order)
    moved = x.reshape(-1, filters)[positions].reshape(x.shape)
    tolerance = 1e-6 * scale
    np.testing.assert_allclose(losses.gram_matrix(moved), gram, atol=tolerance)
    np.testing.assert_allclose(losses.gram_matrix(x[..., order]), gram[np.ix_(order, order)], atol=tolerance)
    doubled = np.concatenate([x, x])  # twice as many positions with the same statistics
    np.testing.assert_allclose(
        losses.style_representation(doubled), losses.style_representation(x), atol=tolerance / (height * width)
    )
    assert losses.style_layer_loss(losses.style_representation(x), losses.style_representation(x)) == 0
    assert losses.content_loss(x, x) == 0


def test_leading_axes_are_kept():
    x = np.random.default_rng(4).normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    assert losses.content_loss(x, x[:1]).shape == (2, 3)
    assert losses.gram_matrix(x).shape == (2, 3, 6, 6)
    assert style_loss(x, x[:, :1]).shape == (2, 3)
    assert losses.total_variation(x[..., :3]).shape == (2, 3)
    np.testing.assert_allclose(losses.gram_matrix(x)[1, 2], losses.gram_matrix(x[1, 2]), rtol=1e-5, atol=1e-5)


def test_weighted_sum():
    terms = {"a": jnp.float32([1, 2]), "b": jnp.float32([10, 20])}
    weights = {"a": jnp.float32([3]), "b": jnp.float32([0, 5])}
    np.testing.assert_array_equal(losses.weighted_sum(terms, weights), [3, 106])
    assert losses.weighted_sum({}, {}) == 0
