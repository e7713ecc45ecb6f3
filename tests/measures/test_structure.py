"""Structural similarity against scikit-image; the scale of structure against sums written out and against theory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from scipy.special import j0
from skimage.metrics import structural_similarity

from nst_jax.measures import structure

SIDES = st.tuples(st.integers(11, 24), st.integers(11, 24))
LEVELS = st.integers(0, 255).map(lambda level: level / 255)


def planes(shape, elements=LEVELS):
    return arrays.arrays(np.float64, shape, elements=elements)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width))


# -- luminance


def test_luminance_is_a_weighted_mean():
    for color, expected in (((1, 1, 1), 1.0), ((0, 0, 0), 0.0), ((1, 0, 0), 0.299), ((0, 1, 0), 0.587)):
        image = np.broadcast_to(np.float32(color), (2, 3, 3))
        np.testing.assert_allclose(structure.luminance(image), np.full((2, 3), expected), rtol=1e-12)
    assert structure.luminance(np.zeros((2, 3, 3), np.float32)).dtype == np.float64


# -- similarity


def as_wang(plane: np.ndarray, other: np.ndarray) -> float:
    """scikit-image's, set to what the paper says."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return structural_similarity(plane, other, **options)


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(48, 64), (11, 11), (51, 33)], ids=str)
def test_similarity_against_scikit_image(picture, shape, strength):
    plane = structure.luminance(picture("photograph", 64, 64))[: shape[0], : shape[1]]
    other = np.clip(plane + strength * noise(*shape), 0, 1)
    assert structure.similarity(plane, other) == pytest.approx(as_wang(plane, other), rel=1e-10)


def test_similarity_of_a_photograph_and_a_painting_against_scikit_image(picture):
    photo, painting = (structure.luminance(picture(name, 48, 64)) for name in ("photograph", "painting"))
    assert structure.similarity(photo, painting) == pytest.approx(as_wang(photo, painting), rel=1e-10)
    assert structure.similarity(photo, painting) < 0.5


@settings(max_examples=30, deadline=None)
@given(SIDES.flatmap(lambda shape: st.tuples(planes(shape), planes(shape))))
def test_similarity_of_any_two(pair):
    plane, other = pair
    found = structure.similarity(plane, other)
    assert found == pytest.approx(as_wang(plane, other), rel=1e-7, abs=1e-9)
    assert found == pytest.approx(structure.similarity(other, plane), abs=1e-12)
    assert -1 <= found <= 1
    assert structure.similarity(plane, plane) == pytest.approx(1, abs=1e-12)


def test_similarity_of_two_greys_is_that_of_their_means():
    """The paper's l(x, y), equation 6: there is no contrast and no structure to differ."""
    dark, light = np.full((20, 20), 0.2), np.full((20, 20), 0.6)
    expected = (2 * 0.2 * 0.6 + 0.01**2) / (0.2**2 + 0.6**2 + 0.01**2)
    assert structure.similarity(dark, light) == pytest.approx(expected, rel=1e-9)


def test_a_negative_is_unlike():
    plane = 0.5 + 0.1 * noise(40, 40)
    assert structure.similarity(plane, 1 - plane) < -0.8


# -- the scale of structure


def written_out(plane: np.ndarray) -> float:
    """The definition with all sums over pixels and pairs of pixels written out."""
    height, width = plane.shape
    y, x = (grid.ravel() for grid in np.mgrid[:height, :width])
    down, across = y[:, None] - y, x[:, None] - x
    radius = np.hypot(down, across)
    window = np.exp(-(radius**2) / (2 * (max(plane.shape) / 16) ** 2))
    values = plane.ravel() - window @ plane.ravel() / window.sum(1)
    values -= values.mean()
    products = values[:, None] * values
    reach = min(height, width) // 2
    lags = {
        (dy, dx): products[(down == dy) & (across == dx)].mean()
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
        if round(math.hypot(dy, dx)) <= reach
    }
    before = (0.0, lags[0, 0])
    for ring in range(1, reach + 1):
        inside = [lag for lag in lags if round(math.hypot(*lag)) == ring]
        after = (np.mean([math.hypot(*lag) for lag in inside]), np.mean([lags[lag] for lag in inside]))
        if after[1] < lags[0, 0] / math.e:
            return float(np.interp(lags[0, 0] / math.e, (after[1], before[1]), (after[0], before[0])))
        before = after
    return float(reach)


