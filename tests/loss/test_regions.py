"""Guided Gram matrices and their loss: NumPy float64, the derivative written out, special cases, and memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platforms import lowered

from nst_jax.errors import InputError
from nst_jax.loss import losses
from nst_jax.loss.regions import guidance, guided_layer_loss, guided_moments
from nst_jax.network.layers import EDGES, LAYERS, POOLS
from nst_jax.network.receptive import propagated


def by_oracle(f, channels):
    """[height, width, N] and [regions, height, width] -> [regions, N, N], position by position."""
    grams = np.zeros((len(channels), f.shape[-1], f.shape[-1]))
    for region, *place in np.ndindex(channels.shape):
        guided = channels[region, *place] * f[*place]
        grams[region] += np.outer(guided, guided)
    return grams


def gradient_by_oracle(f, channels, targets, weights):
    """Equation 6 for each region, with T² for 1 / M: Σ_r w_r T_r² ∘ F (G_r - A_r) / N²."""
    slope = np.zeros_like(f)
    for channel, gram, target, weight in zip(channels, by_oracle(f, channels), targets, weights, strict=True):
        slope += weight * channel[..., None] ** 2 * (f @ (gram - target)) / f.shape[-1] ** 2
    return slope


def normalized(channels):
    return channels / np.sqrt((channels**2).sum((1, 2), keepdims=True))


def loss(f, channels, target, weights):
    return guided_layer_loss(guided_moments(f, channels), target, weights)


def masks(size, seed=0):
    """Three that cover a picture, one of them soft at its edge."""
    height, width = size
    slope = np.clip(np.linspace(-2, 3, height, dtype=np.float32), 0, 1)[:, None] * np.ones((1, width), np.float32)
    left = np.float32(np.random.default_rng(seed).integers(8, width - 8) > np.arange(width))
    return {"sky": slope, "tree": (1 - slope) * left, "ground": (1 - slope) * (1 - left)}


@settings(max_examples=10, deadline=None)
@given(
    shape=st.sampled_from([(1, 3, 4, 5), (3, 5, 4, 2), (2, 1, 1, 3)]),
    seed=st.integers(0, 999),
    scale=st.floats(0.1, 10),
)
def test_values_and_the_derivative_against_numpy_float64(shape, seed, scale):
    """The style picture's regions are of another size."""
    regions, height, width, filters = shape
    random = np.random.default_rng(seed)
    f, a = scale * random.normal(size=(height, width, filters)), random.normal(size=(2, 7, filters))
    channels = normalized(random.uniform(size=(regions, height, width)))
    target = by_oracle(a, normalized(random.uniform(size=(regions, 2, 7))))
    weights = random.uniform(size=regions)
    expected = np.sum(weights * ((by_oracle(f, channels) - target) ** 2).sum((1, 2)) / (4 * filters**2))
    with jax.enable_x64(True):
        np.testing.assert_allclose(guided_moments(f, channels), by_oracle(f, channels), rtol=1e-12, atol=1e-12)
        value, slope = jax.jit(jax.value_and_grad(loss))(f, channels, target, weights)
    assert value == pytest.approx(expected, rel=1e-12)
    right = gradient_by_oracle(f, channels, target, weights)
    np.testing.assert_allclose(slope, right, rtol=1e-10, atol=1e-12 * np.abs(right).max())


