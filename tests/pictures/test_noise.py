"""White noise: its bytes, its moments, its units."""

from contextlib import contextmanager

import jax
import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.pictures.constants import IMAGENET_MEAN
from nst_jax.pictures.noise import white_noise


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (np.asarray(white_noise(seed, 40, 50)) for seed in (3, 3, 4))
    assert first.shape == (40, 50, 3)
    assert first.dtype == np.float32
    assert first.tobytes() == again.tobytes()
    assert not np.any(first == other)


def test_the_largest_seed_is_one():
    assert np.all(np.isfinite(white_noise(2**32 - 1, 32, 32)))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_are_none(seed):
    with pytest.raises(InputError, match=f"seed: {seed} is not allowed; must be from 0 to 4294967295"):
        white_noise(seed, 32, 32)


@contextmanager
def seeds_moved():
    before = jax.config.jax_random_seed_offset
    jax.config.update("jax_random_seed_offset", 7)
    try:
        yield
    finally:
        jax.config.update("jax_random_seed_offset", before)


SETTINGS = {
    "another generator": lambda: jax.default_prng_impl("rbg"),
    "another way to use it": lambda: jax.threefry_partitionable(False),
    "seeds moved": seeds_moved,
    "float64": lambda: jax.enable_x64(True),
    "no jit": lambda: jax.disable_jit(True),
    "no transfers": lambda: jax.transfer_guard("disallow"),
    "no rank promotion": lambda: jax.numpy_rank_promotion("raise"),
}


@pytest.fixture(scope="module")
def plain():
    """With JAX's defaults."""
    return noises()


def noises() -> list[np.ndarray]:
    return [np.asarray(white_noise(seed, 33, 34, deviation)) for seed in (0, 2**32 - 1) for deviation in (1.0, 50.0)]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_bytes_are_the_same_however_jax_is_set(plain, name):
    with SETTINGS[name]():
        made = noises()
    for one, expected in zip(made, plain, strict=True):
        assert (one.dtype, one.tobytes()) == (expected.dtype, expected.tobytes())


def test_the_generator_is_the_one_that_jax_has_by_default():
    """So that a seed gives the picture that it always gave."""
    normal = jax.random.normal(jax.random.key(2**32 - 1), (33, 34, 3))
    expected = (np.array(IMAGENET_MEAN) + 50 * np.asarray(normal, np.float64)) / 255
    np.testing.assert_allclose(white_noise(2**32 - 1, 33, 34, 50.0), expected, atol=1e-6)


@pytest.mark.parametrize("deviation", [0.0, 1.0, 50.0])
def test_mean_and_deviation_are_in_eight_bit_levels(deviation):
    levels = 255.0 * np.float64(white_noise(0, 200, 300, deviation))
    error = deviation / np.sqrt(200 * 300)
    np.testing.assert_allclose(levels.mean((0, 1)), IMAGENET_MEAN, atol=4 * error + 1e-4)
    np.testing.assert_allclose(levels.std((0, 1)), deviation, rtol=0.02, atol=1e-4)


def test_strong_noise_is_not_clipped():
    noise = white_noise(0, 100, 100, 100.0)
    assert noise.min() < 0
    assert noise.max() > 1