@pytest.mark.parametrize("blur", [0, 1, 3])
def test_scale_against_the_definition(blur):
    plane = gaussian_filter(noise(32, 36), blur) + np.linspace(0, 1, 36)
    assert structure.correlation_length(plane) == pytest.approx(written_out(plane), rel=1e-6)


def test_scale_of_a_picture_against_the_definition(picture):
    plane = structure.luminance(picture("painting", 36, 32))
    assert structure.correlation_length(plane) == pytest.approx(written_out(plane), rel=1e-6)


@pytest.mark.parametrize("blur", [1.0, 1.5, 2.0, 3.0])
def test_scale_of_blurred_noise(blur):
    """Its autocorrelation is a Gaussian of variance 2 s²; what the local mean takes away makes it a sum of three."""
    side = 256
    window = side / 16
    terms = [(1, 2 * blur**2), (-2, 2 * blur**2 + window**2), (1, 2 * blur**2 + 2 * window**2)]

    def autocovariance(r):
        return sum(sign / variance * math.exp(-(r**2) / (2 * variance)) for sign, variance in terms)

    expected = brentq(lambda r: autocovariance(r) - autocovariance(0) / math.e, 0.1, 4 * blur)
    found = [structure.correlation_length(gaussian_filter(noise(side, side, seed), blur)) for seed in range(3)]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)
    assert expected == pytest.approx(2 * blur, rel=0.08)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2])
@pytest.mark.parametrize("period", [5.0, 8.0, 12.5, 20.0])
def test_scale_of_a_grating(period, angle):
    """Averaged over directions, the autocorrelation of a cosine is a Bessel function."""
    y, x = np.mgrid[:160, :192]
    plane = np.cos(2 * math.pi / period * (x * math.cos(angle) + y * math.sin(angle)))
    expected = period / (2 * math.pi) * brentq(lambda z: j0(z) - 1 / math.e, 0, 2.4)
    assert structure.correlation_length(plane) == pytest.approx(expected, rel=0.06)
    assert expected == pytest.approx(0.28 * period, rel=0.01)


def test_scale_of_white_noise():
    assert structure.correlation_length(noise(128, 128)) == pytest.approx(0.76, abs=0.02)


def test_scale_grows_with_blur(picture):
    plane = structure.luminance(picture("painting", 128, 160))
    found = [structure.correlation_length(gaussian_filter(plane, blur)) for blur in (0, 0.5, 1, 2, 3, 5)]
    assert found == sorted(found)
    assert found[-1] > 2 * found[0]


def test_composition_does_not_count():
    """The same strokes, alone and on a landscape."""
    strokes = gaussian_filter(noise(128, 192), 2.0)
    strokes /= strokes.std()
    y, x = np.mgrid[:128, :192]
    landscape = 5 * np.tanh((y - 64) / 60) + 3 * np.cos(x / 40)
    alone, together = structure.correlation_length(strokes), structure.correlation_length(strokes + landscape)
    assert together == pytest.approx(alone, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(SIDES.flatmap(planes), st.floats(0.1, 10), st.floats(-1, 1))
def test_scale_of_anything(plane, contrast, brightness):
    found = structure.correlation_length(plane)
    if np.ptp(plane) == 0:
        assert math.isnan(found)
        return
    assert 0 < found <= min(plane.shape) // 2
    changes = (plane.T, plane[::-1], plane[:, ::-1], contrast * plane + brightness, -plane)
    for changed in changes[: None if np.ptp(plane) > 0.01 else 3]:
        assert structure.correlation_length(changed) == pytest.approx(found, rel=1e-4)
