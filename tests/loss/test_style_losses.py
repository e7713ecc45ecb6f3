"""Style losses beside equation 4: NumPy float64, derivatives, rounding, strips, lanes, blends; what is refused."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.loss import losses, strips, style_losses
from nst_jax.loss.bures import NOISE
from nst_jax.loss.objective import Objective
from nst_jax.loss.style_losses import STYLE_LOSSES, layer_loss, moments
from nst_jax.loss.targets import Targets, blend, content_targets, style_targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.network.vgg import features
from nst_jax.transfer.minimizing import minimize

OTHERS = ("mean-std", "wasserstein")
ORACLES = {
    "mean-std": (oracle.mean_std_loss, oracle.mean_std_gradient),
    "wasserstein": (partial(oracle.wasserstein_loss, share=NOISE), partial(oracle.wasserstein_gradient, share=NOISE)),
}
LAYERS = ("conv1_1", "conv2_1")


def activation(f, height, width):
    """The paper's F, N rows and M columns, as [height, width, N]."""
    return np.moveaxis(f.reshape(-1, height, width), 0, -1)


def loss_of(x, a, style_loss):
    """A layer's loss of activations."""
    each = [moments(x, style_loss) / math.prod(x.shape[-3:-1]) for x in (x, a)]
    return layer_loss(*each, style_loss)


def test_by_hand():
    """One filter of 1 and 5, which has μ 3 and σ 2, against one that is 1 everywhere."""
    varied, plain = np.float32([[[1.0], [5.0]]]), np.ones((1, 1, 1), np.float32)
    for style_loss in OTHERS:
        found = loss_of(varied, plain, style_loss) / style_losses.SCALES[style_loss]
        np.testing.assert_allclose(found, 4 + 4, rtol=0.05 if style_loss == "wasserstein" else 1e-6)  # it has the noise


def test_gram_is_equation_4():
    x, a = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = losses.style_layer_loss(losses.style_representation(x), losses.style_representation(a))
    np.testing.assert_array_equal(loss_of(x, a, "gram"), expected)


@pytest.mark.parametrize("positions", [(3, 4), (2, 5), (1, 3)], ids=str)
@pytest.mark.parametrize("style_loss", OTHERS)
def test_values_and_derivatives_against_numpy_float64(style_loss, positions):
    """Also with a style picture of another size, and with fewer positions than filters."""
    random = np.random.default_rng(1)
    f, a = random.normal(1.0, size=(5, 12)), random.normal(0.5, 2.0, size=(5, np.prod(positions)))
    value, gradient = ORACLES[style_loss]
    scale = style_losses.SCALES[style_loss]
    with jax.enable_x64(True):
        x, style = activation(f, 3, 4), activation(a, *positions)
        found, slope = jax.value_and_grad(partial(loss_of, a=style, style_loss=style_loss))(x)
    np.testing.assert_allclose(found, scale * value(f, a), rtol=1e-6)
    expected = scale * activation(gradient(f, a), 3, 4)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("style_loss", OTHERS)
def test_filters_that_respond_alike_everywhere_have_a_derivative(style_loss):
    """A root has none at zero."""
    x = np.random.default_rng(2).uniform(size=(3, 4, 5)).astype(np.float32)
    alike = x * np.float32([0, 1, 1, 0, 0]) + np.float32([0, 0, 0, 0, 0.25])
    for image, style in ((alike, x), (x, alike), (alike, alike), (0 * x, 0 * x)):
        found, slope = jax.value_and_grad(partial(loss_of, a=style, style_loss=style_loss))(image)
        assert np.isfinite(found)
        assert np.all(np.isfinite(slope))


@st.composite
def pairs(draw):
    height, width, filters = draw(st.sampled_from([(1, 1, 2), (2, 3, 4), (5, 4, 3)]))  # each is compiled once
    values = st.floats(-100, 100, width=32)
    flat = draw(st.lists(values, min_size=2 * height * width * filters, max_size=2 * height * width * filters))
    return np.float32(flat).reshape(2, height, width, filters)


