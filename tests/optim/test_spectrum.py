"""The preconditioner as a matrix: symmetric, positive definite, and the gain it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_loop_recursion import as_matrix

from nst_jax.optim.spectrum import FrequencyShaping


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (6, 5), (1, 4)], ids=str)
@pytest.mark.parametrize("power", [0.0, 0.75, 2.0])
def test_symmetric_and_positive_definite_with_the_gain_of_each_frequency(size, power):
    height, width = size
    with jax.enable_x64(True):
        matrix = as_matrix(FrequencyShaping(power), (height, width, 1))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6 * np.abs(matrix).max())
    down, across = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    gains = np.maximum(np.hypot(down, across), 1 / max(size)) ** -power
    np.testing.assert_allclose(np.linalg.eigvalsh(matrix), np.sort(gains.ravel()), rtol=1e-5)


def test_a_wave_is_scaled_by_its_frequency_to_the_power():
    height, width, cycles = 12, 16, 4
    wave = np.cos(2 * np.pi * cycles * np.arange(width) / width)
    gradient = np.broadcast_to(wave[None, :, None], (height, width, 3)).astype(np.float32)
    found = FrequencyShaping(0.5)(jnp.asarray(gradient))
    np.testing.assert_allclose(found, gradient * (cycles / width) ** -0.5, atol=1e-5)
    assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision(dtype):
    gradient = jnp.asarray(np.random.default_rng(0).normal(size=(5, 7, 3)), dtype)
    found = FrequencyShaping(0.75)(gradient)
    assert found.dtype == dtype
    exact = FrequencyShaping(0.75)(gradient.astype(jnp.float32))
    np.testing.assert_allclose(found.astype(jnp.float32), exact, rtol=1e-2, atol=1e-2)


def test_colors_stay_apart():
    gradient = np.zeros((8, 8, 3), np.float32)
    gradient[2, 3, 1] = 1
    found = FrequencyShaping(0.75)(jnp.asarray(gradient))
    assert not np.any(found[..., [0, 2]])


def test_the_bytes_are_the_same_where_float64_is_allowed():
    gradient = jnp.asarray(np.random.default_rng(0).normal(size=(33, 47, 3)), jnp.float32)
    expected = FrequencyShaping(0.75)(gradient)
    with jax.enable_x64(True):
        found = FrequencyShaping(0.75)(gradient)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
