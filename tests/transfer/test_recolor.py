"""Colors of one picture brought to another's: means, covariances, luminance, and pictures that have no color."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_jax.transfer import recolor
from nst_jax.transfer.settings import COLOR_MATCHES, Settings


def statistics(picture):
    pixels = np.asarray(picture, np.float64).reshape(-1, 3)
    centered = pixels - pixels.mean(0)
    return pixels.mean(0), centered.T @ centered / len(pixels)


def random_picture(seed, height=20, width=24):
    random = np.random.default_rng(seed)
    mix = random.uniform(-0.2, 0.2, (3, 3)) + 0.2 * np.eye(3)
    return (random.standard_normal((height, width, 3)) @ mix * 0.3 + 0.5).astype(np.float32)


@pytest.mark.parametrize("method", COLOR_MATCHES)
@given(seed=st.integers(0, 2**32 - 1))
def test_mean_and_covariance_are_the_other_s(method, seed):
    painting, photograph = random_picture(seed), random_picture(seed + 1, 15, 30)
    assume(np.linalg.eigvalsh(statistics(painting)[1])[0] > recolor.LEAST_VARIANCE)
    made = recolor.match_colors(painting, photograph, method)
    for have, want in zip(statistics(made), statistics(photograph), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5)
    assert made.shape == painting.shape
    assert made.dtype == np.float32


@pytest.mark.parametrize("method", COLOR_MATCHES)
def test_of_real_pictures(picture, method):
    painting, photograph = picture("painting", 60, 50), picture("photograph", 40, 60)
    made = recolor.match_colors(painting, photograph, method)
    for have, want in zip(statistics(made), statistics(photograph), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5)


def test_monge_moves_colors_the_least(picture):
    """Of all maps with these covariances it is the optimal transport, so no other moves colors less."""
    painting, photograph = picture("painting", 60, 50), picture("photograph", 40, 60)
    moved = {
        method: np.square(recolor.match_colors(painting, photograph, method) - painting).mean()
        for method in COLOR_MATCHES
    }
    assert moved["monge"] == min(moved.values())


def test_the_maps_by_their_definitions(picture):
    """A itself, by what it makes of unit steps: A Σ_s Aᵀ = Σ_c, Cholesky's triangular, Monge's symmetric, positive."""
    painting, photograph = picture("painting", 60, 50), picture("photograph", 40, 60)
    (_, own), (_, other) = statistics(painting), statistics(photograph)
    maps = {}
    for method in COLOR_MATCHES:
        made = recolor.match_colors(painting, photograph, method).reshape(-1, 3)
        pixels = np.concatenate([painting.reshape(-1, 3), np.ones((len(made), 1))], 1)
        maps[method] = np.linalg.lstsq(pixels, made, rcond=None)[0][:3].T
        np.testing.assert_allclose(maps[method] @ own @ maps[method].T, other, atol=1e-5)
    np.testing.assert_allclose(maps["cholesky"], np.tril(maps["cholesky"]), atol=1e-4)
    np.testing.assert_allclose(maps["monge"], maps["monge"].T, atol=1e-4)
    assert np.linalg.eigvalsh(maps["monge"]).min() > 0


@pytest.mark.parametrize("method", COLOR_MATCHES)
@pytest.mark.parametrize("painting", ["one color", "grey", "black"])
def test_pictures_with_few_colors(picture, method, painting):
    photograph = picture("photograph", 40, 60)
    made = {
        "one color": np.full((40, 40, 3), (0.9, 0.2, 0.4), np.float32),
        "grey": recolor.grey(picture("painting", 40, 40)),
        "black": np.zeros((40, 40, 3), np.float32),
    }[painting]
    matched = recolor.match_colors(made, photograph, method)
    assert np.isfinite(matched).all()
    np.testing.assert_allclose(matched.mean((0, 1)), photograph.mean((0, 1)), atol=1e-5)
    assert matched.std((0, 1)).max() < 3 * photograph.std((0, 1)).max()
    other_way = recolor.match_colors(photograph, made, method)
    for have, want in zip(statistics(other_way), statistics(made), strict=True):
        np.testing.assert_allclose(have, want, atol=1e-5)


def test_luminance_is_bt601_and_chroma_has_none(picture):
    photograph = picture("photograph", 40, 60)
    y = 0.299 * photograph[..., 0] + 0.587 * photograph[..., 1] + 0.114 * photograph[..., 2]
    np.testing.assert_allclose(recolor.luminance(photograph)[..., 0], y, atol=1e-6)
    np.testing.assert_allclose(recolor.luminance(recolor.chroma(photograph)), 0, atol=1e-7)
    np.testing.assert_allclose(recolor.grey(photograph) + recolor.chroma(photograph), photograph, atol=1e-7)


def test_a_painting_s_luminance_gets_the_photograph_s_mean_and_spread(picture):
    painting, photograph = picture("painting", 60, 50), picture("photograph", 40, 60)
    made, wanted = recolor.match_luminance(painting, photograph), recolor.luminance(photograph)
    assert (made[..., :1] == made).all()
    np.testing.assert_allclose([made.mean(), made.std()], [wanted.mean(), wanted.std()], atol=1e-5)
    plain = recolor.match_luminance(np.full((40, 40, 3), 0.3, np.float32), photograph)
    np.testing.assert_allclose(plain, wanted.mean(), atol=1e-6)


def test_what_the_settings_ask_for(picture):
    painting, photograph = picture("painting", 60, 50), picture("photograph", 40, 60)
    assert recolor.painted(painting, photograph, Settings()) is painting
    for settings, made in (
        (Settings(color="luminance"), recolor.match_luminance(painting, photograph)),
        (Settings(color="match"), recolor.match_colors(painting, photograph, "pca")),
        (Settings(color="match", color_match="monge"), recolor.match_colors(painting, photograph, "monge")),
    ):
        np.testing.assert_array_equal(recolor.painted(painting, photograph, settings), made)
