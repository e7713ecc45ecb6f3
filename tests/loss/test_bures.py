"""The Bures-Wasserstein distance: by hand, eigendecompositions in float64, its derivative, every rank, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.loss.bures import NOISE, bures_wasserstein


def covariance(random, filters, rank):
    """Of this rank, with eigenvalues over two decades."""
    x = random.normal(size=(filters, rank)) * np.logspace(0, -1, rank)
    return x @ x.T / rank


def noise_of(*covariances):
    return NOISE * np.mean([np.trace(c) for c in covariances])


def noised(*covariances):
    return [c + noise_of(*covariances) * np.eye(len(c)) for c in covariances]


def single(*arrays):
    return [jnp.asarray(a, jnp.float32) for a in arrays]


def test_diagonal_covariances_by_hand():
    """Σ (√c - √d)² of the variances, each with the noise."""
    c, d, noise = np.array([4.0, 9.0, 0.0]), np.array([1.0, 0.0, 0.0]), 0.01
    found = bures_wasserstein(*single(np.diag(c), np.diag(d), noise))
    np.testing.assert_allclose(found, ((np.sqrt(c + noise) - np.sqrt(d + noise)) ** 2).sum(), rtol=1e-6)


@pytest.mark.parametrize(("filters", "ranks"), [(6, (6, 6)), (64, (64, 200)), (64, (5, 9))], ids=str)
def test_value_and_derivatives_against_eigendecompositions(filters, ranks):
    """Also of covariances without full rank."""
    random = np.random.default_rng(0)
    c, d = (covariance(random, filters, rank) for rank in ranks)
    noise = noise_of(c, d)
    value, there = oracle.bures(*noised(c, d))
    _, back = oracle.bures(*noised(d, c))
    one = np.eye(filters)
    with jax.enable_x64(True):
        found, slopes = jax.value_and_grad(bures_wasserstein, (0, 1, 2))(c, d, jnp.asarray(noise))
        np.testing.assert_allclose(found, value, rtol=1e-7)
        np.testing.assert_allclose(slopes[0], one - there, atol=1e-6 * np.abs(one - there).max())
        np.testing.assert_allclose(slopes[1], one - back, atol=1e-6 * np.abs(one - back).max())
        np.testing.assert_allclose(slopes[2], np.trace(2 * one - there - back), rtol=1e-6)


@pytest.mark.parametrize(("filters", "ranks"), [(64, (64, 64)), (512, (512, 512)), (512, (15, 24)), (128, (3, 1))])
def test_float32_errors(filters, ranks):
    random = np.random.default_rng(1)
    c, d = (covariance(random, filters, rank) for rank in ranks)
    value, there = oracle.bures(*noised(c, d))
    found, slope = jax.value_and_grad(bures_wasserstein)(*single(c, d, noise_of(c, d)))
    np.testing.assert_allclose(found, value, rtol=2e-5)
    # As it acts on what varies: how far directions without variance are moved does not show in any picture.
    expected = (np.eye(filters) - there) @ oracle.root(c)
    error = np.linalg.norm(np.float64(slope) @ oracle.root(c) - expected) / np.linalg.norm(expected)
    assert error < 5e-5, error


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e8])
def test_the_worst_pair_for_which_there_must_be_enough_iterations(size):
    """All variance of either in a direction in which the other has none, and no noise beyond what is needed."""
    c, d = np.diag([1.0, 0.0, 0.0]) * size, np.diag([0.0, 1.0, 0.0]) * size
    value, there = oracle.bures(*noised(c, d))
    found, slope = jax.value_and_grad(bures_wasserstein)(*single(c, d, noise_of(c, d)))
    np.testing.assert_allclose(found, value, rtol=1e-5)
    np.testing.assert_allclose(slope, np.eye(3) - there, rtol=1e-4, atol=1e-3)


def test_nothing_that_varies_is_no_distance():
    zero = jnp.zeros((4, 4))
    found, slope = jax.value_and_grad(bures_wasserstein)(zero, zero, jnp.float32(0))
    assert found == 0
    assert np.all(np.isfinite(slope))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.floats(-3, 3), st.floats(-3, 3))
def test_invariances(seed, rank, other, scale, shift):
    random = np.random.default_rng(seed)
    c, d = covariance(random, 5, rank) * 10**scale, covariance(random, 5, other) * 10 ** (scale + shift / 3)
    noise = noise_of(c, d)
    size = np.trace(c) + np.trace(d)
    found = np.float64(bures_wasserstein(*single(c, d, noise)))
    assert 0 <= found <= size * (1 + 1e-5) + 10 * noise
    np.testing.assert_allclose(bures_wasserstein(*single(d, c, noise)), found, rtol=1e-3, atol=1e-6 * size)
    np.testing.assert_allclose(bures_wasserstein(*single(c, c, noise_of(c, c))), 0, atol=1e-6 * size)
    np.testing.assert_allclose(bures_wasserstein(*single(4 * c, 4 * d, 4 * noise)), 4 * found, rtol=1e-6)
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    turned = bures_wasserstein(*single(turn @ c @ turn.T, turn @ d @ turn.T, noise))
    np.testing.assert_allclose(turned, found, rtol=1e-3, atol=1e-6 * size)


def test_jit_batches_and_vmap():
    """Leading axes broadcast, of the derivative too."""
    random = np.random.default_rng(2)
    first = np.stack([covariance(random, 8, rank) for rank in (8, 3)])
    second = covariance(random, 8, 4)[None]
    noise = NOISE * np.ones(2)
    arrays = single(first, second, noise)

    def total(*arrays):
        return jnp.sum(bures_wasserstein(*arrays))

    found, slopes = bures_wasserstein(*arrays), jax.grad(total, (0, 1))(*arrays)
    looped = [jax.value_and_grad(bures_wasserstein, (0, 1))(arrays[0][i], arrays[1][0], arrays[2][i]) for i in range(2)]
    np.testing.assert_allclose(found, [value for value, _ in looped], rtol=1e-5)
    np.testing.assert_allclose(slopes[0], np.stack([slope[0] for _, slope in looped]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(slopes[1][0], sum(slope[1] for _, slope in looped), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(jax.jit(bures_wasserstein)(*arrays), found, rtol=1e-5)
    mapped = jax.vmap(bures_wasserstein, (0, None, 0))(arrays[0], arrays[1][0], arrays[2])
    np.testing.assert_allclose(mapped, found, rtol=1e-5)