@settings(max_examples=10, deadline=None)
@given(pairs(), st.sampled_from(OTHERS))
def test_zero_at_equality_symmetric_and_never_negative(pair, style_loss):
    x, a = pair
    size = style_losses.SCALES[style_loss] * np.square(np.float64(pair)).sum() / x.shape[0] / x.shape[1]
    assert 0 <= loss_of(x, x, style_loss) <= 1e-6 * size
    found = loss_of(x, a, style_loss)
    assert found >= 0
    np.testing.assert_allclose(loss_of(a, x, style_loss), found, rtol=1e-3, atol=1e-5 * size)
    doubled = np.concatenate([x, x])  # twice as many positions with the same statistics
    np.testing.assert_allclose(loss_of(doubled, a, style_loss), found, rtol=1e-3, atol=1e-5 * size)


@pytest.mark.parametrize("start", ["photograph", "noise", "near"])
@pytest.mark.parametrize("style_loss", OTHERS)
def test_float32_errors_of_real_activations(params, picture, style_loss, start):
    """Ranks far below the number of filters: conv5_1 has 16 positions, 512 filters. Docstrings tell the errors."""
    random = np.random.default_rng(3)
    painting = picture("painting", 64, 64)
    image = {
        "photograph": picture("photograph", 64, 64),
        "noise": random.uniform(0.45, 0.55, size=(64, 64, 3)).astype(np.float32),
        "near": np.float32(painting + 0.02 * random.normal(size=(64, 64, 3))),
    }[start]
    layers = ("conv1_1", "conv3_1", "conv5_1")
    ours, theirs = (features(params, each, layers) for each in (image, painting))
    value, gradient = ORACLES[style_loss]
    for layer in layers:
        f, a = (np.moveaxis(np.asarray(x[layer], np.float64), -1, 0) for x in (ours, theirs))
        height, width = f.shape[1:]
        live = (f.std((1, 2)) > 0) & (a.std((1, 2)) > 0) if style_loss == "mean-std" else slice(None)
        f, a = (oracle.matrix(x[live]) for x in (f, a))
        x, style = (jnp.asarray(activation(m, height, width), jnp.float32) for m in (f, a))
        found, slope = jax.value_and_grad(partial(loss_of, a=style, style_loss=style_loss))(x)
        scale = style_losses.SCALES[style_loss]
        np.testing.assert_allclose(found, scale * value(f, a), rtol=5e-5, err_msg=layer)
        expected = scale * activation(gradient(f, a), height, width)
        error = np.linalg.norm(slope - expected) / np.linalg.norm(expected)
        assert error < (1e-3 if start == "near" else 1e-4), (layer, error)


@pytest.fixture(scope="module")
def wide(params):
    with jax.enable_x64(True):
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), params)


@partial(jax.jit)
def evaluate(objective, images):
    """The losses, and the gradient of all lanes' totals."""

    def total(images):
        found = objective(images)
        return jnp.sum(found.total), found

    gradient, found = jax.grad(total, has_aux=True)(images)
    return found, gradient


def goal(params, style_loss, photo, painting):
    """An objective of the photo and all paintings, one for each lane."""
    targets = Targets(
        content_targets(params, photo, ("conv2_1",)), style_targets(params, painting, LAYERS, style_loss=style_loss)
    )
    weights = loss_weights(1e-3, content_layers=("conv2_1",), style_layers=LAYERS)
    weights = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), photo.dtype), weights)
    return Objective(params, targets, weights, style_loss=style_loss)


@pytest.mark.parametrize("style_loss", OTHERS)
def test_strips_are_the_whole_picture(wide, picture, style_loss):
    with jax.enable_x64(True):
        photo, painting = (picture(name, 67, 45)[None].astype(np.float64) for name in ("photograph", "painting"))
        whole = goal(wide, style_loss, photo, painting)
        expected = evaluate(whole, 0.9 * photo)
        found = evaluate(whole.replace(strips=(5, 3)), 0.9 * photo)
    for got, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


