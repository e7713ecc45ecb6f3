"""The pools against NumPy float64: values and gradients for any sides, and what the binomial filter is for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platforms import believed, lowered

from nst_jax.network.layers import POOLS
from nst_jax.network.pooling import pool


def by_oracle(x, kind):
    return np.stack([np.moveaxis(oracle.pool(np.moveaxis(image, -1, 0), kind), 0, -1) for image in x])


@partial(jax.jit, static_argnums=2)
def value_and_gradient(x, weights, kind):
    """Of the weighted sum of the pool's outcome."""
    value, pull = jax.vjp(lambda x: pool(x, kind), x)
    return value, pull(weights)[0]


@settings(max_examples=20, deadline=None)
@given(size=st.tuples(st.integers(2, 7), st.integers(2, 7)), seed=st.integers(0, 99))
def test_the_binomial_filter_for_any_sides(size, seed):
    """It is linear: the gradient's pixel is what a picture of this pixel alone makes of the weights."""
    height, width = size
    random = np.random.default_rng(seed)
    x, weights = random.normal(size=(1, *size, 2)), random.normal(size=(1, height // 2, width // 2, 2))
    pixels = oracle.pool(np.eye(height * width).reshape(-1, height, width), "binomial")
    with jax.enable_x64(True):
        value, gradient = value_and_gradient(x, weights, "binomial")
    np.testing.assert_allclose(value, by_oracle(x, "binomial"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradient[0], np.einsum("pij,ijc->pc", pixels, weights[0]).reshape(*size, 2), atol=1e-12)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [(4, 6), (5, 7), (3, 2)], ids=str)
def test_values_in_float32(kind, size):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    found = pool(x, kind)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_oracle(x, kind), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (3, 2)], ids=str)
def test_a_tpu_s_windows_are_the_average(size):
    """The value and the gradient, by an algorithm of their own there."""
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(2, *size, 3)), random.normal(size=(2, size[0] // 2, size[1] // 2, 3))
    assert "reduce_window" in lowered(lambda x: pool(x, "avg"), x.astype(np.float32), platform="tpu")
    with jax.enable_x64(True):
        expected = value_and_gradient(x, weights, "avg")
        with believed("tpu"):
            found = value_and_gradient(x, weights, "avg")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [(6, 4), (5, 7)], ids=str)
def test_gradients_by_finite_differences(kind, size):
    random = np.random.default_rng(0)
    x, direction = random.normal(size=(2, 2, *size, 3))
    weights = random.normal(size=(2, size[0] // 2, size[1] // 2, 3))
    step = 1e-6

    def value(x):
        return np.sum(weights * np.sin(by_oracle(x, kind)))

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda x: jnp.sum(weights * jnp.sin(pool(x, kind)))))(x)
    expected = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    assert np.sum(np.asarray(slope) * direction) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (2, 3)], ids=str)
def test_what_is_constant_stays_so_and_images_are_apart(kind, size):
    x = np.broadcast_to(np.float32([[1, -2], [3, 0.5]])[:, None, None], (2, *size, 2))
    expected = np.broadcast_to(x[:, :1, :1], (2, size[0] // 2, size[1] // 2, 2))
    np.testing.assert_array_equal(pool(x, kind), expected)


def test_vmap_loops_and_jit():
    """A loop's body has the same gradient as the function by itself."""
    x = np.random.default_rng(0).normal(size=(3, 2, 7, 6, 4)).astype(np.float32)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(pool(x, "binomial")))))
    expected = np.stack([slope(each) for each in x])
    np.testing.assert_allclose(jax.jit(jax.vmap(slope))(x), expected, rtol=1e-5, atol=1e-6)
    found = jax.jit(lambda x: jax.lax.fori_loop(0, 1, lambda _, total: total + slope(x), jnp.zeros_like(x)))(x[0])
    np.testing.assert_allclose(found, expected[0], rtol=1e-5, atol=1e-6)


def test_the_binomial_filter_is_smooth_where_the_average_has_a_grid():
    """The gradient of a slope is a staircase, of steps as high as the treads are wide, and with the filter none."""
    slope = np.broadcast_to(np.arange(8.0)[:, None], (8, 8)).astype(np.float32)[None, :, :, None]
    rows = {}
    for kind in ("avg", "binomial"):
        _, gradient = value_and_gradient(np.zeros((1, 16, 16, 1), np.float32), slope, kind)
        rows[kind] = np.diff(gradient[0, 2:-2, 8, 0])
    np.testing.assert_allclose(rows["avg"], [0.25 * (n % 2) for n in range(11)], atol=1e-6)
    np.testing.assert_allclose(rows["binomial"], [0.125] * 11, atol=1e-6)
    waves = np.cos(2 * np.pi * np.arange(64) / 3)[None, :, None, None] * np.ones((1, 1, 4, 1))  # finer than 1/4
    passed = {kind: np.abs(pool(waves.astype(np.float32), kind)[0, 2:-2]).max() for kind in ("avg", "binomial")}
    assert passed["binomial"] == pytest.approx(passed["avg"] / 4, rel=1e-2)
