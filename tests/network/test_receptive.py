"""Masks at layers: against networks that are probed pixel by pixel, and what the three ways have in common."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.network import vgg
from nst_jax.network.layers import EDGES, LAYERS, PADDINGS, POOLS
from nst_jax.network.receptive import propagated


def seen(mask, pool, padding, seed=0):
    """{layer: [height', width'] bool}: what depends on a pixel of the mask, by a network that no pixel is lost in.

    It has one filter a layer, with positive weights, and no bias: nothing cancels, and no ReLU is dead.
    """
    random = np.random.default_rng(seed)
    x, found = np.asarray(mask, np.float64)[None], {}
    for layer in oracle.NETWORK:
        if layer.startswith("pool"):
            x = oracle.pool(x, pool)
        else:
            x = oracle.convolve(x, random.uniform(0.1, 0.2, (3, 3, 1, 1)), np.zeros(1), padding)
        found[layer] = x[0] > 0
    return found


@st.composite
def pictures(draw):
    """A size, and a mask of it of few pixels, of a block or of noise; 0 and 1."""
    height, width = draw(st.integers(32, 64)), draw(st.integers(32, 64))
    mask = np.zeros((height, width), np.float32)
    if draw(st.booleans()):
        for _ in range(draw(st.integers(0, 3))):
            mask[draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))] = 1
    else:
        mask[draw(st.integers(0, height)) :, draw(st.integers(0, width)) :] = 1
    return 1 - mask if draw(st.booleans()) else mask


@settings(max_examples=15, deadline=None)
@given(mask=pictures(), pool=st.sampled_from(POOLS), padding=st.sampled_from(PADDINGS))
def test_all_and_inside_are_what_a_network_without_dead_filters_sees(mask, pool, padding):
    """Whatever its padding, to the last position of every layer."""
    by_any, by_all = (propagated(mask, LAYERS, edges, pool) for edges in ("all", "inside"))
    inside, outside = seen(mask, pool, padding), seen(1 - mask, pool, padding)
    assert list(by_any) == list(by_all) == list(LAYERS)
    for layer in LAYERS:
        assert by_any[layer].dtype == np.float32
        np.testing.assert_array_equal(by_any[layer], inside[layer], layer)
        np.testing.assert_array_equal(by_all[layer], ~outside[layer], layer)


@pytest.mark.parametrize(("pool", "padding"), [("avg", "zero"), ("binomial", "reflect"), ("max", "replicate")])
def test_the_real_network_by_noise_in_one_pixel(params, pool, padding):
    """Nothing but what sees the pixel changes, bitwise, and of several noises something changes wherever it is seen.

    In float64, since the last corner of a receptive field is faint; by `lax.conv`, since Winograd's tiles round what
    is beside a window with it.
    """
    layers, size = ("conv1_1", "pool1", "conv2_2", "conv3_1", "conv4_1"), (49, 63)
    pixels = [(0, 0), (15, 22), (48, 62), (8, 61)]
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), params)
        features = jax.jit(lambda images: vgg.features(wide, images, layers, pool=pool, padding=padding, plain=True))
        changes = {layer: np.zeros((len(pixels), *shape), bool) for layer, shape in shapes(size, layers).items()}
        for _ in range(6):
            images = np.repeat(random.uniform(size=(1, *size, 3)), 1 + len(pixels), 0)
            for number, pixel in enumerate(pixels, start=1):
                images[number, *pixel] = random.uniform(size=3)
            for layer, found in features(images).items():
                changes[layer] |= np.any(np.asarray(found[1:] != found[:1]), -1)
    for number, pixel in enumerate(pixels):
        mask = np.zeros(size, np.float32)
        mask[pixel] = 1
        for layer, expected in propagated(mask, layers, "all", pool).items():
            assert not np.any(changes[layer][number] & (expected == 0)), (layer, pixel)
            np.testing.assert_array_equal(changes[layer][number], expected == 1, f"{layer} {pixel}")


def shapes(size, layers):
    return {layer: mask.shape for layer, mask in propagated(np.zeros(size, np.float32), layers, "all").items()}


@settings(max_examples=10, deadline=None)
@given(size=st.tuples(st.integers(32, 64), st.integers(32, 64)), pool=st.sampled_from(POOLS), seed=st.integers(0, 999))
def test_soft_masks(size, pool, seed):
    """Level by level as the masks of what is at least so high; and inside is what is not all of the rest."""
    noise = np.random.default_rng(seed).uniform(size=tuple(-(-side // 16) for side in size))
    mask = np.kron(np.round(8 * noise) / 8, np.ones((16, 16)))[: size[0], : size[1]].astype(np.float32)
    for edges, other in (("all", "inside"), ("inside", "all")):
        found, rest = propagated(mask, LAYERS, edges, pool), propagated(1 - mask, LAYERS, other, pool)
        for layer in LAYERS:
            np.testing.assert_array_equal(found[layer], 1 - rest[layer])
        for level in np.arange(1, 9) / 8:
            binary = propagated((mask >= level).astype(np.float32), ["conv1_2", "pool2", "conv4_1"], edges, pool)
            for layer, values in binary.items():
                np.testing.assert_array_equal(values, found[layer] >= level)


@settings(max_examples=10, deadline=None)
@given(size=st.tuples(st.integers(32, 64), st.integers(32, 64)), pool=st.sampled_from(POOLS), seed=st.integers(0, 999))
def test_simple_is_the_pools_alone_and_lies_between(size, pool, seed):
    """By their means; a pool that takes the maximum has the same windows as the average."""
    mask = np.random.default_rng(seed).uniform(size=size).astype(np.float32)
    least, mean, greatest = (propagated(mask, LAYERS, edges, pool) for edges in ("inside", "simple", "all"))
    expected = mask[None].astype(np.float64)
    for layer in LAYERS:
        if layer.startswith("pool"):
            expected = oracle.pool(expected, "binomial" if pool == "binomial" else "avg")
        np.testing.assert_allclose(mean[layer], expected[0], rtol=1e-6)
        assert np.all(least[layer] <= mean[layer] + 1e-6)
        assert np.all(mean[layer] <= greatest[layer] + 1e-6)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("edges", EDGES)
def test_a_mask_of_one_value_keeps_it(edges, pool):
    for value in (0, 0.3, 1):
        for found in propagated(np.full((35, 33), value, np.float32), LAYERS, edges, pool).values():
            np.testing.assert_allclose(found, value, rtol=1e-6)


def test_layers_come_in_the_network_s_order_and_the_mask_stays():
    mask = np.random.default_rng(0).uniform(size=(32, 40)).astype(np.float32)
    before = mask.copy()
    found = propagated(mask, ["pool2", "conv1_1"], "simple")
    assert {layer: values.shape for layer, values in found.items()} == {"conv1_1": (32, 40), "pool2": (8, 10)}
    assert list(found) == ["conv1_1", "pool2"]
    np.testing.assert_array_equal(mask, before)


MASK = np.zeros((32, 32), np.float32)


@pytest.mark.parametrize(
    ("mask", "layers", "edges", "pool", "words"),
    [
        (MASK, ["conv6_1"], "all", "avg", ["layers", "'conv6_1'"]),
        (MASK, [], "all", "avg", ["layers", "no layer"]),
        (MASK, ["conv1_1"], "some", "avg", ["edges 'some'", "inside, all, simple"]),
        (MASK, ["conv1_1"], "all", "mean", ["pool 'mean'", "avg, binomial, max"]),
        (MASK[:31], ["conv1_1"], "all", "avg", ["mask", "(31, 32)", "at least 32"]),
        (MASK + 255, ["conv1_1"], "all", "avg", ["mask", "255", "from 0 to 1"]),
        (MASK - 0.5, ["conv1_1"], "all", "avg", ["mask", "-0.5", "from 0 to 1"]),
        (MASK + np.nan, ["conv1_1"], "all", "avg", ["mask", "nan", "from 0 to 1"]),
    ],
)
def test_refusals_are_one_line(mask, layers, edges, pool, words):
    with pytest.raises(InputError) as caught:
        propagated(mask.astype(np.float32), layers, edges, pool)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