@pytest.mark.parametrize("style_loss", OTHERS)
def test_targets_in_strips(wide, picture, style_loss, monkeypatch):
    with jax.enable_x64(True):
        painting = picture("painting", 67, 45)[None].astype(np.float64)
        whole = style_targets(wide, painting, LAYERS, style_loss=style_loss)
        monkeypatch.setattr(strips, "SLAB_PIXELS", 500)
        strips.values.clear_cache()
        found = style_targets(wide, painting, LAYERS, style_loss=style_loss)
        strips.values.clear_cache()
    for layer, target in whole.items():
        assert target.shape == (1, target.shape[1], style_losses.columns(style_loss, target.shape[1]))
        np.testing.assert_allclose(found[layer], target, rtol=1e-9, atol=1e-9 * np.abs(target).max())


@pytest.mark.parametrize("style_loss", OTHERS)
def test_lanes_are_as_each_alone_and_jit_as_without(params, picture, style_loss):
    photo = picture("photograph", 32, 40)[None]
    paintings = np.concatenate([picture(name, 32, 40)[None] for name in ("painting", "photograph")])
    images = np.concatenate([photo, 0.5 * photo])
    both = goal(params, style_loss, photo, paintings)
    found, slope = evaluate(both, images)
    np.testing.assert_allclose(both(images).total, found.total, rtol=1e-4)
    for i in range(2):
        own, own_slope = evaluate(goal(params, style_loss, photo, paintings[i : i + 1]), images[i : i + 1])
        for got, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(own), strict=True):
            np.testing.assert_allclose(got[i], wanted[0], rtol=1e-4, atol=1e-6 * float(found.total[i]))
        np.testing.assert_allclose(slope[i], own_slope[0], atol=1e-3 * np.abs(own_slope).max())


@pytest.mark.parametrize("style_loss", OTHERS)
def test_it_is_minimized(params, picture, style_loss):
    photo, painting = (picture(name, 32, 32)[None] for name in ("photograph", "painting"))
    objective = goal(params, style_loss, photo, painting)
    result = minimize(objective, photo, evaluations=15)
    assert np.all(result.losses.style < 0.5 * objective(photo).style)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_a_blend_has_the_statistics_of_the_mixture(style_loss):
    """One picture weighs as three where it has three times the weight, whatever its size."""
    random = np.random.default_rng(4)
    x, y = np.float32(random.normal(1, 1, size=(1, 4, 4, 3))), np.float32(random.normal(3, 2, size=(1, 2, 2, 3)))
    apart = [{"conv1_1": moments(f, style_loss) / math.prod(f.shape[1:3])} for f in (x, y)]
    mixture = np.concatenate([x, *[np.tile(y, (1, 2, 2, 1))] * 3])
    expected = moments(mixture.reshape(1, -1, 1, 3), style_loss) / (4 * 16)
    np.testing.assert_allclose(blend(apart, [1, 3])["conv1_1"], expected, rtol=1e-5)


def test_unknown_style_losses_are_refused(params, picture):
    image = picture("photograph", 32, 32)[None]
    for call in (
        lambda: style_targets(params, image, ("conv1_1",), style_loss="mmd"),
        lambda: goal(params, "gram", image, image).replace(style_loss="mmd")(image),
        lambda: moments(image, "mmd"),
    ):
        with pytest.raises(InputError, match=r"^style_loss 'mmd': unknown; known are gram, mean-std, wasserstein"):
            call()


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_targets_of_another_style_loss_are_refused(params, picture, style_loss):
    """They would fail somewhere inside."""
    image = picture("photograph", 32, 32)[None]
    for other in STYLE_LOSSES:
        objective = goal(params, other, image, image).replace(style_loss=style_loss)
        if other != style_loss:
            with pytest.raises(InputError, match=r"^style target of conv1_1: has .* make it by `style_targets`"):
                objective(image)


def test_every_style_loss_has_a_scale():
    assert tuple(style_losses.SCALES) == STYLE_LOSSES
    assert style_losses.SCALES["gram"] == 1
