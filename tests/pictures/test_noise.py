"""White noise: its bytes, its moments, its units."""

import numpy as np
import pytest

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