def test_the_derivative_of_any_function_of_the_matrices():
    """Also of one that is not symmetric, against JAX's own rules."""
    random = np.random.default_rng(0)
    f, channels = random.normal(size=(2, 4, 5, 3)), random.uniform(size=(2, 4, 5))
    weights = random.normal(size=(2, 2, 3, 3))

    def plainly(f):
        guided = channels[:, ..., None] * f[:, None]
        return jnp.sum(weights * jnp.sin(jnp.einsum("brhwi,brhwj->brij", guided, guided)))

    with jax.enable_x64(True):
        found = jax.grad(lambda f: jnp.sum(weights * jnp.sin(guided_moments(f, channels))))(f)
        np.testing.assert_allclose(found, jax.grad(plainly)(f), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("pool", POOLS)
def test_one_region_that_covers_everything_is_equation_4(edges, pool):
    found = guidance({"all": np.ones((37, 50), np.float32)}, ["conv1_1", "pool2", "conv5_1"], edges, pool)
    random = np.random.default_rng(0)
    for channels in found.channels.values():
        x, a = random.normal(size=(2, *channels.shape[1:], 4)).astype(np.float32)
        guided, target = guided_moments(x, channels), guided_moments(a, channels)
        np.testing.assert_allclose(guided[0], losses.style_representation(x), rtol=1e-5, atol=1e-5)
        expected = losses.style_layer_loss(losses.style_representation(x), losses.style_representation(a))
        np.testing.assert_allclose(guided_layer_loss(guided, target, np.ones(1, np.float32)), expected, rtol=1e-4)


@pytest.mark.parametrize("layer", ["conv1_1", "conv2_1", "conv3_1"])
def test_two_regions_that_share_the_picture(layer):
    """By their shares of the positions, their matrices add up to the picture's; the pools' windows end at the edge."""
    left = np.zeros((40, 48), np.float32)
    left[:, :12] = 1
    channels = guidance({"left": left, "right": 1 - left}, [layer], "simple").channels[layer]
    assert not np.any(channels[0] * channels[1])
    x = np.random.default_rng(0).normal(size=(*channels.shape[1:], 4)).astype(np.float32)
    grams = np.asarray(guided_moments(x, channels))
    np.testing.assert_allclose(0.25 * grams[0] + 0.75 * grams[1], losses.style_representation(x), rtol=1e-5, atol=1e-5)
    quarter = x[:, : x.shape[1] // 4]
    np.testing.assert_allclose(grams[0], losses.style_representation(quarter), rtol=1e-5, atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(
    size=st.tuples(st.integers(32, 64), st.integers(32, 64)),
    edges=st.sampled_from(EDGES), pool=st.sampled_from(POOLS), seed=st.integers(0, 999),
)  # fmt: skip
def test_channels_are_the_masks_at_the_layer_with_squares_that_sum_to_one(size, edges, pool, seed):
    given_masks = masks(size, seed)
    found = guidance(given_masks, LAYERS, edges, pool)
    assert list(found.channels) == list(found.present) == list(LAYERS)
    for number, mask in enumerate(given_masks.values()):
        for layer, values in propagated(mask, LAYERS, edges, pool).items():
            channel = found.channels[layer][number]
            assert channel.dtype == np.float32
            assert found.present[layer][number] == values.any()
            assert (channel**2).sum() == pytest.approx(float(values.any()), rel=1e-5)
            np.testing.assert_allclose(channel * np.linalg.norm(values), values, rtol=1e-5)


def test_an_empty_region_is_told_of_and_left_out():
    """A block of 9x9 has positions in conv1_1 that see nothing else, and none any more in conv3_1."""
    block = np.zeros((64, 64), np.float32)
    block[20:29, 20:29] = 1
    found = guidance({"block": block, "rest": 1 - block}, ["conv1_1", "conv3_1"], "inside")
    assert {layer: values.tolist() for layer, values in found.present.items()} == {
        "conv1_1": [True, True], "conv3_1": [False, True],
    }  # fmt: skip
    channels = found.channels["conv3_1"]
    assert not channels[0].any()
    random = np.random.default_rng(0)
    x, target = random.normal(size=(16, 16, 4)).astype(np.float32), random.normal(size=(2, 4, 4)).astype(np.float32)
    weights = np.array([5, 3], np.float32) * found.present["conv3_1"]
    value, slope = jax.value_and_grad(loss)(x, channels, target, weights)
    only, its_slope = jax.value_and_grad(loss)(x, channels[1:], target[1:], weights[1:])
    np.testing.assert_allclose(value, only, rtol=1e-6)
    np.testing.assert_allclose(slope, its_slope, rtol=1e-5, atol=1e-7)
    assert not np.any(guided_moments(x, channels)[0])


def test_faint_masks_are_regions_too():
    """Their squares are none in float32."""
    faint = np.full((32, 32), 1e-30, np.float32)
    found = guidance({"faint": faint}, ["conv1_1"], "simple")
    assert found.present["conv1_1"].all()
    np.testing.assert_allclose(found.channels["conv1_1"], 1 / 32, rtol=1e-6)


def test_batched_equals_looped():
    """Leading axes, targets and weights of each image or of all, `vmap`, and a loop's body."""
    random = np.random.default_rng(0)
    x, channels = random.normal(size=(2, 3, 6, 5, 4)).astype(np.float32), normalized(random.uniform(size=(3, 6, 5)))
    channels, target = channels.astype(np.float32), random.normal(size=(2, 3, 3, 4, 4)).astype(np.float32)
    weights = random.uniform(size=(2, 3, 3)).astype(np.float32)

    def value_and_slope(x, target, weights):
        value, pull = jax.vjp(lambda x: loss(x, channels, target, weights), x)
        return value, pull(jnp.ones_like(value))[0]

    together = jax.jit(value_and_slope)(x, target, weights)
    mapped = jax.vmap(jax.vmap(value_and_slope))(x, target, weights)
    _, looped = jax.jit(
        lambda x: jax.lax.fori_loop(
            0, 1, lambda _, total: jax.tree.map(jnp.add, total, value_and_slope(x, target, weights)),
            (jnp.zeros((2, 3)), jnp.zeros_like(x)),
        )
    )(x)  # fmt: skip
    assert together[0].shape == (2, 3)
    for place in np.ndindex(2, 3):
        value, slope = value_and_slope(x[place], target[place], weights[place])
        for found in (together, mapped):
            np.testing.assert_allclose(found[0][place], value, rtol=1e-5)
            np.testing.assert_allclose(found[1][place], slope, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(looped[place], slope, rtol=1e-4, atol=1e-5)
        of_all = loss(x, channels, target[place][None, None], weights[place])[place]
        np.testing.assert_allclose(of_all, value, rtol=1e-5)


def test_regions_do_not_cost_memory():
    """With eight of them, as with one, two arrays of the activations' size are there beside these."""
    x = jnp.ones((1, 64, 64, 64))

    def needed(regions):
        channels, weights = jnp.ones((regions, 64, 64)), jnp.ones(regions)
        target = jnp.ones((1, regions, 64, 64))
        slope = jax.jit(jax.grad(lambda x: loss(x, channels, target, weights).sum()))
        analysis = slope.lower(x).compile().memory_analysis()
        assert analysis
        return analysis.temp_size_in_bytes

    assert needed(8) < 2 * x.nbytes + 3 * 8 * 64 * 64 * 4


@pytest.mark.parametrize(
    ("precision", "name"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH"), ("bfloat16-activations", "DEFAULT")]
)
def test_products_are_of_the_precision_asked_for(precision, name):
    """Those of the value and of the gradient."""

    def value_and_slope(x, channels):
        return jax.value_and_grad(lambda x: guided_moments(x, channels, precision=precision).sum())(x)

    arguments = np.ones((4, 5, 6), np.float32), np.ones((2, 4, 5), np.float32)
    text = lowered(value_and_slope, *arguments, platform="tpu")
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) == 2
    assert all(f"precision = [{name}, {name}]" in line for line in products)


ONES = np.ones((32, 32), np.float32)


@pytest.mark.parametrize(
    ("given_masks", "layers", "edges", "words"),
    [
        ({}, ["conv1_1"], "all", ["masks", "none given"]),
        ({"sky": ONES, "sea": ONES[:, :31]}, ["conv1_1"], "all", ["masks", "'sea'", "(32, 31)", "'sky'", "(32, 32)"]),
        ({"sky": ONES, "sea": 2 * ONES}, ["conv1_1"], "all", ["masks", "'sea'", "value 2", "from 0 to 1"]),
        ({"sky": ONES[:31]}, ["conv1_1"], "all", ["masks", "'sky'", "(31, 32)"]),
        ({"sky": ONES}, ["conv7"], "all", ["layers", "'conv7'"]),
        ({"sky": ONES}, ["conv1_1"], "none", ["edges", "'none'"]),
    ],
)
def test_refusals_are_one_line(given_masks, layers, edges, words):
    with pytest.raises(InputError) as caught:
        guidance(given_masks, layers, edges)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
